"""Strangers are counted, not listed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from heldtrue.http.refusals import Refusals

NOON = datetime(2026, 11, 20, 12, 0, 10, tzinfo=UTC)


def test_a_minute_has_one_summary_however_many_knocked() -> None:
    refusals = Refusals()
    for number in range(1000):
        refusals.count(NOON, f"192.0.2.{number % 5}", "unknown-key")
    refusals.count(NOON, "192.0.2.9", "missing-credential")
    assert refusals.collect(NOON + timedelta(seconds=49)) == []
    (summary,) = refusals.collect(NOON + timedelta(seconds=50))
    assert (summary.count, summary.sources) == (1001, 6)
    assert summary.reasons == {"unknown-key": 1000, "missing-credential": 1}
    assert not refusals.waiting()


def test_the_running_minute_is_collected_at_the_end() -> None:
    refusals = Refusals()
    refusals.count(NOON, "a", "x")
    assert len(refusals.collect(None)) == 1


def test_what_could_not_be_recorded_is_counted_again() -> None:
    refusals = Refusals()
    refusals.count(NOON, "a", "x")
    (summary,) = refusals.collect(None)
    refusals.put_back(summary)
    assert refusals.collect(None) == [summary]
