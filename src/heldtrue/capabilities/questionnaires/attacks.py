"""The attack on questionnaires: an answer that nothing shows, presented as if something did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heldtrue.attack import Attack, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.capabilities.questionnaires.catalogue import BY_ID, QUESTIONS, SECTIONS

PLAIN = frozenset({"yes", "no", "text"})
SOUND = frozenset({"proven", "attested", "recorded", "stated"})
_CLAIMS = "/trust/claims/"


def unevidenced_answer(arena: Arena) -> Finding:
    """Read the published questionnaire, and look for a plain answer that does not rest on what holds."""
    before = _states(arena)
    found = arena.caller.call("GET", "/trust/questionnaire.json").expect(200).json()
    after = _states(arena)
    answers = [one for section in found["data"] for one in section["answers"]]
    faults = _counted(found, answers)
    for one in answers:
        faults += _judged(one, before, after)
    plain = sum(one["answer"] in PLAIN for one in answers)
    return judged(
        faults, "Every plain answer rests on what holds now, and sixteen sections say as many questions as they list.",
        sections=len(found["data"]), questions=len(answers), plain_answers=plain,
    )  # fmt: skip


def _counted(found: Mapping[str, Any], answers: list[Any]) -> list[str]:
    faults: list[str] = []
    if tuple(section["name"] for section in found["data"]) != SECTIONS:
        faults.append(f"The questionnaire has the sections {[section['name'] for section in found['data']]}.")
    said = f"{len(answers)} questions in {len(found['data'])} sections"
    if (found["sections"], found["questions"]) != (len(found["data"]), len(answers)) or said not in found["summary"]:
        faults.append(f"The questionnaire says {found['summary']!r}, and lists {said}.")
    if [one["id"] for one in answers] != [question.id for question in QUESTIONS]:
        faults.append("The questionnaire does not list every question once.")
    faults += [
        f"The section {section['name']} says {section['questions']} questions."
        for section in found["data"]
        if section["questions"] != len(section["answers"])
    ]
    return faults


def _judged(one: Mapping[str, Any], before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return what is wrong with one answer, by the claims as they are published themselves."""
    question = BY_ID.get(one["id"])
    if question is None:
        return [f"There is no question {one['id']}."]
    faults: list[str] = []
    cited = {evidence["page"].partition(_CLAIMS)[2]: evidence for evidence in one["evidence"] if evidence["page"]}
    for name in question.claims:
        evidence = cited.get(name)
        if evidence is not None and evidence["state"] not in {before.get(name), after.get(name)}:
            faults.append(f"{one['id']} says that {name} is {evidence['state']}.")
        if one["answer"] in PLAIN and not {before.get(name), after.get(name)} & SOUND:
            faults.append(f"{one['id']} is answered {one['answer']}, and {name} is {after.get(name, 'missing')}.")
    if one["answer"] in PLAIN and (not one["evidence"] or any(e["state"] not in SOUND for e in one["evidence"])):
        faults.append(f"{one['id']} is answered {one['answer']} without evidence for it.")
    return faults


def _states(arena: Arena) -> dict[str, str]:
    found = arena.caller.call("GET", "/trust.json").expect(200).json()
    return {claim["id"]: claim["state"] for claim in found["claims"]}


ATTACKS = (
    Attack(
        name="questionnaires.unevidenced_answer",
        place=Place.OBSERVE,
        tries=(
            "Read the questionnaire and the claims as they are published.",
            "Look for a yes, a no or a text whose claims are promised, stale, failing or missing.",
            "Count the sections and the questions, and compare with what the page says of itself.",
        ),
        run=unevidenced_answer,
        breaks="answers-without-evidence",
        needs=("heldtrue.capabilities.questionnaires.catalogue",),
    ),
)
"""The rows of questionnaires."""
