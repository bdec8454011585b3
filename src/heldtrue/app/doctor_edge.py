"""What `heldtrue doctor` looks at of the edge."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

from heldtrue.app.findings import Finding, Level
from heldtrue.app.settings_edge import LOOPBACK, Edge, host_and_port
from heldtrue.capabilities.edge.forwarded import UNIX
from heldtrue.kernel.errors import SettingsError

WIDE = {4: 16, 6: 48}
"""A trusted network with a shorter prefix than this is more than a handful of proxies."""


def examine_edge(edge: Edge) -> Iterator[Finding]:
    """Yield a finding for each door, and for what is believed there."""
    if not edge.opens:
        return
    if edge.listen is not None and edge.listen.startswith("unix:"):
        yield _socket(Path(edge.listen[5:]))
    elif edge.listen is not None:
        yield _network(edge, edge.listen)
    if edge.proxy_listen is not None:
        yield _proxy(edge, edge.proxy_listen)
    for entry in edge.trusted_proxies:
        if entry != UNIX and (network := ip_network(entry)).prefixlen < WIDE[network.version]:
            yield Finding(
                "trusted proxies",
                Level.WRONG,
                f"everybody in {entry} may name any client address",
                "Name the addresses of your proxies alone.",
            )
    if not edge.routes:
        yield Finding(
            "edge routes",
            Level.ADVICE,
            "every live secret key is admitted to every route",
            "Name your routes and their scopes under [[edge.routes]].",
        )
    if edge.group is not None:
        try:
            yield Finding("edge group", Level.OK, f"{edge.group}, gid {edge.group_id}, may open the door")
        except SettingsError as error:
            yield Finding("edge group", Level.WRONG, error.message, error.advice)


def _socket(path: Path) -> Finding:
    try:
        found = path.stat()
    except OSError:
        return Finding("door", Level.OK, f"unix:{path}, made at the start for its owner and group alone")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o007:
        return Finding(
            "door",
            Level.WRONG,
            f"anybody on this machine may ask at {path}, and name any client: mode {mode:04o}",
            f"Run `chmod o= {path}`, and see what opened it.",
        )
    folder = path.parent.stat()
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        return Finding(
            "door",
            Level.WRONG,
            f"anybody may put another socket in its place: {path.parent} is writable by all",
            f"Run `chmod o-w {path.parent}`, or name another directory.",
        )
    return Finding("door", Level.OK, f"unix:{path}, mode {mode:04o}")


def _network(edge: Edge, listen: str) -> Finding:
    host, _ = host_and_port("edge.listen", listen)
    if edge.client_ca is not None:
        return Finding("door", Level.OK, f"{listen}, for holders of a certificate of {edge.client_ca}")
    return Finding(
        "door",
        Level.ADVICE,
        f"every user of this machine may ask at {host}, in clear, and name any client",
        "A unix socket, or client_ca, tells proxies from others.",
    )


def _proxy(edge: Edge, listen: str) -> Finding:
    host, _ = host_and_port("edge.proxy_listen", listen)
    if host not in LOOPBACK and edge.public_host is None:
        return Finding(
            "proxy", Level.ADVICE, f"{listen} answers for any host name", "Set public_host to the one that you use."
        )
    return Finding("proxy", Level.OK, f"{listen} leads to {edge.upstream}")
