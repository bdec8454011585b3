"""A report of a vulnerability: its states and the moves between them, its clock, and what it is refused for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from types import MappingProxyType
from uuid import UUID

from heldtrue.kernel.errors import BadInputError, ConflictError, LimitedError, NotFoundError
from heldtrue.kernel.ids import Id

ACKNOWLEDGED_WITHIN = 1
"""Business days from a report's arrival to its acknowledgement."""
LONGEST_TEXT = 65_536
"""Characters of one message."""
MOST_MESSAGES = 50
"""Messages of one report, the company's own included."""
MOST_A_DAY = 500
"""Reports that are taken in 24 hours, whoever sends them."""
BEGIN_PGP = "-----BEGIN PGP MESSAGE-----"


class ReportId(Id):
    """A report of a vulnerability."""

    prefix = "rep"


@unique
class State(StrEnum):
    """Where a report stands."""

    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    TRIAGED = "triaged"
    CONFIRMED = "confirmed"
    FIXED = "fixed"
    DISCLOSED = "disclosed"
    NOT_APPLICABLE = "not-applicable"
    DUPLICATE = "duplicate"


MOVES: MappingProxyType[State, frozenset[State]] = MappingProxyType(
    {
        State.RECEIVED: frozenset({State.ACKNOWLEDGED}),
        State.ACKNOWLEDGED: frozenset({State.TRIAGED, State.NOT_APPLICABLE, State.DUPLICATE}),
        State.TRIAGED: frozenset({State.TRIAGED, State.CONFIRMED, State.NOT_APPLICABLE, State.DUPLICATE}),
        State.CONFIRMED: frozenset({State.FIXED}),
        State.FIXED: frozenset({State.DISCLOSED}),
        State.DISCLOSED: frozenset(),
        State.NOT_APPLICABLE: frozenset(),
        State.DUPLICATE: frozenset(),
    }
)
"""Every legal move; nothing is closed that was not acknowledged, and nothing confirmed is closed unfixed."""
OPEN = frozenset({State.RECEIVED, State.ACKNOWLEDGED, State.TRIAGED, State.CONFIRMED})
REWARDED = frozenset({State.CONFIRMED, State.FIXED, State.DISCLOSED})
"""States in which a reward may be recorded: the vulnerability is confirmed."""


class UnknownReportError(NotFoundError):
    """There is no such report; `heldtrue reports list` names those there are."""

    code = "unknown-report"


class IllegalMoveError(ConflictError):
    """A report cannot go from its state to that one; the message names the states that it can go to."""

    code = "illegal-move"


class TooManyReportsError(LimitedError):
    """More reports came than are taken at once; wait as long as `Retry-After` says, or write to the contact."""

    code = "too-many-reports"


class TooManyMessagesError(ConflictError):
    """A report holds at most 50 messages; open another report, or write to the contact."""

    code = "too-many-messages"


class UnreadableMessageError(BadInputError):
    """A message is text of 1 to 65,536 characters; one that is encrypted is a whole OpenPGP message in ASCII armour."""

    code = "unreadable-message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as stored; what was written is sealed elsewhere."""

    report_id: UUID
    state: State
    encrypted: bool
    calendar: str
    zone: str
    received_at: datetime
    due_at: datetime
    """By when it must be acknowledged; set once, at arrival."""
    acknowledged_at: datetime | None = None
    vector: str | None = None
    score_tenths: int | None = None
    severity: str | None = None
    duplicate_of: UUID | None = None
    award_cents: int | None = None
    awarded_at: datetime | None = None
    closed_at: datetime | None = None
    thanked_at: datetime | None = None

    @property
    def id(self) -> ReportId:
        """Its id."""
        return ReportId(self.report_id)

    def overdue(self, now: datetime) -> bool:
        """Return whether nobody has acknowledged it and its time is over."""
        return self.acknowledged_at is None and now > self.due_at

    def late(self) -> bool:
        """Return whether it was acknowledged after its time was over."""
        return self.acknowledged_at is not None and self.acknowledged_at > self.due_at


def move(before: State, after: State) -> State:
    """Return *after*; raise `IllegalMoveError` when a report cannot go there from *before*."""
    if after not in MOVES[before]:
        onward = ", ".join(sorted(MOVES[before]))
        raise IllegalMoveError(
            f"A report that is {before} cannot become {after}.",
            advice=f"From here it can become: {onward}." if onward else "It is closed.",
        )
    return after


def judge_text(text: str) -> bool:
    """Return whether *text* is an OpenPGP message; raise `UnreadableMessageError` for what is no message at all."""
    stripped = text.strip()
    if not stripped or len(text) > LONGEST_TEXT or "\0" in text:
        raise UnreadableMessageError
    if not stripped.startswith(BEGIN_PGP):
        return False
    if not stripped.endswith("-----END PGP MESSAGE-----"):
        raise UnreadableMessageError("The OpenPGP message is cut off; paste all of it, its last line included.")
    return True
