"""What the broker is told of one execution, credentials among it, and what it tells afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from heldtrue.capabilities.egress.hosts import Host, HostError, parse_host

KIB, MIB = 1 << 10, 1 << 20
REFERENCE = re.compile(r"\{\{credential:([a-z0-9][a-z0-9_-]{0,62})\}\}")
FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
"""A token (RFC 9110, section 5.1)."""
FIELD_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?", re.ASCII)
"""Visible ASCII with blanks within (RFC 9110, section 5.5): no line can be ended in it."""
OURS = frozenset(
    {
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection",
        "proxy-authorization", "te", "trailer", "upgrade", "expect", "accept-encoding",
    }
)  # fmt: skip
"""Fields that frame the message or belong to the connection; nobody else sets them."""


class Caps(msgspec.Struct, frozen=True):
    """What one execution may do outside. Sizes in bytes."""

    calls: int = 20
    question: int = MIB
    """The body of one request."""
    answer: int = 2 * MIB
    """The body of one response."""
    total: int = 16 * MIB
    """All bodies of an execution, both ways."""
    call_seconds: float = 10.0


class GrantRule(msgspec.Struct, frozen=True):
    """A host, and the header fields that the broker adds for it."""

    host: str
    headers: Mapping[str, str] = {}
    """Values may hold `{{credential:NAME}}`."""
    withheld: str = ""
    """The optional sub-processor whose host it is, where the organisation has not opted in: the call is refused."""


class GrantCredential(msgspec.Struct, frozen=True):
    """A credential in clear, on its way to the broker; and the hosts that it may be sent to."""

    value: str
    hosts: tuple[str, ...]

    def __repr__(self) -> str:
        return "GrantCredential(<secret>)"


class Grant(msgspec.Struct, frozen=True):
    """What one execution may call; everything else is refused."""

    rules: tuple[GrantRule, ...]
    credentials: Mapping[str, GrantCredential] = {}
    caps: Caps = Caps()

    def __repr__(self) -> str:
        return f"Grant({len(self.rules)} rules)"

    def rule(self, host: Host) -> GrantRule | None:
        """Return the rule of *host*."""
        return next((rule for rule in self.rules if rule.host == str(host)), None)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call, as it is recorded: never a path, a body, a header or a credential."""

    host: str
    """As it was asked for, shortened; `?` where it could not be read."""
    method: str
    status: int | None = None
    refused: str | None = None
    """Why there is no status: a code of `docs/guides/transforms.md`."""
    sent: int = 0
    received: int = 0
    milliseconds: int = 0
    credentials: tuple[str, ...] = ()
    """Names of those that went with it."""


class Calls(msgspec.Struct, frozen=True):
    """Everything that an execution called."""

    calls: tuple[Call, ...] = ()
    beyond: int = 0
    """How many more were refused, after the last one allowed."""


class RefusedCallError(Exception):
    """The call is not made, or its answer is not handed over; the code is told why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def referenced(template: str) -> list[str]:
    """Return the names of the credentials that a header's template refers to."""
    return REFERENCE.findall(template)


def filled(rule: GrantRule, credentials: Mapping[str, GrantCredential]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the fields of *rule* with their credentials in clear, and the names of these; raise `RefusedCallError`
    for one that is not there any more, or may not go to this host.
    """
    used: dict[str, None] = {}
    made: dict[str, str] = {}

    def value_of(found: re.Match[str]) -> str:
        name = found[1]
        credential = credentials.get(name)
        if credential is None:
            raise RefusedCallError("no-credential", f"the credential {name} was deleted: create it, or change the rule")
        if rule.host not in credential.hosts:
            raise RefusedCallError("credential-host", f"the credential {name} may not be sent to {rule.host}")
        used[name] = None
        return credential.value

    for field, template in rule.headers.items():
        made[field.lower()] = value = REFERENCE.sub(value_of, template)
        if not FIELD_VALUE.fullmatch(value):
            raise RefusedCallError("bad-credential", f"the header {field} would hold a character that is not allowed")
    return made, tuple(used)


def field_problem(name: str, value: str) -> str | None:
    """Return why a header field cannot be sent; None when it can."""
    if not FIELD_NAME.fullmatch(name):
        return f"{name[:100]!r} is not a name of a header"
    if name.lower() in OURS:
        return f"the header {name} is not yours to set"
    if not FIELD_VALUE.fullmatch(value):
        return f"the header {name} holds a line end or another character outside of visible ASCII"
    return None


def host_problem(text: str) -> str | None:
    """Return why *text* is no host in its one spelling; None when it is."""
    try:
        host = parse_host(text)
    except HostError as error:
        return str(error)
    return None if str(host) == text else f"write {host}: 443 is meant without saying it"
