"""The section `[edge]`: the doors, whom they believe, and what is behind them."""

from __future__ import annotations

import grp
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from heldtrue.capabilities.edge.forwarded import UNIX, TrustedProxies
from heldtrue.kernel.errors import SettingsError

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_METHOD = re.compile(r"[A-Z]{1,32}")
_SEGMENT = r"(?:\*|[A-Za-z0-9._~!$&'()+,=:@%-]+)"
_PATTERN = re.compile(rf"/|(?:/{_SEGMENT})+/?|(?:/{_SEGMENT})*/\*\*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")
_NAME = re.compile(r"[a-z0-9-]{1,40}")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class EdgeRate(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """So many at once, so many a second, and so many an hour at most."""

    burst: Count
    per_second: Annotated[float, msgspec.Meta(gt=0)]
    per_hour: Count | None = None
    """What may be sustained; none: no more than `per_second` allows."""


class EdgeLimits(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Limits of what is behind the edge, shared by every process and machine."""

    organisation: EdgeRate = EdgeRate(200, 100)
    key: EdgeRate = EdgeRate(200, 100)
    classes: dict[str, EdgeRate] = {}
    """By class of routes, for one key."""


class EdgeRoute(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What one route of the upstream asks of its callers."""

    match: str
    """`GET,POST /v1/orders/*`, or the path alone for any method; `/**` at its end stands for any rest."""
    scope: str | None = None
    route_class: str = msgspec.field(name="class", default="default")
    public: bool = False
    publishable: bool = False

    def __post_init__(self) -> None:
        methods, path = self.parts
        if not _PATTERN.fullmatch(path) or not all(_METHOD.fullmatch(method) for method in methods):
            raise SettingsError(
                f"edge.routes: match = {self.match!r} is not a method and a path",
                advice='Write it as "GET /v1/orders/*"; `*` is one segment, `/**` at the end any rest.',
            )
        if self.public and (self.scope or self.publishable):
            raise SettingsError(
                f"edge.routes: {self.match!r} is public, so nobody needs a scope or a key for it",
                advice="Remove `public`, or `scope` and `publishable`.",
            )

    @property
    def parts(self) -> tuple[frozenset[str], str]:
        """Methods (none: any) and path pattern."""
        methods, space, path = self.match.rpartition(" ")
        return frozenset(methods.split(",")) if space else frozenset(), path


class Edge(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The doors of this instance; without `listen` and `upstream` there is none."""

    listen: str | None = None
    """The forward-auth door: `unix:/path`, or `HOST:PORT`."""
    processes: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    trusted_proxies: tuple[str, ...] = ()
    """Whose word about clients is taken: networks, and `unix` for whoever may open the socket."""
    client_ca: str | None = None
    """PEM authorities of the proxies' certificates; needed off loopback."""
    group: str | None = None
    """The group of the machine that may open the unix socket; by default the service user's own."""
    upstream: str | None = None
    """The API behind the built-in proxy."""
    upstream_name: str = "default"
    """Which upstream keys identities are stamped with."""
    proxy_listen: str | None = None
    public_host: str | None = None
    """The name under which clients reach the built-in proxy; requests for another are refused."""
    body_bytes: Count = 100 * 1024 * 1024
    connect_timeout: Seconds = 5.0
    read_timeout: Seconds = 60.0
    environments: tuple[str, ...] = ()
    """The environments whose credentials are admitted; none named: any."""
    valkey: str | None = None
    """A secret URI (`file:/path` or `env:NAME`) that holds the URL; without it limits are leased from PostgreSQL."""
    routes: tuple[EdgeRoute, ...] = ()
    limits: EdgeLimits = EdgeLimits()

    def __post_init__(self) -> None:
        if self.trusted_proxies:
            TrustedProxies.parse(self.trusted_proxies)
        if self.listen is not None:
            self._check_door(self.listen)
        self._check_proxy()
        if self.public_host is not None and not _HOST.fullmatch(self.public_host):
            raise SettingsError(
                f"edge.public_host = {self.public_host!r} is not a host name",
                advice='Write it in lower case and without a scheme, as "api.example.com".',
            )
        self._check_classes()
        if not _NAME.fullmatch(self.upstream_name):
            raise SettingsError(
                f"edge.upstream_name = {self.upstream_name!r} is not a name", advice="Use 1 to 40 of a-z, 0-9 and -."
            )

    @property
    def opens(self) -> bool:
        """Whether there is any door."""
        return self.listen is not None or self.upstream is not None

    @property
    def group_id(self) -> int:
        """The id of `group`; raise `SettingsError` where the machine has no such group."""
        try:
            return grp.getgrnam(self.group or "").gr_gid
        except KeyError as error:
            raise SettingsError(
                f"edge.group = {self.group!r} is no group of this machine",
                advice="Name the group that your proxy runs in, as www-data.",
            ) from error

    def _check_classes(self) -> None:
        known = {"default", *self.limits.classes}
        for name in self.limits.classes:
            if not _NAME.fullmatch(name) or name == "default":
                raise SettingsError(
                    f"edge.limits.classes.{name} is not a name for a class", advice="Use 1 to 40 of a-z, 0-9 and -."
                )
        for route in self.routes:
            if route.route_class not in known:
                raise SettingsError(
                    f"edge.routes: {route.match!r} is of the class {route.route_class!r}, which has no limits",
                    advice=f"Add [edge.limits.classes.{route.route_class}], or use one of {', '.join(sorted(known))}.",
                )

    def _check_door(self, listen: str) -> None:
        if not self.trusted_proxies:
            raise SettingsError(
                "edge.listen opens a door, and edge.trusted_proxies names nobody who may ask there",
                advice='Add trusted_proxies = ["unix"] for a unix socket, or the networks of your proxies.',
            )
        if listen.startswith("unix:"):
            if not Path(listen[5:]).is_absolute() or len(listen) > 105:
                raise SettingsError(
                    f"edge.listen = {listen!r} is not an absolute path of at most 100 letters",
                    advice='Write it as "unix:/run/heldtrue/edge.sock".',
                )
            if UNIX not in self.trusted_proxies:
                raise SettingsError(
                    "edge.listen is a unix socket, and edge.trusted_proxies does not trust who may open it",
                    advice='Add "unix" to trusted_proxies.',
                )
            return
        host, _ = host_and_port("edge.listen", listen)
        if host not in LOOPBACK and self.client_ca is None:
            raise SettingsError(
                f"edge.listen = {listen!r} is reached over a network, and edge.client_ca is not set",
                advice='Set client_ca to the PEM authority of your proxies\' certificates, or listen on "unix:/path".',
            )

    def _check_proxy(self) -> None:
        if (self.upstream is None) != (self.proxy_listen is None):
            missing, there = ("upstream", "proxy_listen") if self.upstream is None else ("proxy_listen", "upstream")
            raise SettingsError(
                f"edge.{there} is set and edge.{missing} is not",
                advice='The proxy needs both: upstream = "http://127.0.0.1:3000", proxy_listen = "0.0.0.0:443".',
            )
        if self.upstream is None or self.proxy_listen is None:
            return
        host_and_port("edge.proxy_listen", self.proxy_listen)
        parts = urlsplit(self.upstream)
        bare = not parts.path.strip("/") and not parts.query and not parts.fragment and not parts.username
        if parts.scheme not in {"http", "https"} or not parts.hostname or not bare:
            raise SettingsError(
                f"edge.upstream = {self.upstream!r} is not the origin of an API",
                advice='Write it without a path, as "http://127.0.0.1:3000".',
            )


def host_and_port(name: str, text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` (an IPv6 host in brackets); *name* is the setting's."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise SettingsError(f"{name} = {text!r} is not HOST:PORT", advice='Write it as "127.0.0.1:8444".')
    return host, int(port)
