"""Refused anonymous requests, counted by minute: strangers cannot make the log grow by knocking.

Per minute there is one summary, however many knocked: how many, for which reasons, from how many sources. Addresses
are not in it, because the summary is logged in clear.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MOST_SOURCES = 10_000
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class RefusedSummary:
    """The refused anonymous requests of one minute."""

    minute: datetime
    """The minute's beginning."""
    count: int
    reasons: Mapping[str, int]
    """Problem codes, as `unauthenticated`, and how often each."""
    sources: int
    """Different source addresses seen; counting stops at `MOST_SOURCES`."""


@dataclass(slots=True)
class _Minute:
    reasons: Counter[str] = field(default_factory=Counter)
    sources: set[str] = field(default_factory=set)


class Refusals:
    """The counts of the running minute and of those not collected yet; safe to use from several threads."""

    def __init__(self) -> None:
        self._minutes: dict[datetime, _Minute] = {}
        self._lock = threading.Lock()

    def count(self, now: datetime, source: str, reason: str) -> None:
        """Count one refusal at *now* for *reason*."""
        minute = now.replace(second=0, microsecond=0)
        with self._lock:
            counted = self._minutes.setdefault(minute, _Minute())
            counted.reasons[reason] += 1
            if len(counted.sources) < MOST_SOURCES:
                counted.sources.add(source)

    def waiting(self) -> bool:
        """Return whether anything was counted that nobody has collected."""
        with self._lock:
            return bool(self._minutes)

    def collect(self, now: datetime | None) -> list[RefusedSummary]:
        """Take out and return the summaries of the minutes that are over at *now*; None: all of them."""
        with self._lock:
            over = sorted(minute for minute in self._minutes if now is None or minute + MINUTE <= now)
            taken = [(minute, self._minutes.pop(minute)) for minute in over]
        return [
            RefusedSummary(minute, counted.reasons.total(), dict(counted.reasons), len(counted.sources))
            for minute, counted in taken
        ]

    def put_back(self, summary: RefusedSummary) -> None:
        """Count *summary* again, because it could not be recorded; its number of sources is kept as names."""
        with self._lock:
            counted = self._minutes.setdefault(summary.minute, _Minute())
            counted.reasons.update(summary.reasons)
            counted.sources.update(f"earlier-{number}" for number in range(summary.sources))
