"""The egress broker: the only process that calls out for customers' code, as a user of its own, without a database.

Started by exec like the runner, so that nothing of the supervisor's memory is in it: what it needs is copied, with the
TLS library that the sandbox's image leaves out. It has two sockets: one in the service user's directory, where the
worker says what a run may call, and one that only the runner's user may open, where calls are handed over.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from heldtrue.app import apart, broker_main
from heldtrue.app.accounts import become, service_account
from heldtrue.app.boot import Home
from heldtrue.app.listener import bind_unix
from heldtrue.app.processes import Announce, Child, Ready
from heldtrue.app.runner import CALLS, IMAGES, short
from heldtrue.sandbox.image import build, libraries, program

GRANTS = "egress.sock"
TREE = (
    "__init__.py",
    "kernel",
    "sandbox/__init__.py",
    "sandbox/jail",
    "capabilities/__init__.py",
    "capabilities/deliveries/__init__.py",
    "capabilities/deliveries/addresses.py",
    "capabilities/deliveries/connector.py",
    "capabilities/egress/__init__.py",
    "capabilities/egress/grants.py",
    "capabilities/egress/hosts.py",
    "capabilities/egress/masking.py",
    "capabilities/egress/broker",
)
"""What the broker needs of the product: nothing that knows the database, keys or organisations."""
PACKAGES = (
    "msgspec", "aiohttp", "aiohappyeyeballs", "aiosignal", "attr", "frozenlist", "idna", "multidict", "propcache",
    "typing_extensions", "yarl",
)  # fmt: skip
EXTENSIONS = ("_ssl", "_hashlib")
"""Of the standard library, left out of the sandbox's image."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The broker's sockets, bound once by the supervisor, so that no call is lost while the broker is restarted."""

    grants: socket | None
    calls: socket | None

    def close(self) -> None:
        """Close them in a process that does not serve them."""
        for one in (self.grants, self.calls):
            if one is not None:
                one.close()


@contextmanager
def listening(home: Home) -> Generator[Desk]:
    """Bind both sockets, each for one user alone; unbound when the block ends."""
    if not home.settings.transforms.reaches_out:
        yield Desk(None, None)
        return
    runner = service_account(home.settings.transforms.user)
    place = home.data.root / "sandbox"
    place.mkdir(exist_ok=True)
    place.chmod(0o755)
    owner = (home.account.uid, home.account.gid) if home.account else None
    with short(home.data.run) as run, short(place) as beside:
        desk = Desk(
            _bind(run / GRANTS, owner),
            _bind(beside / CALLS, (runner.uid, runner.gid) if runner else None),
        )
    try:
        yield desk
    finally:
        desk.close()
        (home.data.run / GRANTS).unlink(missing_ok=True)
        (place / CALLS).unlink(missing_ok=True)


def _bind(path: Path, owner: tuple[int, int] | None) -> socket:
    made = bind_unix(path, owner)
    path.chmod(0o600)
    return made


def children(home: Home, desk: Desk) -> list[Child]:
    """Return the broker; none where transforms or their calls are off."""
    if desk.grants is None or desk.calls is None:
        return []
    sockets = (desk.grants, desk.calls)

    def main(ready: Ready) -> int:
        return _start(home, sockets, ready)

    return [Child("broker", main, None, vital=False)]


def _start(home: Home, sockets: tuple[socket, socket], ready: Ready) -> int:
    """Become the broker; returns only when that fails."""
    if not isinstance(ready, Announce):
        raise RuntimeError("the broker has nobody to tell that it is ready")
    settings = home.settings.transforms
    account, runner = service_account(settings.broker_user), service_account(settings.user)
    place = home.data.root / "sandbox"
    image = build(place / IMAGES)
    tree = copy(place)
    if account is not None:
        become(account)
    told = {
        "grants": sockets[0].fileno(),
        "calls": sockets[1].fileno(),
        "ready": ready.descriptor,
        "granters": [home.account.uid] if home.account else [],
        "callers": [runner.uid] if runner else [],
        "allow": list(home.settings.destinations.allow),
        "authorities": home.authorities,
        "readable": [str(tree), str(image.path), *broker_main.READABLE],
    }
    plan = os.memfd_create("plan")
    with os.fdopen(os.dup(plan), "wb") as file:
        file.write(json.dumps(told).encode())
    line = [*apart.interpreter(image, [tree / "lib"]), str(tree / "broker_main.py"), str(plan)]
    apart.keep_only(*(one.fileno() for one in sockets), ready.descriptor, plan)
    os.chdir("/")
    os.execve(line[0], line, {})  # noqa: S606 - no shell, an absolute path, an empty environment


def copy(place: Path) -> Path:
    """Copy the broker's own code below *place*, with the TLS library."""
    extensions = [Path(spec.origin) for name in EXTENSIONS if (spec := importlib.util.find_spec(name)) and spec.origin]
    files = {"broker_main.py": Path(broker_main.__file__)}
    files |= {one.name: one for one in extensions}
    files |= {f"lib/{name}": source for name, source in libraries([program(), *extensions])}
    return apart.copy(place, "broker", files | apart.product(*TREE) | apart.packages(*PACKAGES))
