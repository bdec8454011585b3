"""When an endpoint's circuit opens, and what closes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from heldtrue.capabilities.deliveries.breaker import (
    FIRST_OPEN,
    IN_A_ROW,
    JITTER,
    LONGEST_OPEN,
    SHARE,
    WINDOW,
    Health,
    after,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def entropy(size: int) -> bytes:
    return b"\0" * size


def failing(times: int, now: datetime = NOON) -> Health:
    return after(Health(), [False] * times, now, entropy)


def test_ten_failures_in_a_row_open_it() -> None:
    assert failing(IN_A_ROW - 1).circuit(NOON) == "closed"
    opened = failing(IN_A_ROW)
    assert (opened.circuit(NOON), opened.open_until) == ("open", NOON + FIRST_OPEN)
    assert opened.circuit(NOON + FIRST_OPEN) == "half-open"
    assert opened.failing_since == NOON


def test_seventy_percent_of_a_window_open_it_and_less_does_not() -> None:
    mostly = [True] * 6 + [False] * 8 + [True] + [False] * 5
    assert mostly.count(False) < SHARE
    assert after(Health(), mostly, NOON, entropy).circuit(NOON) == "closed"
    worse = [True, True] + [False] * 9 + [True] + [False] * 8
    assert len(worse) == WINDOW
    assert after(Health(), worse, NOON, entropy).circuit(NOON) == "open"


def test_a_probe_that_arrives_closes_it_and_forgets_everything() -> None:
    later = NOON + FIRST_OPEN
    assert after(failing(IN_A_ROW), [True], later, entropy) == Health()
    assert Health().clean


def test_a_probe_that_fails_opens_it_for_longer_and_never_for_too_long() -> None:
    health, now, pauses = failing(IN_A_ROW), NOON, [FIRST_OPEN]
    for _ in range(8):
        assert health.open_until is not None
        now = health.open_until
        health = after(health, [False], now, entropy)
        assert health.open_until is not None
        pauses.append(health.open_until - now)
    assert pauses[:4] == [FIRST_OPEN, 2 * FIRST_OPEN, 4 * FIRST_OPEN, 8 * FIRST_OPEN]
    assert pauses[-1] == LONGEST_OPEN
    assert health.failing_since == NOON
    assert after(failing(IN_A_ROW), [False], NOON + FIRST_OPEN, lambda n: b"\xff" * n).open_until <= (
        NOON + FIRST_OPEN + 2 * FIRST_OPEN * (1 + JITTER)
    )


def test_what_was_under_way_when_it_opened_neither_closes_nor_prolongs_it() -> None:
    opened = failing(IN_A_ROW)
    late = after(opened, [False, True, False], NOON + timedelta(seconds=1), entropy)
    assert (late.open_until, late.opened) == (opened.open_until, 1)
    assert late.failing_since == NOON + timedelta(seconds=1), "something was delivered, so it did not fail throughout"


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=80))
def test_whatever_comes_the_row_is_bounded_and_twenty_good_ones_forget_it(outcomes: list[bool]) -> None:
    health = after(Health(), outcomes, NOON, entropy)
    assert 0 <= health.recent < 1 << WINDOW
    assert health.seen <= WINDOW
    assert after(health, [True] * WINDOW, NOON + 60 * MINUTE, entropy).clean
