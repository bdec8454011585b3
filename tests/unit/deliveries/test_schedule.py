"""When a failed delivery is tried again."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.deliveries.schedule import (
    DELAYS,
    JITTER,
    LONGEST_PAUSE,
    MAX_RETRY_AFTER,
    next_try,
    parse_retry_after,
    pause,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def least(size: int) -> bytes:
    return b"\0" * size


def most(size: int) -> bytes:
    return b"\xff" * size


def test_the_schedule_is_the_published_one() -> None:
    waits = [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert [delay.total_seconds() for delay in DELAYS] == waits
    assert [next_try(tries, NOON, least) for tries in range(10)] == [NOON + timedelta(seconds=wait) for wait in waits]


def test_after_the_tenth_failure_nothing_is_due() -> None:
    assert next_try(9, NOON, most) is not None
    assert next_try(10, NOON, most) is None


@given(tries=st.integers(1, 9))
def test_jitter_only_ever_adds_and_never_more_than_a_tenth(tries: int) -> None:
    due = next_try(tries, NOON, secrets.token_bytes)
    assert due is not None
    assert DELAYS[tries] <= due - NOON <= DELAYS[tries] * (1 + JITTER)


def test_retry_after_delays_but_does_not_hasten() -> None:
    assert next_try(1, NOON, least, timedelta(minutes=1)) == NOON + timedelta(minutes=1)
    assert next_try(2, NOON, least, timedelta(seconds=1)) == NOON + timedelta(minutes=5)
    assert next_try(1, NOON, least, timedelta(days=400)) == NOON + MAX_RETRY_AFTER


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("99999999999999999999", 86400),
        (format_datetime(NOON + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOON - timedelta(seconds=90), usegmt=True), 0),
        ("Fri, 20 Nov 2026 12:01:00 -0000", 60),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: int) -> None:
    assert parse_retry_after(header, NOON) == timedelta(seconds=seconds)


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "1.5", "²", "Fri, 99 Nov 2026 12:00:00 GMT"])
def test_anything_else_says_nothing(header: str | None) -> None:
    assert parse_retry_after(header, NOON) is None


def test_an_endpoint_rests_longer_each_time_and_as_long_as_it_asks() -> None:
    assert [pause(n).total_seconds() for n in (1, 2, 3)] == [5, 10, 20]
    assert pause(1000) == LONGEST_PAUSE
    assert pause(1, timedelta(hours=2)) == timedelta(hours=2)
