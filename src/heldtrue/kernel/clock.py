"""Time that is aware, passed in, and never runs backwards within a process."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EARLIEST = datetime.min.replace(tzinfo=UTC)


class Clock(Protocol):
    """Whatever tells the time; always in UTC."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock, held still while the machine's time is behind what was already told.

    A clock that jumps backwards would let expired credentials live again and would sort new ids before old ones.
    """

    def __init__(self, not_before: datetime = _EARLIEST) -> None:
        """Start at *not_before* at the earliest: what an earlier process told is not untold by a restart."""
        self._last = not_before
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the later of the machine's time and the latest time told before."""
        with self._lock:
            self._last = max(self._last, datetime.now(UTC))
            return self._last

    def behind(self) -> timedelta:
        """Return how far the machine's clock is behind what was already told; zero when it is well."""
        with self._lock:
            return max(self._last - datetime.now(UTC), timedelta())
