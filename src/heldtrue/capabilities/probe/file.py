"""The probe's own file: the target, two organisations, how to send a credential, example values; no secret in it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from heldtrue.capabilities.probe.model import METHODS, ProbeInputError

_URI = re.compile(r"(file|env):.+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AT = re.compile(r"[A-Z]+ /\S*")


class Send(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the target takes a credential, and where it must not take it from."""

    header: str = "Authorization"
    prefix: str = "Bearer "
    query: tuple[str, ...] = ("access_token", "api_key", "token", "key")
    """Parameters that the credential is tried in; empty: not tried."""


class Organisation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A test organisation of the target's."""

    credential: str
    """`file:/path` (mode 0600) or `env:NAME`."""
    marks: tuple[str, ...] = ()
    """Texts that only this organisation's answers may hold."""


class Organisations(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The two: what is attacked is a's, and it is attacked as b."""

    a: Organisation
    b: Organisation


class Credentials(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """More credentials, each as a secret URI; checks that need one that is missing are reported as not made."""

    expired: str | None = None
    revoked: str | None = None
    lower: str | None = None
    """Of organisation a, of a role that must not use the routes in `admin`."""
    admin: str | None = None
    """That may use the routes in `admin`, when a's own must not."""


class Discover(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where an organisation's own value is found: a list route, and a JSON pointer (RFC 6901) into its answer."""

    route: str
    pointer: str


class Parameter(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Values of a parameter."""

    a: str | None = None
    b: str | None = None
    discover: Discover | None = None
    absent: str | None = None
    """A value of the right form that names nothing; made from a's when it is not given."""


class ProbeFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Everything that an operator can say of the target."""

    base_url: str
    organisations: Organisations
    ca_file: str | None = None
    send: Send = Send()
    credentials: Credentials = Credentials()
    parameters: dict[str, Parameter] = {}
    bodies: dict[str, Any] = {}
    """By route: an example body, sent as JSON; or `{a = …, b = …}` where it names things of an organisation."""
    public: tuple[str, ...] = ()
    """Routes that take no credential on purpose; `*` stands for any text."""
    admin: tuple[str, ...] = ()
    """Routes that a lower role must not use."""
    skip: tuple[str, ...] = ()
    """Routes that are left alone."""
    hidden: tuple[str, ...] = ()
    """Names of JSON members that no answer may have."""
    methods: tuple[Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"], ...] = ()
    """Methods that may be sent beside GET, HEAD and OPTIONS."""
    timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 15.0

    def __post_init__(self) -> None:
        check_base(self.base_url)
        given = self.credentials
        named = {
            "organisations.a.credential": self.organisations.a.credential,
            "organisations.b.credential": self.organisations.b.credential,
            "credentials.expired": given.expired, "credentials.revoked": given.revoked,
            "credentials.lower": given.lower, "credentials.admin": given.admin,
        }  # fmt: skip
        for name, uri in named.items():
            if uri is not None and not _URI.fullmatch(uri):
                raise ProbeInputError(
                    f"{name} is no secret URI",
                    advice=f'Put the credential into a file with mode 0600 and write {name} = "file:/path/to/it".',
                )
        if not _TOKEN.fullmatch(self.send.header):
            raise ProbeInputError(f"send.header = {self.send.header!r} is no name of a header")
        for at in (*self.public, *self.admin, *self.skip):
            if not _AT.fullmatch(at.replace("* ", "GET ", 1) if at.startswith("* ") else at):
                raise ProbeInputError(f"{at!r} is no route", advice='Write it as "GET /v1/orders/*".')
        for name, parameter in self.parameters.items():
            if parameter.discover is None and parameter.a is None:
                raise ProbeInputError(f"parameters.{name} has no value of a", advice="Write a and b, or discover.")

    @property
    def base(self) -> str:
        """The target's URL, without a slash at its end."""
        return self.base_url.rstrip("/")


def parse(found: Mapping[str, Any]) -> ProbeFile:
    """Return the file's content; raise `ProbeInputError` for anything that is not a setting of it."""
    try:
        return msgspec.convert(dict(found), ProbeFile)
    except msgspec.ValidationError as error:
        raise ProbeInputError(f"the probe's file: {error}", advice="See `docs/guides/probe.md`.") from error


def check_base(url: str) -> None:
    """Return if *url* may be sent credentials; clear text only to loopback. Raise `ProbeInputError` otherwise."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ProbeInputError(f"base_url = {url!r} is no URL", advice='Write it as "https://api.example.com".')
    if parts.scheme == "http" and not _loopback(parts.hostname):
        raise ProbeInputError("base_url is not https, and credentials are sent there", advice="Use https.")


def allowed(file: ProbeFile, more: tuple[str, ...]) -> frozenset[str]:
    """Return the methods that may be sent: the safe ones, the file's, and *more*."""
    for method in more:
        if method not in METHODS:
            raise ProbeInputError(
                f"{method!r} is no method that can be allowed", advice=f"One of {', '.join(METHODS)}."
            )
    return frozenset({"GET", "HEAD", "OPTIONS", *file.methods, *more})


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
