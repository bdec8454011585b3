"""How many deliveries are under way at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.deliveries.pace import Pace

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_one_endpoint_never_takes_more_than_its_share() -> None:
    pace, one, other = Pace(64, 8), uuid4(), uuid4()
    for _ in range(8):
        pace.begin(one)
    pace.begin(other)
    assert pace.room(NOON) == {one: 0, other: 7}
    assert pace.free == 55
    for _ in range(8):
        pace.end(one)
    assert pace.room(NOON) == {other: 7}


def test_a_throttling_endpoint_rests_and_recovers() -> None:
    pace, one = Pace(64, 8), uuid4()
    pace.answered(one, Response(status=429, retry_after=timedelta(seconds=30)), NOON)
    assert pace.room(NOON + timedelta(seconds=29)) == {one: 0}
    assert pace.room(NOON + timedelta(seconds=30)) == {}
    pace.answered(one, Response(status=502), NOON)
    assert pace.room(NOON + timedelta(seconds=9)) == {one: 0}
    pace.answered(one, Response(status=204), NOON)
    assert pace.room(NOON) == {}


def test_an_ordinary_failure_does_not_throttle() -> None:
    pace, one = Pace(64, 8), uuid4()
    pace.answered(one, Response(status=500), NOON)
    pace.answered(one, Response(failure="timeout"), NOON)
    assert pace.room(NOON) == {}
