"""Legal texts and what is made of them: dates that bind, levels without contradiction, annexes by number."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from heldtrue.capabilities.agreements import dpa, legal, levels, prose, starters
from heldtrue.capabilities.agreements.dpa import AnnexEntry, Annexes, Choices
from heldtrue.capabilities.agreements.legal import LEGAL, NAMES, LegalText
from heldtrue.capabilities.agreements.levels import DEFAULT, Band, Levels, Plan
from heldtrue.capabilities.agreements.measures import MEASURES
from heldtrue.capabilities.papers import data
from heldtrue.capabilities.registers.model import Change, DocumentRefusedError, Entry
from heldtrue.claims.catalogue import BY_ID as CLAIMS
from heldtrue.kernel.ids import LeafId, uuid7

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)
COMPANY = {"name": "Example Company", "legal_name": "Example Company Ltd", "address": "1 Example Street"}


def a_text(**parts: object) -> LegalText:
    return msgspec.structs.replace(starters.starter("terms", "General counsel", TODAY, TODAY), **parts)


def entry(text: LegalText, version: int = 1, *, item: str = "terms", withdrawn: str | None = None) -> Entry[LegalText]:
    leaf = LeafId(uuid7(NOW, bytes))
    return Entry(
        register="legal", item=item, version=version, document=text, recorded_at=NOW, withdrawn=withdrawn, leaf=leaf
    )


def judged(text: LegalText, *past: Entry[LegalText], item: str = "terms", now: datetime = NOW) -> None:
    LEGAL.guard(Change(item=item, document=text, history=list(past), now=now, opened_at=None))


def test_every_starter_can_be_published_and_says_to_have_counsel_review() -> None:
    for item in NAMES:
        text = starters.starter(item, "General counsel", TODAY, TODAY)
        judged(text, item=item)
        assert LEGAL.read(LEGAL.write(text)) == text
        assert item == "sla" or "Have counsel review" in text.text


def test_an_undated_text_cannot_be_said() -> None:
    written = LEGAL.write(a_text())
    del written["effective_on"]
    with pytest.raises(DocumentRefusedError):
        LEGAL.read(written)


@pytest.mark.parametrize(
    "parts",
    [
        {"reviewed_on": TODAY + DAY},
        {"review_by": TODAY},
        {"review_by": TODAY + 367 * DAY},
        {"text": " \n"},
        {"levels": DEFAULT},
        {"processing": starters.PROCESSING},
    ],
    ids=["reviewed-ahead", "review-due", "review-far", "no-words", "levels", "processing"],
)
def test_an_unsound_text_is_refused(parts: dict[str, object]) -> None:
    with pytest.raises(legal.LegalTextError):
        judged(a_text(**parts))


def test_words_that_hold_are_replaced_from_today_or_later_only() -> None:
    first = entry(a_text(effective_on=TODAY - 30 * DAY))
    judged(a_text(text="new words", effective_on=TODAY), first)
    for back in (1, 30, 40):
        with pytest.raises(legal.LegalTextError):
            judged(a_text(text="new words", effective_on=TODAY - back * DAY), first)
    judged(a_text(effective_on=TODAY - 30 * DAY, reviewed_on=TODAY), first)  # the same words, reviewed again


def test_a_text_holds_from_the_beginning_of_its_day_until_the_next() -> None:
    history = [entry(a_text()), entry(a_text(text="later", effective_on=TODAY + 10 * DAY), 2)]
    for days, number in ((0, 1), (9, 1), (10, 2), (11, 2)):
        found = legal.in_force(history, TODAY + days * DAY)
        assert found is not None
        assert found.number == number
    assert legal.in_force(history, TODAY - DAY) is None
    ahead = legal.announced(history, TODAY)
    assert ahead is not None
    assert ahead.number == 2
    assert legal.announced(history, TODAY + 10 * DAY) is None


def test_what_is_accepted_is_what_was_read_and_still_holds() -> None:
    text = a_text()
    history, sha256 = [entry(text)], legal.digest(text)
    assert legal.admit(history, 1, sha256, text.review_by).number == 1
    with pytest.raises(legal.StaleTextError):
        legal.admit(history, 1, sha256, text.review_by + DAY)
    for number, digest in ((2, sha256), (1, "0" * 64)):
        with pytest.raises(legal.NotInForceError):
            legal.admit(history, number, digest, TODAY)
    with pytest.raises(legal.NotInForceError):
        legal.admit([*history, entry(text, 2, withdrawn="gone")], 1, sha256, TODAY)
    assert legal.digest(a_text(owner="Somebody else")) != sha256


@pytest.mark.parametrize(
    "unsound",
    [
        {"plans": [Plan(name="A", target=9990, best_effort=True)]},
        {"plans": [Plan(name="A")]},
        {"plans": [Plan(name="A", target=9990), Plan(name="A", target=9950)]},
        {"credits": [Band(percent=10), Band(percent=25)]},
        {"credits": [Band(percent=10), Band(below=9500, percent=25), Band(below=9900, percent=50)]},
        {"credits": [Band(percent=10), Band(below=9980, percent=25)]},
        {"credits": [Band(percent=25), Band(below=9900, percent=10)]},
        {"credits": [Band(percent=10), Band(below=9900, percent=60)]},
    ],
    ids=["both", "neither", "twice", "no-threshold", "rising", "above-target", "less-for-worse", "over-cap"],
)
def test_service_levels_do_not_contradict_themselves(unsound: dict[str, object]) -> None:
    with pytest.raises(levels.LevelsContradictError):
        levels.judge(msgspec.structs.replace(DEFAULT, **unsound))


def test_the_schedule_has_the_definitions_that_were_promised() -> None:
    levels.judge(DEFAULT)
    said = " ".join(levels.sentences(DEFAULT).values())
    for words in (
        "99.9%", "99.5%", "best effort", "10% of the month's fee", "25%", "50%", "at most 50%", "5 or more consecutive",
        "more than 5%", "48 hours", "30 days", "10 business days",
    ):  # fmt: skip
        assert words in said
    assert not [plan for plan in DEFAULT.plans if plan.best_effort and plan.target is not None]
    assert (
        levels.sentences(Levels(plans=DEFAULT.plans, credits=DEFAULT.credits, notice_hours=72))["exclusions"].count(
            "72"
        )
        == 1
    )


def made(choices: Choices) -> str:
    one = AnnexEntry(
        item="a", version=1, name="Hosting of Examples", address="x", contact="y@example.com", purpose="hosting",
        location=["IE"], transfer_basis="adequacy-decision", data=["names"], optional=True, state="active",
    )  # fmt: skip
    annexes = Annexes(processing=starters.PROCESSING, measures=dpa.measures({}), sub_processors=[one])
    text = starters.starter("dpa", "General counsel", TODAY, TODAY)
    return str(data.render(dpa.paper(text, choices, annexes, COMPANY, dated=NOW, reference="v1", draft=False)))


def test_the_annexes_carry_the_numbers_of_both_decisions() -> None:
    text = made(Choices())
    for number in ("Annex I.A", "Annex I.B", "Annex I.C", "Annex II", "Annex III", "Annex IV"):
        assert number in text
    assert "2021/914" in text
    assert "2021/915" in text
    assert "Hosting of Examples" in text


def test_choices_are_what_the_agreement_says() -> None:
    text = made(
        Choices(modules=[3], docking=False, sub_processors="specific", notice_days=45, law="Ireland", ccpa=False)
    )
    for said in ("Module three (processor", "It does not apply.", "Option 1", "45 days before", "Ireland"):
        assert said in text
    for unsaid in ("Module two (controller", "United Kingdom", "Switzerland", "California"):
        assert unsaid not in text
    full = made(Choices(uk=True, swiss=True))
    for said in (
        "Module two",
        "Module three",
        "Option 2",
        "30 days",
        "version B1.0",
        "Federal Act",
        "service provider",
    ):
        assert said in full


def test_every_measure_is_bound_to_claims_that_there_are() -> None:
    assert not {name for _, _, names in MEASURES for name in names} - set(CLAIMS)
    assert {measure.state for measure in dpa.measures({})} == {"promised"}
    states = dict.fromkeys(CLAIMS, "proven") | {"transport.outgoing": "failing"}
    assert dpa.measures(states)[0].state == "failing"


def test_prose_numbers_its_sections_and_shows_what_is_to_be_filled_in() -> None:
    found = prose.blocks(
        prose.filled(
            "## One\nFor {company} and {unknown_thing}.\n\n- a\n- b\n\n## Two\nText", COMPANY | {"company": "X"}
        )
    )
    told = [(type(block).__name__, getattr(block, "number", "")) for block in found]
    assert told == [("Heading", "1"), ("Clause", "1.1"), ("Bullets", ""), ("Heading", "2"), ("Clause", "2.1")]
    assert "For X and [unknown thing]." in str(found[1])


def test_a_day_is_a_day() -> None:
    assert starters.starter("terms", "x", date(2027, 1, 1), TODAY).effective_on == date(2027, 1, 1)
