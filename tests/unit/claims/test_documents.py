"""What claims leave in the log reads back as it was, in the narrow profile."""

from __future__ import annotations

from tests.unit.claims.builders import NOON, a_run

from heldtrue.attack import Outcome, Place
from heldtrue.capabilities.ledger.model import clear_entry
from heldtrue.claims import documents
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.catalogue import CATALOGUE
from heldtrue.claims.model import Against
from heldtrue.crypto.canonical import canonicalize, parse_strict


def evidence() -> dict[str, object]:
    run = a_run(NOON)
    return documents.evidence(
        attack=run.attack,
        source_sha256=run.source_sha256,
        number=run.number,
        against=run.against,
        place=run.place,
        outcome=run.outcome,
        subject="log.example",
        coverage=run.coverage,
        originator="schedule",
        executor="heldtrue",
        started_at=run.started_at,
        finished_at=run.finished_at,
        result=run.result,
    )


def test_evidence_reads_back_as_the_run_it_tells_of() -> None:
    assert documents.run_of(evidence(), 1) == a_run(NOON)


def test_a_long_result_is_cut() -> None:
    cut = documents.evidence(**{**_arguments(), "result": "x" * 5000})
    assert len(cut["result"]) == documents.RESULT_LENGTH


def _arguments() -> dict[str, object]:
    return {
        "attack": "a.b", "source_sha256": "0" * 64, "number": 1, "against": Against.CONTROL, "place": Place.OBSERVE,
        "outcome": Outcome.HELD, "subject": "o", "coverage": {"n": 1}, "originator": "schedule", "executor": "heldtrue",
        "started_at": NOON, "finished_at": NOON, "result": "It held.",
    }  # fmt: skip


def test_every_schedule_and_intent_is_an_entry_the_log_takes() -> None:
    for claim in CATALOGUE.claims:
        document = documents.schedule(claim, ATTACKS, NOON)
        assert parse_strict(clear_entry("schedule", document)) == document
        assert clear_entry("schedule", document) == canonicalize(document)
    for attack in ATTACKS.values():
        document = documents.intent(attack, 7, Against.BROKEN, Place.SCRATCH, NOON)
        assert parse_strict(clear_entry("intent", document)) == document
    assert parse_strict(clear_entry("evidence", evidence())) == evidence()


def test_a_schedule_that_only_aged_is_the_same() -> None:
    one = documents.schedule(CATALOGUE.claims[0], ATTACKS, NOON)
    assert documents.same_schedule(one, {**one, "at": "2027-01-01T00:00:00.000Z"})
    assert not documents.same_schedule(one, {**one, "max_age_s": one["max_age_s"] + 1})
