"""Months, ratios and the joining of statistics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from heldtrue.capabilities.promises.model import (
    NEWEST,
    Counted,
    FailureRow,
    HourRow,
    LedgerQuery,
    MonthRangeError,
    earliest_id,
    statistics,
)
from heldtrue.kernel.ids import uuid7

NOW = datetime(2026, 11, 22, 5, 14, tzinfo=UTC)


def counted(delivered: int, failed: int) -> Counted:
    return Counted(delivered + failed, delivered, delivered, delivered, failed, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("first", "last", "start", "end"),
    [
        (None, None, (2025, 12), (2026, 12)),
        ("2026-11", "2026-11", (2026, 11), (2026, 12)),
        ("2026-12", "2026-12", (2026, 12), (2027, 1)),
        (None, "2026-01", (2025, 2), (2026, 2)),
        ("2024-12", "2026-11", (2024, 12), (2026, 12)),
    ],
)
def test_a_span_holds_both_of_its_months(
    first: str | None, last: str | None, start: tuple[int, int], end: tuple[int, int]
) -> None:
    asked = LedgerQuery(first=first, last=last).span(NOW)
    assert asked == (datetime(*start, 1, tzinfo=UTC), datetime(*end, 1, tzinfo=UTC))


@pytest.mark.parametrize(("first", "last"), [("2026-11", "2026-10"), ("2024-11", "2026-11"), ("2027-01", None)])
def test_what_is_no_span_is_refused(first: str, last: str | None) -> None:
    with pytest.raises(MonthRangeError):
        LedgerQuery(first=first, last=last).span(NOW)


@pytest.mark.parametrize(
    ("delivered", "failed", "ratio"),
    [(0, 0, None), (5, 0, 1.0), (0, 5, 0.0), (999, 1, 0.999), (2, 1, 0.666666), (9_999_999, 1, 0.999999)],
)
def test_a_ratio_is_never_rounded_up(delivered: int, failed: int, ratio: float | None) -> None:
    assert counted(delivered, failed).figures()["ratio"] == ratio


def test_ids_of_a_moment_begin_at_its_earliest() -> None:
    before, at = (uuid7(moment, lambda n: b"\xff" * n) for moment in (NOW - timedelta(milliseconds=1), NOW))
    assert before < earliest_id(NOW) < at
    assert earliest_id(NOW) < uuid7(NOW, bytes)


def test_statistics_keep_hours_and_whole_apart() -> None:
    hour = NOW.replace(minute=0)
    rows = [HourRow(None, 5, 3, 20, 90), HourRow(hour, 5, 3, 20, 90)]
    failed = [FailureRow(hour, "timeout", 1), FailureRow(hour, "http-5xx", 1)]
    told = statistics("end_x", hour, NOW, rows, failed, NEWEST)
    assert (told.attempts, told.delivered, told.p95_ms, told.complete) == (5, 3, 90, True)
    [one] = told.hours
    assert one.failures == {"timeout": 1, "http-5xx": 1}
    empty = statistics("end_x", hour, NOW, [], [], NEWEST + 1)
    assert (empty.attempts, empty.p50_ms, empty.hours, empty.complete) == (0, None, [], False)
