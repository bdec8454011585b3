"""From what is known to an answer: a yes is said only where everything that it rests on holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, unique

from heldtrue.capabilities.questionnaires.catalogue import Question, Section


@unique
class Basis(StrEnum):
    """What an answer rests on, the strongest first; an answer has the weakest of its sources'."""

    PROVEN = "proven"
    ATTESTED = "attested"
    RECORDED = "recorded"
    """In a register of the operator's, whose every version is in the log."""
    STATED = "stated"
    """The company's own profile."""
    PROMISED = "promised"
    STALE = "stale"
    FAILING = "failing"
    MISSING = "missing"
    """There is nothing."""

    @property
    def sound(self) -> bool:
        """Whether an answer may rest on it."""
        return self in _SOUND


_SOUND = frozenset({Basis.PROVEN, Basis.ATTESTED, Basis.RECORDED, Basis.STATED})
_ORDER = {basis: at for at, basis in enumerate(Basis)}


@unique
class Verdict(StrEnum):
    """What is answered."""

    YES = "yes"
    NO = "no"
    PARTIAL = "partial"
    TEXT = "text"
    UNEVIDENCED = "not evidenced"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFact:
    """A claim as the trust page shows it at this moment."""

    id: str
    sentence: str
    state: Basis
    page: str
    last_attacked: str | None = None
    """RFC 3339."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFact:
    """An item of a register."""

    title: str
    words: str
    """One line for a reader."""
    page: str
    recorded: str
    """When this version entered the log, RFC 3339."""
    overdue: bool = False
    """Its review or its document is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that answers are made of, at one moment."""

    at: datetime
    claims: Mapping[str, ClaimFact] = field(default_factory=dict)
    registers: Mapping[str, Mapping[str, ItemFact]] = field(default_factory=dict)
    """By register and item; a register that nobody keeps is not here."""
    company: Mapping[str, str] = field(default_factory=dict)
    """Filled in ones only."""
    schedule: Mapping[str, str] = field(default_factory=dict)
    """Sentences of the service levels, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that an answer rests on, or should."""

    title: str
    basis: Basis
    page: str = ""
    """Path on the trust centre; empty where there is nothing to see."""
    attacked: str | None = None
    """When it was last attacked, or recorded; RFC 3339."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered to one question."""

    question: Question
    verdict: Verdict
    words: str
    basis: Basis
    evidence: tuple[Evidence, ...]

    @property
    def last_attacked(self) -> str | None:
        """When the attack longest ago among its claims was; None where no claim of it has been attacked."""
        return min((found.attacked for found in self.evidence if found.attacked), default=None)

    @property
    def evidenced(self) -> bool:
        """Whether everything that it rests on holds."""
        return self.verdict in {Verdict.YES, Verdict.NO, Verdict.TEXT}


def answered(sections: tuple[Section, ...], facts: Facts) -> tuple[tuple[Section, tuple[Answer, ...]], ...]:
    """Return every section with its answers."""
    return tuple((section, tuple(answer(one, facts) for one in section.questions)) for section in sections)


def answer(question: Question, facts: Facts) -> Answer:
    """Return what can be answered to *question* by what is known."""
    evidence = (*_claims(question, facts), *_items(question, facts), *_stated(question, facts))
    basis = max((found.basis for found in evidence), key=_ORDER.__getitem__, default=Basis.MISSING)
    verdict = judge(question, evidence)
    return Answer(
        question=question, verdict=verdict, words=_words(question, verdict, evidence, facts), basis=basis,
        evidence=evidence,
    )  # fmt: skip


def judge(question: Question, evidence: tuple[Evidence, ...]) -> Verdict:
    """Return the plain answer where all evidence is sound, partial where some is, and not evidenced otherwise."""
    sound = [found.basis.sound for found in evidence]
    if evidence and all(sound):
        return Verdict(question.answer)
    return Verdict.PARTIAL if any(sound) else Verdict.UNEVIDENCED


def _claims(question: Question, facts: Facts) -> list[Evidence]:
    found: list[Evidence] = []
    for name in question.claims:
        claim = facts.claims.get(name)
        if claim is None:
            found.append(Evidence(title=name, basis=Basis.MISSING))
        else:
            found.append(
                Evidence(title=claim.sentence, basis=claim.state, page=claim.page, attacked=claim.last_attacked)
            )
    return found


def _items(question: Question, facts: Facts) -> list[Evidence]:
    found: list[Evidence] = []
    for name in question.registers:
        items = _of(name, facts)
        if not items:
            found.append(Evidence(title=f"Nothing is recorded under {name}.", basis=Basis.MISSING))
        found += [
            Evidence(title=item.title, basis=Basis.STALE if item.overdue else Basis.RECORDED, page=item.page)
            for item in items
        ]
    return found


def _of(name: str, facts: Facts) -> list[ItemFact]:
    register, _, item = name.partition("/")
    items = facts.registers.get(register, {})
    if item:
        return [items[item]] if item in items else []
    return list(items.values())


def _stated(question: Question, facts: Facts) -> list[Evidence]:
    missing = [name for name in question.company if not facts.company.get(name)]
    missing += [name for name in question.facts if not facts.schedule.get(name)]
    if missing:
        told = ", ".join(missing).replace("_", " ")
        return [Evidence(title=f"The company has not stated: {told}.", basis=Basis.MISSING)]
    return [Evidence(title="The company's own statement.", basis=Basis.STATED)] if question.company else []


def _words(question: Question, verdict: Verdict, evidence: tuple[Evidence, ...], facts: Facts) -> str:
    if verdict is Verdict.UNEVIDENCED:
        return _why(evidence)
    values = {**facts.company, **facts.schedule}
    values["items"] = "; ".join(item.words for name in question.registers for item in _of(name, facts))
    said = question.say.format_map(_Known(values))
    if verdict is not Verdict.PARTIAL:
        return said
    unsound = [found for found in evidence if not found.basis.sound]
    return f"{said} Not shown at present: {' '.join(_told(found) for found in unsound)}"


def _why(evidence: tuple[Evidence, ...]) -> str:
    return " ".join(_told(found) for found in evidence) or "Nothing is bound to this question."


def _told(found: Evidence) -> str:
    reason = {
        Basis.PROMISED: "promised, not shown yet",
        Basis.STALE: "not checked in time",
        Basis.FAILING: "an attack on it succeeded",
        Basis.MISSING: "",
    }.get(found.basis, "")
    title = found.title.rstrip(".")
    return f"{title} ({reason})." if reason else f"{title}."


class _Known(dict[str, str]):
    """Values by name; one that is not there is left out of the sentence as three dots."""

    def __missing__(self, key: str) -> str:
        return "…"
