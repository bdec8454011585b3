"""Credentials and egress rules as they are remembered and told; no SQL, no HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from heldtrue.capabilities.egress.grants import FIELD_VALUE, REFERENCE, field_problem, host_problem
from heldtrue.capabilities.egress.masking import SHORTEST
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError

PURPOSE = "egress"
"""The purpose of the tenant key that rules, names and hosts are sealed under."""
MAX_CREDENTIALS = 100
"""Of an environment."""
MAX_RULES, MAX_HEADERS, MAX_HOSTS = 20, 10, 20
LONGEST_VALUE = 8000


class NoSuchCredentialError(NotFoundError):
    """There is no such credential in this organisation and environment; check the id or name."""

    code = "no-such-credential"


class CredentialExistsError(ConflictError):
    """A credential of that name is there already; replace it (PUT), or choose another name."""

    code = "credential-exists"


class CredentialValueError(BadInputError):
    """A credential is sent in a header: 8 to 8,000 visible ASCII characters, without line ends."""

    code = "credential-value"


class EgressRuleError(BadInputError):
    """The rule cannot be kept as it is; the detail says what to change."""

    code = "egress-rule"


class CredentialConfig(msgspec.Struct, frozen=True):
    """What is remembered of a credential beside its value; sealed."""

    name: str
    hosts: tuple[str, ...]
    description: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A host that a transform may call, and the header fields that are added for it."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=260, description="name or name:port, in lower case")]
    headers: dict[str, str] = {}
    """Values may hold `{{credential:NAME}}`, which the code never sees."""


class Rules(msgspec.Struct, frozen=True):
    """A transform's rules with the credentials that they name, as they were when the rules were written; sealed."""

    rules: tuple[Rule, ...] = ()
    credentials: dict[str, str] = {}
    """Name → id: a later credential of the same name is another one."""


def check_value(value: str) -> None:
    """Return when *value* can be a credential."""
    if not SHORTEST <= len(value) <= LONGEST_VALUE or not FIELD_VALUE.fullmatch(value):
        raise CredentialValueError


def check_hosts(hosts: list[str]) -> None:
    """Return when each of *hosts* is written in the one way that is compared."""
    for host in hosts:
        problem = host_problem(host)
        if problem is not None:
            raise EgressRuleError(problem)
    if len(set(hosts)) != len(hosts):
        raise EgressRuleError("a host is named twice")


def check_rules(rules: list[Rule]) -> None:
    """Return when *rules* can be kept, credentials aside."""
    check_hosts([rule.host for rule in rules])
    for rule in rules:
        if len(rule.headers) > MAX_HEADERS:
            raise EgressRuleError(f"{rule.host}: a rule adds {MAX_HEADERS} headers at the most")
        if len({name.lower() for name in rule.headers}) != len(rule.headers):
            raise EgressRuleError(f"{rule.host}: a header is named twice")
        for name, template in rule.headers.items():
            rest = REFERENCE.sub("", template)
            problem = field_problem(name, REFERENCE.sub("x", template))
            if problem is None and "{{" in rest:
                problem = f"the header {name} has a reference that is not {{{{credential:NAME}}}}"
            if problem is not None:
                raise EgressRuleError(f"{rule.host}: {problem}")


# ---------------------------------------------------------------- wire

CredentialName = Annotated[
    str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9_-]{0,62}$", description="What rules call it by.")
]
Hosts = Annotated[
    list[str], msgspec.Meta(min_length=1, max_length=MAX_HOSTS, description="The hosts that it may be sent to.")
]
Value = Annotated[str, msgspec.Meta(max_length=LONGEST_VALUE, description="The secret; never shown again.")]
Description = Annotated[str, msgspec.Meta(max_length=500)]


class CreateCredential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a credential to be kept."""

    name: CredentialName
    value: Value
    hosts: Hosts
    description: Description = ""

    def __repr__(self) -> str:
        return f"CreateCredential({self.name!r}, <secret>)"


class ReplaceCredential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for another value or other hosts; what is left out stays. The old value is destroyed."""

    credential_id: str
    value: Value | None = None
    hosts: Hosts | None = None
    description: Description | None = None

    def __repr__(self) -> str:
        return f"ReplaceCredential({self.credential_id!r}, <secret>)"


class TheCredential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a credential."""

    credential_id: str


class ListCredentials(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for credentials, newest first; deleted ones are left out."""


class CredentialView(msgspec.Struct, frozen=True, kw_only=True):
    """A credential; its value is shown to nobody."""

    id: str
    name: str
    hosts: list[str]
    description: str
    version: int
    created_at: datetime
    replaced_at: datetime | None


class CredentialDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """A credential whose value is destroyed; rules that name it refuse their calls."""

    id: str
    state: Literal["deleted"]


class TheEgress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a transform whose rules are asked for."""

    transform_id: str


class SetEgress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for rules in the place of those before; none: nobody may be called."""

    transform_id: str
    rules: Annotated[list[Rule], msgspec.Meta(max_length=MAX_RULES)]


class EgressView(msgspec.Struct, frozen=True, kw_only=True):
    """What a transform may call."""

    transform_id: str
    rules: list[Rule]
    changed_at: datetime | None


class CallView(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a run."""

    host: str
    method: str
    status: int | None
    refused: str | None
    sent: int
    received: int
    milliseconds: int
    credentials: list[str]


class EgressSessionView(msgspec.Struct, frozen=True, kw_only=True):
    """What one try of a step called; `unknown`: it was interrupted, and may have called."""

    position: int
    outcome: Literal["open", "closed", "unknown"]
    opened_at: datetime
    closed_at: datetime | None
    calls: list[CallView]
    beyond: int
    """Calls that were refused because there were too many."""
