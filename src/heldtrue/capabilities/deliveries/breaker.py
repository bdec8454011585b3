"""The circuit breaker of an endpoint, as a pure step from what was known to what is known now.

It opens after ten failures in a row, or when 70% of the last twenty attempts failed; then it lets one attempt through
from time to time. What waits for an endpoint whose circuit is open uses up no tries. All processes share the state,
because it lies in the database; a row exists only while something is amiss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from heldtrue.kernel.ids import Entropy

IN_A_ROW = 10
WINDOW = 20
SHARE = 14
"""Failures among the last `WINDOW` attempts: 70%."""
FIRST_OPEN, LONGEST_OPEN = timedelta(seconds=30), timedelta(minutes=5)
JITTER = 0.2

Circuit = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint has been answering; the fields are columns of `heldtrue.endpoint_health`."""

    failures: int = 0
    """In a row."""
    recent: int = 0
    """The last attempts as bits, the newest lowest: 1 failed."""
    seen: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None
    opened: int = 0
    warned_at: datetime | None = None

    def circuit(self, now: datetime) -> Circuit:
        """Return the state of the circuit at *now*."""
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half-open"

    @property
    def clean(self) -> bool:
        """Whether nothing is worth remembering."""
        return self.recent == 0 and self.open_until is None and self.failing_since is None


def after(health: Health, outcomes: Iterable[bool], now: datetime, entropy: Entropy) -> Health:
    """Return what is known of an endpoint once *outcomes* (delivered or not, in order) came in at *now*."""
    for delivered in outcomes:
        health = _delivered(health, now) if delivered else _failed(health, now, entropy)
    return health


def _delivered(health: Health, now: datetime) -> Health:
    if health.circuit(now) == "half-open":
        return Health()
    opened = health.opened if health.open_until is not None else 0
    return replace(
        health, failures=0, recent=_shifted(health, failed=0), seen=_seen(health), failing_since=None, warned_at=None,
        opened=opened,
    )  # fmt: skip


def _failed(health: Health, now: datetime, entropy: Entropy) -> Health:
    circuit = health.circuit(now)
    health = replace(
        health, failures=health.failures + 1, recent=_shifted(health, failed=1), seen=_seen(health),
        failing_since=health.failing_since or now,
    )  # fmt: skip
    tripped = health.failures >= IN_A_ROW or (health.seen == WINDOW and health.recent.bit_count() >= SHARE)
    if circuit == "half-open" or (circuit == "closed" and tripped):
        opened = health.opened + 1
        return replace(health, opened=opened, open_until=now + _pause(opened, entropy))
    return health


def _shifted(health: Health, failed: int) -> int:
    return (health.recent << 1 | failed) & ((1 << WINDOW) - 1)


def _seen(health: Health) -> int:
    return min(health.seen + 1, WINDOW)


def _pause(opened: int, entropy: Entropy) -> timedelta:
    pause = min(FIRST_OPEN * 2 ** min(opened - 1, 8), LONGEST_OPEN)
    return pause * (1 + JITTER * int.from_bytes(entropy(4)) / 2**32)
