"""Our due-diligence questionnaire as data: a file a section, in the order of its name, read when the process starts."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import msgspec

from heldtrue.kernel.errors import SettingsError

SECTIONS = (
    "Company",
    "Service",
    "Compliance and certifications",
    "Security organisation",
    "Authentication",
    "Encryption",
    "Network and infrastructure",
    "Vulnerability management",
    "Logging",
    "Incident response",
    "Data life cycle",
    "Sub-processors",
    "Continuity and recovery",
    "SLA",
    "Insurance",
    "Supporting documents",
)
"""The sixteen sections; a file that is missing or one too many stops the start."""
_FIELD = re.compile(r"\{(\w+)\}")


class QuestionnaireError(SettingsError):
    """The questionnaire contradicts itself; the message names the question."""

    code = "questionnaire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question, and what its answer has to rest on."""

    id: str
    section: str
    ask: str
    answer: Literal["yes", "no", "text"]
    """What is answered where everything that it rests on holds."""
    say: str
    """The answer in words; `{name}` stands for a fact of the company or a schedule, `{items}` for the registers'."""
    claims: tuple[str, ...] = ()
    """Every one must be proven or attested."""
    registers: tuple[str, ...] = ()
    """Registers (`locations`) or items (`policies/backup`) that must hold something, and nothing overdue."""
    company: tuple[str, ...] = ()
    """Facts of the company's profile that must be filled in."""
    facts: tuple[str, ...] = ()
    """Sentences of a schedule that must be there."""
    controls: tuple[str, ...] = ()
    """Control identifiers, for matching; no text of any framework."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its questions."""

    name: str
    about: str
    questions: tuple[Question, ...]


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    ask: str
    say: str
    answer: Literal["yes", "no", "text"] = "yes"
    claims: tuple[str, ...] = ()
    registers: tuple[str, ...] = ()
    company: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()


class _Section(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    section: str
    about: str
    questions: tuple[_Question, ...]


def load(texts: list[str]) -> tuple[Section, ...]:
    """Return the sections written in *texts*, a TOML document each; raise `QuestionnaireError` where one is unsound."""
    found = [_section(text) for text in texts]
    if tuple(section.name for section in found) != SECTIONS:
        raise QuestionnaireError(f"the sections are {[one.name for one in found]}, not the sixteen of the index")
    return tuple(found)


def _section(text: str) -> Section:
    try:
        raw = msgspec.convert(tomllib.loads(text), _Section)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise QuestionnaireError(f"a section cannot be read: {error}") from error
    questions = tuple(
        Question(section=raw.section, **{name: getattr(one, name) for name in one.__struct_fields__})
        for one in raw.questions
    )
    for at, question in enumerate(questions, 1):
        _check(question, f"{raw.code}-{at:02d}")
    return Section(raw.section, raw.about, questions)


def _check(question: Question, name: str) -> None:
    if question.id != name:
        raise QuestionnaireError(f"question {question.id} stands where {name} belongs")
    if not question.ask.endswith("?") or not question.say:
        raise QuestionnaireError(f"{name}: a question ends with a question mark and has an answer in words")
    if not (question.claims or question.registers or question.company):
        raise QuestionnaireError(f"{name} rests on nothing, so it could never be answered")
    known = {*question.company, *question.facts, *(("items",) if question.registers else ())}
    if not set(_FIELD.findall(question.say)) <= known:
        raise QuestionnaireError(f"{name}: its words name a fact that it does not rest on")


def _texts() -> list[str]:
    here = files(__package__ or "heldtrue.capabilities.questionnaires").joinpath("questions")
    found = sorted(here.iterdir(), key=lambda item: item.name)
    return [item.read_text("utf-8") for item in found if item.name.endswith(".toml")]


QUESTIONNAIRE = load(_texts())
"""The questionnaire that ships."""
QUESTIONS = tuple(question for section in QUESTIONNAIRE for question in section.questions)
"""Every question, in order."""
BY_ID = {question.id: question for question in QUESTIONS}
