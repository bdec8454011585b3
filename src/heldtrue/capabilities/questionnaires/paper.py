"""The answered questionnaire as a paper, as sheets for a spreadsheet, and as it travels in JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from heldtrue.capabilities.papers.model import (
    Block,
    Bullets,
    Column,
    Heading,
    Meta,
    Note,
    Paper,
    Span,
    Table,
    Text,
    Tone,
    Words,
)
from heldtrue.capabilities.papers.sheet import Sheet, workbook
from heldtrue.capabilities.questionnaires.answers import Answer, Basis, Verdict
from heldtrue.capabilities.questionnaires.catalogue import Section

Answered = Sequence[tuple[Section, Sequence[Answer]]]
TITLE = "Due-diligence questionnaire"
_TONES: dict[Verdict, Tone] = {
    Verdict.YES: "good", Verdict.NO: "good", Verdict.TEXT: "", Verdict.PARTIAL: "warn", Verdict.UNEVIDENCED: "bad",
}  # fmt: skip
_STATES: dict[Basis, Tone] = {
    Basis.PROVEN: "good", Basis.ATTESTED: "good", Basis.RECORDED: "", Basis.STATED: "", Basis.PROMISED: "quiet",
    Basis.STALE: "warn", Basis.FAILING: "bad", Basis.MISSING: "quiet",
}  # fmt: skip
_MEANINGS = (
    ("yes, no, text", "everything that the answer rests on holds now."),
    ("partial", "a part of it holds; the answer names what does not."),
    ("not evidenced", "nothing shows it: it is promised, failing, out of date, or not recorded. Take it as a no."),
)


class EvidenceView(msgspec.Struct, kw_only=True):
    """One thing that an answer rests on, or should."""

    title: str
    state: str
    page: str | None
    """Where a reader can check it."""
    attacked: str | None


class AnswerView(msgspec.Struct, kw_only=True):
    """One question and its answer."""

    id: str
    question: str
    answer: str
    """`yes`, `no`, `text`, `partial` or `not evidenced`."""
    text: str
    state: str
    """The weakest of what it rests on."""
    evidence: list[EvidenceView]
    last_attacked: str | None
    controls: list[str]


class SectionView(msgspec.Struct, kw_only=True):
    """A section with its answers."""

    number: int
    name: str
    about: str
    questions: int
    answers: list[AnswerView]


class QuestionnaireView(msgspec.Struct, kw_only=True):
    """The whole questionnaire at one moment."""

    v: int
    company: str
    at: str
    summary: str
    sections: int
    questions: int
    tally: dict[str, int]
    data: list[SectionView]


def view(answered: Answered, company: str, url: str, at: datetime) -> QuestionnaireView:
    """Return the questionnaire as it travels; the counts are those of the lists below them."""
    sections = [
        SectionView(
            number=number, name=section.name, about=section.about, questions=len(answers),
            answers=[_answer(one, url) for one in answers],
        )
        for number, (section, answers) in enumerate(answered, 1)
    ]  # fmt: skip
    tally = Counter(one.answer for section in sections for one in section.answers)
    count = sum(section.questions for section in sections)
    shown = count - tally[Verdict.PARTIAL] - tally[Verdict.UNEVIDENCED]
    return QuestionnaireView(
        v=1, company=company, at=at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        summary=f"{count} questions in {len(sections)} sections; {shown} of the answers are evidenced, "
        f"{tally[Verdict.PARTIAL]} in part, {tally[Verdict.UNEVIDENCED]} not.",
        sections=len(sections), questions=count,
        tally={str(verdict): tally[verdict] for verdict in Verdict}, data=sections,
    )  # fmt: skip


def paper(view: QuestionnaireView, at: datetime, url: str) -> Paper:
    """Return the questionnaire as a document."""
    blocks: list[Block] = [
        Note(f"{view.summary} {_LIVE.format(url=url)}"),
        Heading("How to read the answers"),
        Bullets([[Span(text=f"{name}: ", strong=True), Span(text=meaning)] for name, meaning in _MEANINGS]),
        Text("A state is computed when the document is made: proven (attacked within its time, and held), attested "
             "(a dated document with an owner), recorded (an entry of a public register), stated (the company's own "
             "words), promised, stale, failing, missing."),
    ]  # fmt: skip
    for section in view.data:
        blocks += [
            Heading(section.name, 1, str(section.number)),
            Text(f"{section.about} {section.questions} questions."),
            Table(_COLUMNS, [_row(one) for one in section.answers]),
        ]
    meta = Meta(author=view.company, dated=at, subject="Answers from claims and registers", wide=True,
                reference=f"{url}/trust/questionnaire.json · {view.at}")  # fmt: skip
    return Paper(title=TITLE, subtitle=f"{view.company}: {view.questions} questions in {view.sections} sections",
                 meta=meta, blocks=blocks)  # fmt: skip


def spreadsheet(view: QuestionnaireView, document: Paper) -> bytes:
    """Return the questionnaire as a workbook: an introduction, and all answers on one sheet that sorts and filters."""
    columns = (Column("Section", 2), *_COLUMNS, Column("Evidence", 5), Column("Controls", 2))
    rows: list[Sequence[Words]] = []
    for section in view.data:
        for one in section.answers:
            evidence = "\n".join(f"{e.title} [{e.state}] {e.page or ''}".strip() for e in one.evidence)
            rows.append([f"{section.number}. {section.name}", *_row(one), evidence, ", ".join(one.controls)])
    front = replace(document, blocks=[block for block in document.blocks[:_FRONT] if not isinstance(block, Table)])
    return workbook(front, [Sheet("Questionnaire", columns, rows)])


_FRONT = 4
"""Blocks before the first section."""
_LIVE = "The live version, with evidence that can be checked, is at {url}/trust/questionnaire."
_COLUMNS = (
    Column("No.", 1), Column("Question", 4.2), Column("Answer", 1.4), Column("In words", 6),
    Column("State", 1.15), Column("Last attacked", 1.35),
)  # fmt: skip


def _row(one: AnswerView) -> list[Words]:
    verdict, basis = Verdict(one.answer), Basis(one.state)
    link = next((found.page for found in one.evidence if found.page), "") or ""
    return [
        one.id,
        one.question,
        [Span(text=one.answer, strong=True, tone=_TONES[verdict])],
        one.text,
        [Span(text=one.state, tone=_STATES[basis], link=link)],
        one.last_attacked[:10] if one.last_attacked else "never",
    ]


def _answer(one: Answer, url: str) -> AnswerView:
    return AnswerView(
        id=one.question.id, question=one.question.ask, answer=str(one.verdict), text=one.words, state=str(one.basis),
        evidence=[
            EvidenceView(
                title=found.title, state=str(found.basis), page=f"{url}{found.page}" if found.page else None,
                attacked=found.attacked,
            )
            for found in one.evidence
        ],
        last_attacked=one.last_attacked, controls=list(one.question.controls),
    )  # fmt: skip
