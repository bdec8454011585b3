"""How many deliveries are under way at once, and who waits when there are many that hang."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.deliveries.pace import STRANGER, Pace

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WELL = Response(status=200)


def claimed(pace: Pace, endpoint: UUID, now: datetime, count: int) -> None:
    for _ in range(count):
        pace.begin(endpoint, now)


def known(pace: Pace, endpoint: UUID, now: datetime, successes: int = 3) -> None:
    """Let *endpoint* take a few."""
    for _ in range(successes):
        pace.begin(endpoint, now)
        pace.answered(endpoint, WELL, now)
        pace.end(endpoint)


def test_a_window_grows_with_what_is_taken_and_shrinks_with_what_is_failed() -> None:
    pace, one = Pace(64, 8), uuid4()
    claimed(pace, one, NOON, STRANGER)
    assert pace.room(NOON) == {one: 0}
    for window in (4, 8, 8):
        pace.answered(one, WELL, NOON)
        assert pace.room(NOON) == {one: window - STRANGER}
    for window in (4, 2, 1, 1):
        pace.answered(one, Response(status=500), NOON)
        assert pace.room(NOON + 3 * SECOND) == {one: max(min(window, 1) - STRANGER, 0)}
    pace.end(one)
    pace.end(one)
    assert pace.room(NOON + 3 * SECOND) == {one: 1}
    assert pace.free == 64


def test_an_endpoint_never_takes_more_than_it_allows() -> None:
    pace, one = Pace(64, 8), uuid4()
    known(pace, one, NOON, 6)
    pace.begin(one, NOON, concurrency=3)
    assert pace.room(NOON) == {one: 2}


def test_a_throttling_endpoint_rests_and_recovers() -> None:
    pace, one = Pace(64, 8), uuid4()
    pace.answered(one, Response(status=429, retry_after=timedelta(seconds=30)), NOON)
    assert pace.room(NOON + timedelta(seconds=29)) == {one: 0}
    assert pace.room(NOON + timedelta(seconds=30)) == {one: 1}
    pace.answered(one, Response(status=502), NOON)
    assert pace.room(NOON + timedelta(seconds=9)) == {one: 0}
    pace.answered(one, Response(status=204), NOON)
    assert pace.room(NOON) == {one: 2}


def test_a_rate_is_kept_and_what_was_not_used_does_not_pile_up() -> None:
    pace, one = Pace(64, 8), uuid4()
    known(pace, one, NOON, 6)
    pace.begin(one, NOON, concurrency=8, rate=2.0)
    pace.end(one)
    assert pace.room(NOON) == {one: 1}
    pace.begin(one, NOON, concurrency=8, rate=2.0)
    pace.end(one)
    assert pace.room(NOON) == {one: 0}
    assert pace.room(NOON + SECOND / 2) == {one: 1}
    assert pace.room(NOON + 60 * SECOND) == {one: 2}


def test_a_circuit_that_is_half_open_has_one_attempt() -> None:
    pace, one = Pace(64, 8), uuid4()
    known(pace, one, NOON)
    pace.begin(one, NOON, probe=True)
    assert pace.room(NOON) == {one: 0}
    pace.end(one)
    assert pace.room(NOON)[one] > 0


def test_endpoints_that_hang_leave_room_for_one_that_does_not() -> None:
    """Two hundred endpoints that answered well hang all at once; a healthy one goes on as before."""
    pace, healthy = Pace(512, 8), uuid4()
    hanging = [uuid4() for _ in range(200)]
    for endpoint in (healthy, *hanging):
        known(pace, endpoint, NOON)
    now = NOON + 3 * SECOND
    for _ in range(20):
        for _ in range(8):  # claims of 64 at most, as the engine makes them
            room = pace.room(now)
            wanted = [endpoint for endpoint in hanging for _ in range(room[endpoint])]
            for endpoint in wanted[: min(64, pace.free)]:
                pace.begin(endpoint, now)
        now += SECOND / 4
        known(pace, healthy, now, 1)
        assert pace.room(now)[healthy] == 8
        assert pace.free >= 512 // 4
    assert pace.room(now)[hanging[0]] == 0


def test_each_endpoint_is_claimed_for_with_the_proven_or_with_the_others() -> None:
    pace, well, bad, new = Pace(64, 8), uuid4(), uuid4(), uuid4()
    known(pace, well, NOON)
    pace.answered(bad, Response(status=500), NOON)
    assert pace.share(NOON, proven=True) == {well: 8, bad: 0}
    assert pace.share(NOON, proven=False) == {well: 0, bad: 1}
    assert [pace.proven(one, NOON) for one in (well, bad, new)] == [True, False, False]
    later = NOON + 3 * SECOND
    assert pace.share(later, proven=True) == {well: 0, bad: 0}
    assert pace.share(later, proven=False) == {well: 8, bad: 1}


def test_strangers_are_served_until_it_is_crowded() -> None:
    pace = Pace(16, 8)
    assert pace.strangers == STRANGER
    for _ in range(8):
        pace.begin(uuid4(), NOON)
    assert pace.strangers == 1
    for _ in range(4):
        pace.begin(uuid4(), NOON)
    assert (pace.strangers, pace.free) == (0, 4)


def test_what_was_not_seen_for_long_is_forgotten() -> None:
    pace, one, two = Pace(64, 8), uuid4(), uuid4()
    known(pace, one, NOON)
    pace.begin(two, NOON)
    assert set(pace.room(NOON + timedelta(minutes=11))) == {two}


def test_what_fits_is_gathered_until_it_is_half_of_all() -> None:
    pace, well, bad = Pace(64, 8), uuid4(), uuid4()
    known(pace, well, NOON)
    assert (pace.crowded(NOON, proven=True), pace.crowded(NOON, proven=False)) == (False, False)
    claimed(pace, well, NOON, 5)
    assert (pace.crowded(NOON, proven=True), pace.crowded(NOON, proven=False)) == (True, False)
    pace.end(well)
    assert pace.crowded(NOON, proven=True) is False
    pace.answered(bad, Response(status=500), NOON)
    claimed(pace, bad, NOON, 1)
    assert (pace.crowded(NOON, proven=True), pace.crowded(NOON, proven=False)) == (False, True)


def test_when_nothing_fits_in_all_nothing_does_for_each() -> None:
    pace, one = Pace(4, 8), uuid4()
    known(pace, one, NOON)
    claimed(pace, one, NOON, 3)
    assert (pace.room(NOON)[one], pace.free, pace.crowded(NOON, proven=True)) == (5, 1, True)
