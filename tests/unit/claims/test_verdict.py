"""From runs to states: what the page may say, and when it may not."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from tests.unit.claims.builders import DAY, HOUR, MINUTE, NOON, a_claim, a_record, a_run

from heldtrue.attack import Outcome
from heldtrue.claims.model import Against, Document, State
from heldtrue.claims.record import Record
from heldtrue.claims.verdict import SLOTS, judge

A = "group.attack"


def test_a_claim_that_held_in_time_with_a_trusted_attack_is_proven() -> None:
    verdict = judge(a_claim(A), {A: a_record(a_run(NOON))}, NOON + MINUTE)
    assert verdict.state is State.PROVEN
    assert verdict.last_attacked == NOON
    assert verdict.age == MINUTE
    assert verdict.continuous_since == NOON


def test_a_claim_without_attacks_is_only_promised() -> None:
    assert judge(a_claim(), {}, NOON).state is State.PROMISED


def test_a_claim_that_was_never_attacked_is_stale() -> None:
    verdict = judge(a_claim(A), {}, NOON)
    assert (verdict.state, verdict.last_attacked) == (State.STALE, None)


def test_a_held_attack_that_was_never_seen_to_succeed_does_not_prove() -> None:
    verdict = judge(a_claim(A), {A: a_record(a_run(NOON), trusted=False)}, NOON)
    assert verdict.state is State.STALE
    assert "not yet been seen to fail" in verdict.reason


def test_a_changed_source_must_be_seen_to_succeed_again() -> None:
    record = a_record(a_run(NOON, source="b" * 64))
    assert judge(a_claim(A), {A: record}, NOON).state is State.STALE
    record.fold(a_run(NOON + MINUTE, Outcome.BROKEN, against=Against.BROKEN, source="b" * 64))
    verdict = judge(a_claim(A), {A: record}, NOON + MINUTE)
    assert (verdict.state, verdict.since) == (State.PROVEN, NOON + MINUTE)


def test_a_broken_control_that_the_attack_let_pass_is_no_trust() -> None:
    record = a_record(a_run(NOON - HOUR, Outcome.HELD, against=Against.BROKEN), a_run(NOON), trusted=False)
    assert judge(a_claim(A), {A: record}, NOON).state is State.STALE


def test_a_result_dies_at_the_instant_after_its_maximum_age() -> None:
    record = a_record(a_run(NOON))
    assert judge(a_claim(A), {A: record}, NOON + HOUR).state is State.PROVEN
    late = judge(a_claim(A), {A: record}, NOON + HOUR + timedelta(microseconds=1))
    assert late.state is State.STALE
    assert late.since == NOON + HOUR


@pytest.mark.parametrize("outcome", [Outcome.BROKEN, Outcome.ERROR, Outcome.MISSING])
def test_whatever_is_not_held_fails(outcome: Outcome) -> None:
    verdict = judge(a_claim(A), {A: a_record(a_run(NOON - MINUTE), a_run(NOON, outcome, number=2))}, NOON + MINUTE)
    assert (verdict.state, verdict.since) == (State.FAILING, NOON)
    assert verdict.continuous_since is None
    assert verdict.held_in_a_row == 0


def test_a_failure_that_is_not_attacked_again_stays_a_failure_however_old() -> None:
    assert judge(a_claim(A), {A: a_record(a_run(NOON, Outcome.BROKEN))}, NOON + 9 * DAY).state is State.FAILING


def test_a_failure_lasts_from_its_first_run_to_the_next_that_held() -> None:
    runs = [
        a_run(NOON, number=1),
        a_run(NOON + 10 * MINUTE, Outcome.BROKEN, number=2),
        a_run(NOON + 20 * MINUTE, Outcome.ERROR, number=3),
        a_run(NOON + 25 * MINUTE, number=4),
    ]
    verdict = judge(a_claim(A), {A: a_record(*runs)}, NOON + 30 * MINUTE)
    assert verdict.state is State.PROVEN
    (failure,) = verdict.failures
    assert (failure.number, failure.started_at, failure.ended_at) == (2, runs[1].finished_at, runs[3].finished_at)
    assert failure.duration(NOON + HOUR) == 15 * MINUTE
    assert verdict.continuous_since == runs[3].finished_at
    assert verdict.held_in_a_row == 1


def test_an_overdue_check_is_remembered_as_a_failure_with_its_duration() -> None:
    record = a_record(a_run(NOON), a_run(NOON + 3 * HOUR, number=2))
    verdict = judge(a_claim(A), {A: record}, NOON + 3 * HOUR)
    (overdue,) = verdict.failures
    assert (overdue.kind, overdue.started_at, overdue.ended_at) == (State.STALE, NOON + HOUR, NOON + 3 * HOUR)
    assert verdict.continuous_since == NOON + 3 * HOUR


def test_an_overdue_check_that_goes_on_is_an_open_failure() -> None:
    verdict = judge(a_claim(A), {A: a_record(a_run(NOON))}, NOON + 5 * HOUR)
    (going_on,) = verdict.open_failures
    assert going_on.duration(NOON + 5 * HOUR) == 4 * HOUR


def test_a_failure_goes_on_while_its_next_run_is_overdue() -> None:
    record = a_record(a_run(NOON, Outcome.BROKEN), a_run(NOON + 5 * HOUR, number=2))
    verdict = judge(a_claim(A), {A: record}, NOON + 5 * HOUR)
    failing = [failure for failure in verdict.failures if failure.kind is State.FAILING]
    assert [failure.duration(NOON + 9 * HOUR) for failure in failing] == [5 * HOUR]


def test_every_attack_of_a_claim_has_to_hold_and_the_oldest_result_gives_the_age() -> None:
    one, two = a_record(a_run(NOON, attack="g.one"), attack="g.one"), a_record(attack="g.two")
    claim = a_claim("g.one", "g.two")
    assert judge(claim, {"g.one": one, "g.two": two}, NOON).state is State.STALE
    two.fold(a_run(NOON + 20 * MINUTE, attack="g.two"))
    verdict = judge(claim, {"g.one": one, "g.two": two}, NOON + 30 * MINUTE)
    assert (verdict.state, verdict.last_attacked) == (State.PROVEN, NOON)
    two.fold(a_run(NOON + 25 * MINUTE, Outcome.BROKEN, number=2, attack="g.two"))
    assert judge(claim, {"g.one": one, "g.two": two}, NOON + 30 * MINUTE).state is State.FAILING


def test_runs_against_broken_controls_change_nothing_but_trust() -> None:
    record = a_record(a_run(NOON))
    record.fold(a_run(NOON + MINUTE, Outcome.BROKEN, against=Against.BROKEN, number=2))
    verdict = judge(a_claim(A), {A: record}, NOON + MINUTE)
    assert (verdict.state, verdict.attacks[0].control_count) == (State.PROVEN, 1)


def test_a_document_attests_until_the_day_it_expires() -> None:
    paper = Document(
        title="Model", owner="the lead", dated=date(2026, 11, 1), expires=date(2026, 11, 23), sha256="0" * 64
    )
    claim = a_claim()
    attested = type(claim)(**{**{name: getattr(claim, name) for name in claim.__slots__}, "document": paper})
    assert judge(attested, {}, NOON).state is State.ATTESTED
    assert judge(attested, {}, NOON + DAY).state is State.STALE


def test_the_history_has_a_letter_a_day_the_worst_of_it() -> None:
    record = Record(A, DAY * 2)
    for back, outcome in ((6, Outcome.HELD), (5, Outcome.BROKEN), (4, Outcome.HELD), (0, Outcome.HELD)):
        record.fold(a_run(NOON - back * DAY, outcome))
    letters = judge(a_claim(A, max_age=2 * DAY), {A: record}, NOON).history
    assert len(letters) == SLOTS
    assert letters[-8:] == ".hff.sss"
