"""The delivery ledger and the statistics of an endpoint, as they are asked for and told; no SQL, no HTTP.

What counts as promised is defined in docs/guides/delivery-ledger.md, and nowhere else differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec

from heldtrue.kernel.errors import BadInputError

MOST_MONTHS = 24
USUAL_MONTHS = 12
NEWEST = 20_000
"""Deliveries of an endpoint that its statistics look at; there may be more in the days that are asked for."""
LONGEST_LIFE = timedelta(days=4)
"""From a delivery's making to its last scheduled attempt, jitter included."""

Month = Annotated[str, msgspec.Meta(pattern="^20[0-9]{2}-(0[1-9]|1[0-2])$(?!\n)", description="A month in UTC.")]


class MonthRangeError(BadInputError):
    """The first month must not be after the last, and they span at most 24 months; ask for fewer."""

    code = "month-range"


class LedgerQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for months of the delivery ledger, both ends included; without them, the last twelve."""

    first: Month | None = msgspec.field(default=None, name="from")
    last: Month | None = msgspec.field(default=None, name="to")

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """Return the moments from which and before which promises were made; raise `MonthRangeError`."""
        last = _month(self.last) if self.last else date(now.year, now.month, 1)
        first = _month(self.first) if self.first else _before(last, USUAL_MONTHS - 1)
        if first > last or _before(last, MOST_MONTHS - 1) > first:
            raise MonthRangeError(f"from {first:%Y-%m} to {last:%Y-%m} is no span of 1 to {MOST_MONTHS} months")
        return _start(first), _start(_before(last, -1))


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was promised in a month and what came of it; the docs define each."""

    promised: int
    """All deliveries of payloads, but for those withdrawn."""
    delivered: int
    """Answered with 2xx within the schedule."""
    delivered_first_try: int
    delivered_within_24h: int
    failed: int
    """The schedule ended, or the endpoint was disabled because it kept failing."""
    recovered: int
    """Of those failed: arrived later, by a replay."""
    held: int
    """They wait: their endpoint is disabled by its owner, or said that it is gone (410)."""
    pending: int
    """Within the schedule, not arrived yet."""
    withdrawn: int
    """Not promised any more: endpoint deleted or payload erased before the schedule ended."""
    ratio: float | None
    """delivered / (delivered + failed), cut after six digits and so never rounded up; null before any has settled."""


class LedgerMonth(Figures, frozen=True, kw_only=True):
    """A month of an organisation's environment."""

    month: str


class PlanMonth(Figures, frozen=True, kw_only=True):
    """A month of all customers on a plan."""

    plan: str
    month: str
    organisations: int
    """That had something promised."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What was promised and what arrived, by month, the oldest first; months without promises are left out."""

    data: list[LedgerMonth]


class PlanLedger(msgspec.Struct, frozen=True, kw_only=True):
    """What was promised and what arrived, by plan and month; the operator's and synthetic organisations left out."""

    data: list[PlanMonth]


class StatisticsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks how an endpoint answered."""

    endpoint_id: str
    days: Annotated[int, msgspec.Meta(ge=1, le=30, description="How far back.")] = 7


class HourOfAttempts(msgspec.Struct, frozen=True, kw_only=True):
    """One hour of an endpoint's attempts; hours without any are left out."""

    hour: datetime
    attempts: int
    delivered: int
    p50_ms: int | None
    """Of attempts that were answered, whatever the answer was."""
    p95_ms: int | None
    failures: dict[str, int]
    """By word: `timeout`, `tls`, `connect` … where no answer came, `http-4xx` and the like where one did."""


class EndpointStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint answered, by hour, the oldest first."""

    endpoint_id: str
    since: datetime
    until: datetime
    attempts: int
    delivered: int
    p50_ms: int | None
    p95_ms: int | None
    complete: bool
    """False: there were more deliveries than are looked at, and the oldest of the days are missing."""
    hours: list[HourOfAttempts]


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts of one group of deliveries, as the database has them."""

    promised: int
    delivered: int
    delivered_first_try: int
    delivered_within_24h: int
    failed: int
    recovered: int
    held: int
    pending: int
    withdrawn: int

    def figures(self) -> dict[str, int | float | None]:
        """Return them with the ratio."""
        counts = {field.name: int(getattr(self, field.name)) for field in fields(Counted)}
        settled = self.delivered + self.failed
        return {**counts, "ratio": self.delivered * 1_000_000 // settled / 1_000_000 if settled else None}


@dataclass(frozen=True, slots=True)
class HourRow:
    """Attempts of one hour, or of all (`hour` None)."""

    hour: datetime | None
    attempts: int
    delivered: int
    p50_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True)
class FailureRow:
    """Failed attempts of one hour by one word."""

    hour: datetime
    word: str
    count: int


def statistics(
    endpoint_id: str, since: datetime, until: datetime, rows: Sequence[HourRow], failed: Iterable[FailureRow], seen: int
) -> EndpointStatistics:
    """Put an endpoint's statistics together; *rows* has one hour each, and one row of all."""
    words: dict[datetime, dict[str, int]] = {}
    for row in failed:
        words.setdefault(row.hour, {})[row.word] = row.count
    whole = next((row for row in rows if row.hour is None), HourRow(None, 0, 0, None, None))
    return EndpointStatistics(
        endpoint_id=endpoint_id,
        since=since,
        until=until,
        attempts=whole.attempts,
        delivered=whole.delivered,
        p50_ms=whole.p50_ms,
        p95_ms=whole.p95_ms,
        complete=seen <= NEWEST,
        hours=[
            HourOfAttempts(
                hour=row.hour,
                attempts=row.attempts,
                delivered=row.delivered,
                p50_ms=row.p50_ms,
                p95_ms=row.p95_ms,
                failures=words.get(row.hour, {}),
            )
            for row in rows
            if row.hour is not None
        ],
    )


def earliest_id(at: datetime) -> UUID:
    """Return the least UUIDv7 of that moment: ids are ordered by time, so a range of ids is a range of time."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def _month(text: str) -> date:
    return date(int(text[:4]), int(text[5:]), 1)


def _before(month: date, count: int) -> date:
    index = month.year * 12 + month.month - 1 - count
    return date(index // 12, index % 12 + 1, 1)


def _start(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)
