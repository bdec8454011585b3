"""What a gate lets through: thresholds, evidence that must be there, how long it holds, when findings are due. Pure."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from heldtrue.capabilities.disclosure.scoring import RANK, Severity
from heldtrue.capabilities.evidence.model import Kind
from heldtrue.capabilities.registers import model as registers
from heldtrue.capabilities.registers.model import Change
from heldtrue.kernel.errors import BadInputError

Days = Annotated[int, msgspec.Meta(ge=1, le=3650)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
ITEM = "policy"
LONGEST_EXCUSE = timedelta(days=365)


class PolicyRefusedError(BadInputError):
    """The gate's policy is not TOML of the documented form; the message says what is wrong."""

    code = "policy-refused"


class ExcuseRefusedError(BadInputError):
    """A finding is set aside only with a reason, an owner and an end within a year; give all three."""

    code = "excuse-refused"


class DueDays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days from a finding's first sight to its resolution."""

    critical: Days = 7
    high: Days = 30
    medium: Days = 90
    low: Days = 180
    none: Days = 365

    def due(self, severity: Severity, first_seen: datetime) -> datetime:
        """Return when a finding of *severity* is due."""
        return first_seen + timedelta(days=getattr(self, severity.value))


class ValidDays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days for which evidence of a kind holds."""

    sarif: Days = 7
    sbom: Days = 30
    vex: Days = 90
    tests: Days = 7
    review: Days = 30
    letter: Days = 100
    asff: Days = 2
    scc: Days = 2
    defender: Days = 2

    def of(self, kind: Kind) -> timedelta:
        """Return how long evidence of *kind* holds."""
        return timedelta(days=getattr(self, kind.value))


class Excuse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding that is set aside for a while."""

    rule: Line
    reason: Line
    owner: Line
    expires: date
    place: str | None = None
    """Only there; without it, wherever the rule finds something."""


class GatePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a gate lets through."""

    threshold: Literal["critical", "high", "medium", "low"] = "critical"
    """Findings of this severity and graver block."""
    required: tuple[Literal["sarif", "sbom", "vex", "tests", "review", "letter", "asff", "scc", "defender"], ...] = ()
    """Kinds of evidence that must be there and not expired."""
    valid_days: ValidDays = ValidDays()
    due_days: DueDays = DueDays()
    excuses: tuple[Excuse, ...] = ()
    """In files only; on an instance findings are accepted one by one."""

    def blocks(self, severity: Severity) -> bool:
        """Return whether a finding of *severity* blocks."""
        return RANK[severity] >= RANK[Severity(self.threshold)]


def parse(text: str, now: datetime) -> GatePolicy:
    """Return the policy written in TOML; raise `PolicyRefusedError` or `ExcuseRefusedError`."""
    try:
        found = msgspec.convert(tomllib.loads(text), GatePolicy)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PolicyRefusedError(f"the gate's policy: {error}", advice="See `docs/guides/evidence.md`.") from error
    for one in found.excuses:
        judge_excuse(one.reason, one.owner, one.expires, now)
    return found


def judge_excuse(reason: str, owner: str, until: date, now: datetime) -> None:
    """Return when a finding may be set aside so; raise `ExcuseRefusedError`. One that is over excuses nothing."""
    if not reason.strip() or not owner.strip():
        raise ExcuseRefusedError
    if until > (now + LONGEST_EXCUSE).date():
        raise ExcuseRefusedError(f"{until} is more than a year away.")


def _judge(change: Change[GatePolicy]) -> None:
    if change.item != ITEM:
        raise PolicyRefusedError(f"The register of the gate has one item, called {ITEM!r}.")
    if change.document is not None and change.document.excuses:
        raise PolicyRefusedError("Excuses belong into files; here, accept findings one by one.")


GATE = registers.Kind(name="gate", title="What the gate lets through", type=GatePolicy, public=True, guard=_judge)
KINDS: tuple[registers.Kind[Any], ...] = (GATE,)
"""For the one table of registers."""
