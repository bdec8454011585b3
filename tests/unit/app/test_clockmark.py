"""A clock that was turned back: a little is waited out, much is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heldtrue.app import clockmark, instance
from heldtrue.app.clockmark import TOLERATED, ClockBehindError


def test_time_goes_on_where_it_was_left(tmp_path: Path) -> None:
    data = instance.prepare(tmp_path, None)
    now = datetime.now(UTC)
    told = now + timedelta(minutes=1)
    clockmark.mark(data, told)
    assert clockmark.clock_after(data, now).now() == told


def test_a_clock_far_behind_is_not_started_with(tmp_path: Path) -> None:
    data = instance.prepare(tmp_path, None)
    now = datetime.now(UTC)
    clockmark.mark(data, now + TOLERATED)
    clockmark.clock_after(data, now)
    clockmark.mark(data, now + TOLERATED + timedelta(milliseconds=1))
    with pytest.raises(ClockBehindError) as caught:
        clockmark.clock_after(data, now)
    assert str(data.clock) in caught.value.advice


def test_no_mark_and_a_torn_mark_are_no_obstacle(tmp_path: Path) -> None:
    data = instance.prepare(tmp_path, None)
    assert clockmark.marked(data) is None
    data.clock.write_text("2026-1")
    clockmark.clock_after(data, datetime.now(UTC))
