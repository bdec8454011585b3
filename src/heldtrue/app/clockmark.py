"""The latest time that an instance is known to have told, kept across restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from heldtrue.app.instance import DataDir
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.errors import SettingsError

TOLERATED = timedelta(minutes=2)
"""A clock that is behind by less is held still until it has caught up; one further behind is not started with."""
EVERY = timedelta(seconds=30)


class ClockBehindError(SettingsError):
    """The machine's clock is behind the time that this instance has told already; set it right, then start."""

    code = "clock-behind"


def mark(data: DataDir, now: datetime) -> None:
    """Remember that *now* was told. Not fsynced: after a power failure the older mark serves."""
    draft = data.clock.with_suffix(".new")
    draft.write_text(now.astimezone(UTC).isoformat())
    draft.replace(data.clock)


def marked(data: DataDir) -> datetime | None:
    """Return the latest mark."""
    try:
        return datetime.fromisoformat(data.clock.read_text())
    except (FileNotFoundError, ValueError):
        return None


def clock_after(data: DataDir, now: datetime) -> SystemClock:
    """Return a clock that goes on where the instance's left off; refuse when the machine is far behind."""
    told = marked(data)
    if told is None:
        return SystemClock()
    if told - now > TOLERATED:
        raise ClockBehindError(
            f"the machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC, but this instance ran until {told:%F %T}",
            advice=f"Set the clock right; if it was wrong then and is right now, remove {data.clock}.",
        )
    return SystemClock(told)
