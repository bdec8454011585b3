"""An answer says yes only where everything that it rests on holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from heldtrue.app.registers import KINDS
from heldtrue.capabilities.questionnaires import catalogue, paper
from heldtrue.capabilities.questionnaires.answers import (
    Basis,
    ClaimFact,
    Facts,
    ItemFact,
    Verdict,
    answer,
    answered,
)
from heldtrue.capabilities.questionnaires.catalogue import BY_ID, QUESTIONNAIRE, QUESTIONS, SECTIONS
from heldtrue.capabilities.registers.policies import STARTERS
from heldtrue.claims.catalogue import BY_ID as CLAIMS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TWO = next(question for question in QUESTIONS if len(question.claims) == 2 and question.answer == "yes")


def facts(**states: Basis) -> Facts:
    named = {name.replace("__", "."): state for name, state in states.items()}
    return Facts(
        at=NOW,
        claims={
            name: ClaimFact(
                id=name, sentence=f"{name} holds.", state=named.get(name, Basis.PROVEN),
                page=f"/trust/claims/{name}", last_attacked="2026-11-20T10:00:00.000Z",
            )
            for name in CLAIMS
        },
    )  # fmt: skip


def test_there_are_sixteen_sections_and_each_number_is_that_of_its_list() -> None:
    view = paper.view(answered(QUESTIONNAIRE, facts()), "Example Company", "https://trust.example.com", NOW)
    assert tuple(section.name for section in view.data) == SECTIONS
    assert len(SECTIONS) == view.sections == len(view.data) == 16
    assert view.questions == len(QUESTIONS) == sum(len(section.answers) for section in view.data)
    assert 120 <= view.questions <= 160
    assert f"{view.questions} questions in {view.sections} sections" in view.summary
    assert sum(view.tally.values()) == view.questions
    assert all(section.questions == len(section.answers) for section in view.data)


def test_every_question_rests_on_claims_and_policies_that_there_are() -> None:
    assert not {name for question in QUESTIONS for name in question.claims} - set(CLAIMS)
    policies = {
        name.partition("/")[2] for question in QUESTIONS for name in question.registers if name.startswith("policies/")
    }
    assert policies <= set(STARTERS)
    assert len({question.ask for question in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("state", [Basis.PROMISED, Basis.STALE, Basis.FAILING], ids=str)
def test_a_claim_that_does_not_hold_never_gives_a_plain_yes(state: Basis) -> None:
    for question in QUESTIONS:
        for name in question.claims:
            known = facts()
            known = replace(known, claims={**known.claims, name: replace(known.claims[name], state=state)})
            made = answer(question, known)
            assert made.verdict in {Verdict.PARTIAL, Verdict.UNEVIDENCED}
            assert not made.evidenced
            assert "holds" in made.words


def test_nothing_known_is_not_evidenced_throughout() -> None:
    made = [one for _, answers in answered(QUESTIONNAIRE, Facts(at=NOW)) for one in answers]
    assert {one.verdict for one in made} == {Verdict.UNEVIDENCED}
    assert {one.basis for one in made} == {Basis.MISSING}


def test_a_part_that_holds_is_partial_and_says_what_does_not() -> None:
    first, second = TWO.claims
    known = facts()
    known = replace(known, claims={**known.claims, second: replace(known.claims[second], state=Basis.PROMISED)})
    made = answer(TWO, known)
    assert (made.verdict, made.basis) == (Verdict.PARTIAL, Basis.PROMISED)
    assert f"Not shown at present: {second} holds (promised, not shown yet)." in made.words
    assert first not in made.words


def test_an_answer_has_the_weakest_state_and_the_oldest_attack_of_its_claims() -> None:
    first, second = TWO.claims
    known = facts()
    weak = replace(known.claims[second], state=Basis.ATTESTED, last_attacked="2026-11-01T00:00:00.000Z")
    made = answer(TWO, replace(known, claims={**known.claims, second: weak}))
    assert (made.verdict, made.basis, made.last_attacked) == (Verdict.YES, Basis.ATTESTED, "2026-11-01T00:00:00.000Z")
    assert [evidence.page for evidence in made.evidence] == [f"/trust/claims/{first}", f"/trust/claims/{second}"]


def test_an_overdue_policy_is_no_evidence() -> None:
    item = ItemFact(title="Backup", words="Backup, version 2", page="/trust/policies/backup", recorded="2026-01-01")
    held = replace(facts(), registers={"policies": {"backup": item}})
    question = BY_ID["BCP-06"]
    assert answer(question, held).verdict is Verdict.YES
    over = replace(facts(), registers={"policies": {"backup": replace(item, overdue=True)}})
    assert answer(question, over).verdict is Verdict.UNEVIDENCED


def test_a_company_that_was_not_named_states_nothing() -> None:
    question = BY_ID["COM-01"]
    assert answer(question, facts()).verdict is Verdict.UNEVIDENCED
    named = answer(question, replace(facts(), company={"legal_name": "Example Company Ltd"}))
    assert (named.verdict, named.words, named.basis) == (Verdict.TEXT, "Example Company Ltd", Basis.STATED)


def test_a_no_that_is_good_is_said_only_with_evidence() -> None:
    question = BY_ID["CRT-10"]
    assert answer(question, facts()).verdict is Verdict.NO
    assert answer(question, facts(intake__card_numbers=Basis.PROMISED)).verdict is Verdict.UNEVIDENCED


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("a gap in the numbers", 'id = "COM-02"', 'id = "COM-03"'),
        ("no question mark", "of your company?", "of your company"),
        ("a fact that it does not rest on", "{legal_name}", "{website}"),
        ("nothing to rest on", 'company = ["legal_name"], ', ""),
        ("another section", 'section = "Company"', 'section = "Firm"'),
    ],
    ids=["gap", "mark", "fact", "nothing", "section"],
)
def test_an_unsound_questionnaire_stops_the_start(what: str, old: str, new: str) -> None:
    texts = catalogue._texts()
    assert old in texts[0]
    with pytest.raises(catalogue.QuestionnaireError):
        catalogue.load([texts[0].replace(old, new, 1), *texts[1:]])


def test_fifteen_sections_are_refused() -> None:
    with pytest.raises(catalogue.QuestionnaireError):
        catalogue.load(catalogue._texts()[:-1])


def test_every_register_that_a_question_names_is_kept_somewhere() -> None:
    kept = {*(name for name, kind in KINDS.items() if kind.public), "pages"}
    assert {name.partition("/")[0] for question in QUESTIONS for name in question.registers} <= kept
