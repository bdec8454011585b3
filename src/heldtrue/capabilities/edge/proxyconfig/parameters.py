"""What a generated proxy configuration is made of; each value is checked, for it is written into a program's input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from heldtrue.kernel.errors import BadInputError

Kind = Literal["nginx", "caddy", "traefik", "envoy"]

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]")
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]{1,200}")
_IPV4 = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|\[::1\]")


class UnusableParameterError(BadInputError):
    """A value cannot stand in a proxy's configuration; the message names it and says how to write it."""

    code = "unusable-parameter"


def check_path(name: str, path: str) -> None:
    """Raise unless *path* is absolute and of characters that no configuration gives a meaning to."""
    if _PATH.fullmatch(path) is None or "/../" in path:
        raise UnusableParameterError(
            f"{name} = {path!r} is not a path that can be written into a configuration",
            advice="Use an absolute path of letters, digits and . _ / @ + -",
        )


def check_number(name: str, value: int, low: int, high: int) -> None:
    """Raise unless *value* lies between *low* and *high*."""
    if not low <= value <= high:
        raise UnusableParameterError(
            f"{name} = {value} is out of range", advice=f"Choose between {low:,} and {high:,}."
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens: a unix socket, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_unix(self) -> bool:
        """Return whether it is a socket in the file system."""
        return bool(self.path)

    @property
    def is_loopback(self) -> bool:
        """Return whether what is sent there stays on this machine."""
        return self.is_unix or _LOOPBACK.fullmatch(self.host) is not None

    @property
    def is_ip(self) -> bool:
        """Return whether the host is an address and not a name."""
        return self.host.startswith("[") or _IPV4.fullmatch(self.host) is not None

    @property
    def authority(self) -> str:
        """Return `host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """Return the host without the brackets of an IPv6 address."""
        return self.host.removeprefix("[").removesuffix("]")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorTls:
    """The client certificate that a door on another machine demands, and the authority that signed the door's own."""

    ca: str
    cert: str
    key: str

    def __post_init__(self) -> None:
        for name, path in (("door-ca", self.ca), ("door-cert", self.cert), ("door-key", self.key)):
            check_path(name, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. A client that is slower is cut off; a door that is slower is a refusal."""

    header: int = 10
    body: int = 15
    idle: int = 60
    door: int = 3
    upstream: int = 60

    def __post_init__(self) -> None:
        for name in ("header", "body", "idle", "door", "upstream"):
            check_number(f"timeout {name}", getattr(self, name), 1, 86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much one address may ask for before anybody knows who it is, and how large a request may be."""

    body_bytes: int = 1024 * 1024
    header_bytes: int = 16 * 1024
    connections: int = 100
    requests_per_second: int = 200
    burst: int = 400

    def __post_init__(self) -> None:
        check_number("body-limit", self.body_bytes, 1024, 10 * 1024**3)
        check_number("header limit", self.header_bytes, 4096, 64 * 1024)
        check_number("connections", self.connections, 1, 1_000_000)
        check_number("rate", self.requests_per_second, 1, 1_000_000)
        check_number("burst", self.burst, 1, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Everything that a template may say about one installation."""

    public_host: str
    upstream: Place
    upstream_tls: bool = False
    door: Place
    door_tls: DoorTls | None = None
    cert: str | None = None
    key: str | None = None
    listen: str = ""
    """Address to listen on; empty: every one."""
    port: int = 443
    redirect: bool = False
    """Answer on port 80 with a redirect; without it nothing listens there."""
    waf: bool = True
    caps: Caps = Caps()
    timeouts: Timeouts = Timeouts()

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.public_host) is None:
            raise UnusableParameterError(
                f"public-host = {self.public_host!r} is not a host name",
                advice="Write the name in lower case, without scheme and port, as api.example.com.",
            )
        if self.upstream.is_unix and self.upstream_tls:
            raise UnusableParameterError("an upstream on a unix socket speaks no TLS", advice="Use http there.")
        if (self.cert is None) != (self.key is None):
            raise UnusableParameterError("cert and key go together", advice="Give both, or neither.")
        for name, path in (("cert", self.cert), ("key", self.key)):
            if path is not None:
                check_path(name, path)
        if self.listen and _HOST.fullmatch(self.listen) is None:
            raise UnusableParameterError(f"listen = {self.listen!r} is no address", advice="Write it as 203.0.113.7.")
        check_number("port", self.port, 1, 65535)
        if not self.door.is_loopback and self.door_tls is None:
            raise UnusableParameterError(
                f"the door at {self.door.authority} is on another machine and needs a client certificate",
                advice="Give --door-ca, --door-cert and --door-key, or use a unix socket.",
            )
        if self.door.is_unix and self.door_tls is not None:
            raise UnusableParameterError(
                "a door on a unix socket speaks no TLS", advice="Leave --door-ca, --door-cert and --door-key out."
            )


def parse_door(text: str) -> Place:
    """Return where `unix:/path` or `HOST:PORT` is."""
    return _unix("door", text) if text.startswith("unix:") else _host_port("door", text, 0)


def parse_upstream(text: str) -> tuple[Place, bool]:
    """Return where `http://host:port`, `https://host` or `unix:/path` is, and whether it speaks TLS."""
    if text.startswith("unix:"):
        return _unix("upstream", text), False
    scheme, _, rest = text.partition("://")
    if scheme not in {"http", "https"} or not rest:
        raise UnusableParameterError(
            f"upstream = {text!r} is not an origin",
            advice="Write it as http://127.0.0.1:3000, https://internal.example.com or unix:/run/api.sock.",
        )
    return _host_port("upstream", rest.removesuffix("/"), 443 if scheme == "https" else 80), scheme == "https"


def _unix(name: str, text: str) -> Place:
    path = text.removeprefix("unix:")
    check_path(name, path)
    return Place(path=path)


def _host_port(name: str, text: str, default: int) -> Place:
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, str(default or "")
    if _HOST.fullmatch(host) is None or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UnusableParameterError(
            f"{name} = {text!r} is not HOST:PORT", advice="Write it as 127.0.0.1:8444, an IPv6 address in brackets."
        )
    return Place(host=host, port=int(port))
