"""When things run: cron expressions in a time zone, and the tries of a step that failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from heldtrue.capabilities.transforms.flow_model import FlowShapeError, Schedule
from heldtrue.kernel.ids import Entropy

LIKELY_PASSING = (
    timedelta(),
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
)
"""Waits before each further try after a crash, a time-out or a lack of memory."""
LIKELY_LASTING = (timedelta(seconds=30), timedelta(minutes=5))
"""The same where the code itself failed: it would fail again, unless somebody pushes another version meanwhile."""
LASTING = frozenset({"error", "refused", "output"})
UNAVAILABLE_WAIT = timedelta(seconds=5)
"""Before a run is tried again that found no runner; this counts as no try."""
JITTER = 0.1
FIELDS = 5
MOST_MISSED = 1000
"""Missed times are counted up to this."""


def waits_after(outcome: str) -> tuple[timedelta, ...]:
    """Return the waits before each further try."""
    return LIKELY_LASTING if outcome in LASTING else LIKELY_PASSING


def next_try(outcome: str, tries: int, now: datetime, entropy: Entropy) -> datetime | None:
    """Return when a step is tried again that failed *tries* times; None when it was tried often enough."""
    waits = waits_after(outcome)
    if tries > len(waits):
        return None
    return now + waits[tries - 1] * (1 + JITTER * int.from_bytes(entropy(2)) / 65535)


def check(schedule: Schedule) -> None:
    """Return when *schedule* can be kept; raise `FlowShapeError` otherwise."""
    if len(schedule.cron.split()) != FIELDS:
        raise FlowShapeError(
            "schedule.cron has not five fields", advice="Write minute, hour, day, month, weekday: `0 6 * * 1-5`."
        )
    try:
        next_after(schedule, datetime.now(UTC))
    except (CronSimError, StopIteration) as error:
        raise FlowShapeError(
            f"schedule.cron cannot be kept: {str(error) or 'it is never due'}",
            advice="Write minute, hour, day, month, weekday: `0 6 * * 1-5`.",
        ) from error
    except (KeyError, ValueError, OSError) as error:
        raise FlowShapeError(
            f"schedule.time_zone {schedule.time_zone!r} is not known here", advice="Write it as Europe/Berlin."
        ) from error


def next_after(schedule: Schedule, moment: datetime) -> datetime:
    """Return the first due time after *moment*, in UTC."""
    local = moment.astimezone(ZoneInfo(schedule.time_zone))
    return next(CronSim(schedule.cron, local)).astimezone(UTC)


def latest(schedule: Schedule, due: datetime, now: datetime) -> tuple[datetime, int]:
    """Return the latest due time up to *now*, *due* being one, and how many were missed before it."""
    zone = ZoneInfo(schedule.time_zone)
    last, missed = due, 0
    for moment in CronSim(schedule.cron, due.astimezone(zone)):
        if moment > now:
            return last, missed
        last, missed = moment.astimezone(UTC), missed + 1
        if missed >= MOST_MISSED:
            break
    backwards = CronSim(schedule.cron, now.astimezone(zone) + timedelta(minutes=1), reverse=True)
    return next(moment.astimezone(UTC) for moment in backwards if moment <= now), MOST_MISSED
