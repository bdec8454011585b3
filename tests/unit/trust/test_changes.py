"""The difference between two dates comes from the log alone, and is what a reader would have seen on both days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.unit.trust.logs import DAY, HOUR, WORDS, a_log, register, runs, schedule

from heldtrue.trust.diary import Diary, differences
from heldtrue.trust.differences import AskChanges, ChangesView, Read, UnreadableDateError, changes

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FAR = Read(5000, complete=True)


def diary_of(entries: Any, until: datetime = NOW) -> Diary:
    diary = Diary()
    for index, entry in enumerate(entries):
        diary.take(index, msgspec.json.encode(entry))
    diary.pass_to(until)
    return diary


@pytest.fixture(scope="module")
def diary() -> Diary:
    return diary_of(a_log(NOW))


def between(diary: Diary, start: datetime, end: datetime, page: str = "") -> ChangesView:
    return changes(diary, AskChanges(start=start.isoformat(), end=end.isoformat(), page=page), NOW, FAR)


def test_a_month_in_short(diary: Diary) -> None:
    view = changes(diary, AskChanges(), NOW, FAR)
    assert [one.claim for one in view.added] == ["keys.tenant"]
    assert [one.claim for one in view.removed] == ["network.odd"]
    assert [(one.before, one.after) for one in view.reworded] == [(WORDS, f"{WORDS[:-1]} than 1.2.")]
    assert (view.opened, view.closed, view.registers) == (2, 2, 2)
    assert view.moved == []


def test_states_are_those_of_both_days(diary: Diary) -> None:
    inside = between(diary, NOW - 30 * DAY, NOW - 10 * DAY + 2 * HOUR)
    assert [(one.claim, one.before, one.after) for one in inside.moved] == [("transport.tls", "proven", "failing")]
    over = between(diary, NOW - 10 * DAY + 2 * HOUR, NOW - 9 * DAY)
    assert [(one.before, one.after) for one in over.moved] == [("failing", "proven")]


def test_a_failure_tells_its_entry_and_its_duration_when_it_ends(diary: Diary) -> None:
    events = between(diary, NOW - 11 * DAY, NOW - 9 * DAY - HOUR).events
    ended, began = [event for event in events if event.kind == "state"]
    assert (began.before, began.after, began.text) == ("proven", "failing", "3 of 41 routes answered.")
    assert (ended.after, ended.lasted_s) == ("proven", 6 * 3600)
    assert began.entry is not None
    assert ended.entry is not None
    assert began.entry < ended.entry


def test_a_missed_check_changes_the_state_without_an_entry(diary: Diary) -> None:
    events = between(diary, NOW - 5 * DAY, NOW - 4 * DAY).events
    back, overdue = [event for event in events if event.kind == "state"]
    assert (overdue.after, overdue.entry) == ("stale", None)
    assert overdue.at.startswith((NOW - 5 * DAY + HOUR).isoformat()[:13])
    assert (back.before, back.after) == ("stale", "proven")


def test_a_register_tells_which_members_differ(diary: Diary) -> None:
    events = between(diary, NOW - 13 * DAY, NOW - 8 * DAY).events
    maps, mail = [event for event in events if event.kind == "register"]
    assert (mail.name, mail.text) == ("Example Mail", "location: DE → IE")
    assert (maps.before, maps.text) == (None, "name: Example Maps; location: US")
    gone = diary_of([register("a", 1, {"name": "A"}, NOW - DAY), register("a", 2, {"name": "A"}, NOW, "not needed")])
    assert [event.text for event in gone.events] == ["name: A", "not needed"]


def test_nothing_changes_in_a_quiet_time(diary: Diary) -> None:
    view = between(diary, NOW - 40 * DAY, NOW - 30 * DAY)
    assert (view.total, view.added, view.moved) == (0, [], [])


def test_before_the_beginning_everything_was_added(diary: Diary) -> None:
    view = between(diary, NOW - 90 * DAY, NOW)
    assert {one.claim for one in view.added} == {"transport.tls", "company.people", "keys.tenant"}
    assert view.removed == []


def test_events_come_in_pages_newest_first() -> None:
    entries = [register(f"i{at}", 1, {"name": str(at)}, NOW - timedelta(seconds=250 - at)) for at in range(250)]
    diary = diary_of(entries)
    first, last = between(diary, NOW - DAY, NOW), between(diary, NOW - DAY, NOW, page="3")
    assert (first.pages, first.total, len(first.events), len(last.events)) == (3, 250, 100, 50)
    assert (first.events[0].name, last.events[-1].name) == ("249", "0")
    assert between(diary, NOW - DAY, NOW, page="99").page == 3


def test_an_attack_that_a_claim_takes_over_is_known_already() -> None:
    entries = [
        schedule("a.one", "One.", NOW - DAY, ("x.attack",)),
        *runs("x.attack", 1, NOW - DAY + HOUR, "broken", "broken-control"),
        *runs("x.attack", 2, NOW - HOUR),
        schedule("a.two", "Two.", NOW - HOUR / 2, ("x.attack",)),
    ]
    diary = diary_of(entries)
    assert {name: str(told.states[-1][1]) for name, told in diary.claims.items()} == {
        "a.one": "proven",
        "a.two": "proven",
    }


def test_a_look_costs_what_changed_and_not_what_was_logged(diary: Diary) -> None:
    assert len(diary.events) < 20


@pytest.mark.parametrize(
    ("start", "end"), [("2026-11-22", "2026-11-01"), ("yesterday", ""), ("", "2026-13-01"), ("2026-11-01T00:00:00", "")]
)
def test_what_is_no_date_is_refused(start: str, end: str) -> None:
    with pytest.raises(UnreadableDateError):
        AskChanges(start=start, end=end).span(NOW)


def test_a_day_counts_whole() -> None:
    start, end = AskChanges(start="2026-11-20", end="2026-11-21").span(NOW)
    assert (start.isoformat(), end.isoformat()) == ("2026-11-20T00:00:00+00:00", "2026-11-22T00:00:00+00:00")


def test_differences_are_said_by_member() -> None:
    assert differences({"a": 1, "b": ["x"], "c": ""}, {"a": 2, "b": ["x", "y"], "c": "z"}) == (
        "a: 1 → 2; b: x → x, y; c: (none) → z"
    )
