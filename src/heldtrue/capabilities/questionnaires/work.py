"""A customer's questionnaire under way: what it asks, what is proposed, what a person confirmed. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from heldtrue.capabilities.questionnaires import matching, shape
from heldtrue.capabilities.questionnaires.answers import Answer, Basis, Facts, answer
from heldtrue.capabilities.questionnaires.catalogue import BY_ID, QUESTIONS
from heldtrue.capabilities.questionnaires.filling import Cell
from heldtrue.capabilities.questionnaires.kinds import Remembered

SIMILAR = 0.72
"""From here on, an answer to a question that was asked before comes before our own."""
_HEADS = ("Answer", "Comment and state")
_SAID = {"yes": "Yes", "no": "No", "partial": "Partially", "not evidenced": "Not evidenced"}


class Confirmed(msgspec.Struct, kw_only=True):
    """What a person decided."""

    answer: str
    text: str
    ours: str | None
    state: str
    page: str | None
    by: str
    at: datetime


class Row(msgspec.Struct, kw_only=True):
    """One question of the customer's."""

    number: int
    sheet: str
    row: int
    id: str
    question: str
    existing: str
    confirmed: Confirmed | None = None


class Place(msgspec.Struct, kw_only=True):
    """Where a sheet takes answers: columns from 1."""

    sheet: str
    header: int
    answer: int
    comment: int
    new: list[int]
    """Columns that are ours, to the right of theirs: they get a header."""


class Work(msgspec.Struct, kw_only=True):
    """Everything that is kept of a questionnaire beside its file."""

    name: str
    kind: str
    sha256: str
    places: list[Place]
    rows: list[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An answer that a person may confirm."""

    source: str
    """`remembered` or `ours`."""
    score: float
    matched: str
    """The question that it was matched with."""
    ours: str | None
    answer: str
    text: str
    state: str
    page: str | None
    changed: str | None = None
    """What is different since it was confirmed: the state behind it then and now."""


def begin(name: str, kind: str, content: bytes, shapes: Sequence[shape.Shape], asked: Sequence[shape.Asked]) -> Work:
    """Return the work on a questionnaire that was just taken in."""
    return Work(
        name=name, kind=kind, sha256=hashlib.sha256(content).hexdigest(), places=[_place(one) for one in shapes],
        rows=[
            Row(number=number, sheet=one.sheet, row=one.row, id=one.id, question=one.question, existing=one.existing)
            for number, one in enumerate(asked, 1)
        ],
    )  # fmt: skip


def _place(found: shape.Shape) -> Place:
    columns, free = found.columns, found.width + 1
    new: list[int] = []
    if columns.answer is None:
        new.append(free)
    answered = free if columns.answer is None else columns.answer + 1
    comment = free + len(new) if columns.comment is None else columns.comment + 1
    if columns.comment is None:
        new.append(comment)
    return Place(sheet=found.sheet, header=found.header, answer=answered, comment=comment, new=new)


class Proposer:
    """Proposes answers: those that were confirmed before, then our own, and nothing where nothing is alike."""

    def __init__(self, facts: Facts, remembered: Mapping[str, Remembered]) -> None:
        self._facts = facts
        self._remembered = remembered
        self._same = {matching.normal(one.question): key for key, one in remembered.items()}
        self._ours = matching.ours(QUESTIONS)
        self._before = matching.Matcher({key: one.question for key, one in remembered.items()})

    def propose(self, row: Row) -> Proposal | None:
        """Return what is proposed for *row*, None below the threshold."""
        key = self._same.get(matching.normal(row.question))
        if key is not None:
            return self._again(self._remembered[key], 1.0)
        before = self._before.best(row.question)
        if before is not None and before.score >= SIMILAR:
            return self._again(self._remembered[before.key], before.score)
        found = self._ours.best(row.question, row.id)
        if found is None or found.score < matching.THRESHOLD:
            return None
        made = self.current(found.key)
        return Proposal(
            source="ours", score=found.score, matched=made.question.ask, ours=found.key, answer=str(made.verdict),
            text=made.words, state=str(made.basis), page=page_of(made),
        )  # fmt: skip

    def current(self, ours: str) -> Answer:
        """Return our own answer as it stands now."""
        return answer(BY_ID[ours], self._facts)

    def _again(self, past: Remembered, score: float) -> Proposal:
        now = self.current(past.ours) if past.ours in BY_ID else None
        state = str(now.basis) if now else past.state
        changed = None if state == past.state else f"{past.state} when it was confirmed, {state} now"
        return Proposal(
            source="remembered", score=score, matched=past.question, ours=past.ours, answer=past.answer,
            text=past.text, state=state, page=page_of(now) if now else None, changed=changed,
        )  # fmt: skip


def page_of(made: Answer) -> str | None:
    """Return where a reader can check an answer."""
    return next((found.page for found in made.evidence if found.page), None)


def item_of(question: str) -> str:
    """Return the name under which an answer to *question* is remembered."""
    return hashlib.sha256(matching.normal(question).encode()).hexdigest()[:40]


def cells(work: Work, url: str) -> list[Cell]:
    """Return what is written into the customer's file: what was confirmed, each with its state."""
    places = {place.sheet: place for place in work.places}
    found: list[Cell] = []
    for row in work.rows:
        if row.confirmed is not None:
            found += _cells(row, row.confirmed, places[row.sheet], url)
    for place in work.places:
        if place.header and any(cell.sheet == place.sheet for cell in found):
            found += [Cell(place.sheet, place.header, at, _HEADS[at == place.comment]) for at in place.new]
    return found


def _cells(row: Row, given: Confirmed, place: Place, url: str) -> list[Cell]:
    said = _SAID.get(given.answer, given.text or "See comment")
    told = given.text if given.answer in _SAID else ""
    comment = " ".join(part for part in (told, _state(given, url)) if part)
    return [Cell(row.sheet, row.row, place.answer, said), Cell(row.sheet, row.row, place.comment, comment)]


def _state(given: Confirmed, url: str) -> str:
    basis = Basis(given.state) if given.state in {str(one) for one in Basis} else Basis.STATED
    checked = f", see {url}{given.page}" if given.page else ""
    warning = "" if basis.sound else "; not evidenced"
    return f"[State: {given.state}{warning}{checked}]"
