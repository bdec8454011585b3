"""From the log's entries to what is remembered: what the log leaves out fails, and no word changes a state."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any

from tests.unit.claims.builders import DAY, HOUR, MINUTE, NOON, SOURCE, a_claim

from heldtrue.attack import Attack, Outcome, Place, held
from heldtrue.capabilities.attestations import model as papers
from heldtrue.capabilities.attestations.model import Document
from heldtrue.claims import documents
from heldtrue.claims.board import Board
from heldtrue.claims.catalogue import Catalogue, Group
from heldtrue.claims.model import Against, State
from heldtrue.claims.verdict import Verdict

NAME = "group.attack"
ATTACK = Attack(name=NAME, place=Place.OBSERVE, tries=("Try.",), run=lambda _: held("x", probes=1), breaks="any-dsn")


class Log:
    """Entries, one after another, folded as they come."""

    def __init__(self, *attacks: str) -> None:
        self.board = Board(Catalogue((Group("Group", "About."),), (a_claim(*attacks),)))
        self.size = 0

    def add(self, document: dict[str, Any]) -> None:
        self.board.memory.take(1, self.size, json.dumps(document).encode())
        self.size += 1

    def intent(self, number: int, at: datetime, against: Against = Against.CONTROL) -> None:
        self.add(documents.intent(ATTACK, number, against, Place.OBSERVE, at))

    def result(self, number: int, at: datetime, outcome: Outcome = Outcome.HELD,
               against: Against = Against.CONTROL) -> None:  # fmt: skip
        self.add(
            documents.evidence(
                attack=NAME, source_sha256=SOURCE, number=number, against=against, place=Place.OBSERVE, outcome=outcome,
                subject="log.example", coverage={"probes": 1}, originator="schedule", executor="heldtrue 0",
                started_at=at, finished_at=at, result=f"It {outcome}.",
            )
        )  # fmt: skip

    def run(self, number: int, at: datetime, outcome: Outcome = Outcome.HELD,
            against: Against = Against.CONTROL) -> None:  # fmt: skip
        self.intent(number, at, against)
        self.result(number, at, outcome, against)

    def verdict(self, now: datetime) -> Verdict:
        return self.board.judge(now)[0]


def a_log() -> Log:
    log = Log(NAME)
    log.run(1, NOON - HOUR, Outcome.BROKEN, Against.BROKEN)
    log.run(2, NOON - 30 * MINUTE)
    return log


def test_what_was_announced_and_concluded_is_proven() -> None:
    verdict = a_log().verdict(NOON)
    assert (verdict.state, verdict.continuous_since) == (State.PROVEN, NOON - 30 * MINUTE)


def test_a_run_that_was_announced_and_never_completed_fails_once_it_is_overdue() -> None:
    log = a_log()
    log.intent(3, NOON)
    patience = 30 * MINUTE  # the claim's cadence
    assert log.verdict(NOON + patience).state is State.PROVEN
    late = log.verdict(NOON + patience + timedelta(microseconds=1))
    assert late.state is State.FAILING
    assert "announced and never completed" in late.reason


def test_a_number_that_the_log_leaves_out_fails() -> None:
    log = a_log()
    log.run(4, NOON)
    verdict = log.verdict(NOON)
    assert verdict.state is State.FAILING
    assert "Run 3" in verdict.reason
    assert log.board.problems == (f"Run 3 of the attack {NAME} is missing from the log.",)


def test_a_result_that_was_never_announced_does_not_count_as_held() -> None:
    log = a_log()
    log.result(3, NOON)
    assert log.verdict(NOON).last_attacked == NOON - 30 * MINUTE
    assert len(log.board.problems) == 1


def test_a_result_against_a_broken_control_does_not_pass_for_one_against_the_control() -> None:
    log = a_log()
    log.intent(3, NOON, Against.BROKEN)
    log.result(3, NOON, against=Against.CONTROL)
    assert log.verdict(NOON).last_attacked == NOON - 30 * MINUTE


def test_an_annotation_stands_beside_its_failure_and_changes_nothing() -> None:
    log = a_log()
    log.run(3, NOON, Outcome.BROKEN)
    before = log.verdict(NOON + MINUTE)
    log.add(papers.annotated(NAME, 3, "A certificate had expired.", NOON + MINUTE))
    after = log.verdict(NOON + MINUTE)
    assert (after.state, after.failures, after.history) == (before.state, before.failures, before.history)
    assert [note.text for note in after.annotations] == ["A certificate had expired."]


def a_paper(dated: date, expires: date) -> Document:
    return Document(title="Letter", owner="the security lead", dated=dated, expires=expires, sha256="0" * 64)


def test_a_document_attests_from_its_entry_on_until_it_expires_or_is_withdrawn() -> None:
    log, paper = Log(), a_paper(NOON.date(), (NOON + 10 * DAY).date())
    assert log.verdict(NOON).state is State.PROMISED
    entry = papers.attested("group.claim", paper, NOON)
    log.add(entry)
    assert log.verdict(NOON).state is State.ATTESTED
    expiry = datetime.combine(paper.expires, datetime.min.time(), NOON.tzinfo)
    assert log.verdict(expiry - timedelta(microseconds=1)).state is State.ATTESTED
    stale = log.verdict(expiry)
    assert (stale.state, stale.since) == (State.STALE, expiry)
    log.add(papers.withdrawn(entry, NOON))
    assert log.verdict(NOON).state is State.PROMISED


def test_a_document_that_is_dated_after_its_entry_does_not_count() -> None:
    log = Log()
    log.add(papers.attested("group.claim", a_paper((NOON + 3 * DAY).date(), (NOON + 90 * DAY).date()), NOON))
    assert log.verdict(NOON).state is State.PROMISED
    assert log.verdict(NOON + 4 * DAY).state is State.PROMISED


def test_what_is_remembered_of_an_attack_stays_small() -> None:
    log = a_log()
    record = log.board.memory.records["group.claim"][NAME]
    for number in range(3, 2003):
        outcome = Outcome.BROKEN if number % 2 else Outcome.HELD
        log.run(number, NOON + number * 6 * HOUR, outcome)
    assert len(record.episodes) <= 100
    assert len(record.recent) == 100
    assert len(record.days.letters) <= 400
    assert record.announced == {}
    verdict = log.verdict(NOON + 2002 * 6 * HOUR)
    assert verdict.failure_count == record.episode_count >= 1000
