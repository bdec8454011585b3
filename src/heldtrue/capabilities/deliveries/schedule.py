"""Say when a failed delivery is tried again (docs/spec/webhooks.md, "Retries")."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from heldtrue.kernel.ids import Entropy

DELAYS: tuple[timedelta, ...] = (
    timedelta(),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The wait before each try, counted from the end of the one before; the first is made at once."""

JITTER = 0.1
"""A wait grows by up to this fraction, so that what failed together does not return together."""

MAX_RETRY_AFTER = timedelta(hours=24)
"""A receiver that asks for more than this is tried then all the same."""

THROTTLING = frozenset({429, 502, 504})
"""Answers that slow the endpoint as a whole, not only the one delivery."""

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)


def next_try(tries: int, now: datetime, entropy: Entropy, retry_after: timedelta | None = None) -> datetime | None:
    """Return when a delivery that failed *tries* times is due again; None when its tries are used up.

    A `Retry-After` that lies beyond the schedule's own wait replaces it; an earlier one does not hasten the schedule.
    """
    if tries >= len(DELAYS):
        return None
    wait = DELAYS[tries] * (1 + JITTER * _fraction(entropy))
    if retry_after is not None:
        wait = max(wait, min(retry_after, MAX_RETRY_AFTER))
    return now + wait


def pause(consecutive: int, retry_after: timedelta | None = None) -> timedelta:
    """Return how long an endpoint rests after *consecutive* throttling answers; never shorter than it asked for."""
    if retry_after is not None:
        return min(retry_after, MAX_RETRY_AFTER)
    return min(FIRST_PAUSE * 2 ** min(max(consecutive - 1, 0), 16), LONGEST_PAUSE)


def parse_retry_after(text: str | None, now: datetime) -> timedelta | None:
    """Return the wait that a `Retry-After` header asks for (RFC 9110, section 10.2.3); None when it says nothing."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), int(MAX_RETRY_AFTER.total_seconds())))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta()), MAX_RETRY_AFTER)


def _fraction(entropy: Entropy) -> float:
    return int.from_bytes(entropy(4)) / 2**32
