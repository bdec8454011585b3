"""Common questions, answered from claims and registers alone: every answer has the state of what it rests on."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files

import msgspec

from heldtrue.claims.board import Standing
from heldtrue.claims.documents import stamp
from heldtrue.claims.frameworks import WORST_FIRST
from heldtrue.claims.verdict import Verdict
from heldtrue.http.exchange import Page
from heldtrue.http.route import Route
from heldtrue.trust import nav
from heldtrue.trust.facts import Facts
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import page, shown, twin

PATH = nav.QUESTIONS.path


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question and what answers it."""

    id: str
    asks: str
    claims: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    """Registers whose facts belong to the answer."""
    page: str | None = None
    """Where more is said."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Questions of one kind."""

    name: str
    questions: tuple[Question, ...]


def _load() -> tuple[Section, ...]:
    text = files(__package__ or "heldtrue.trust").joinpath("questions.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text)["sections"], tuple[Section, ...])


SECTIONS = _load()


class PartView(msgspec.Struct, kw_only=True):
    """One claim of an answer."""

    claim: str
    sentence: str
    state: str
    reason: str
    page: str


class AnswerView(msgspec.Struct, kw_only=True):
    """A question with its answer."""

    id: str
    question: str
    state: str
    """The worst among its claims; `attested` where only the company's own registers answer."""
    claims: list[PartView]
    facts: list[str]
    more: str | None


class SectionView(msgspec.Struct, kw_only=True):
    """Answers of one kind."""

    name: str
    answers: list[AnswerView]


class QuestionsView(msgspec.Struct, kw_only=True):
    """The page of questions."""

    at: str
    sections: list[SectionView]


def questions(standing: Standing, facts: Mapping[str, Sequence[str]], known: frozenset[str]) -> QuestionsView:
    """Return the answers as of *standing*; a question that nothing answers is left out. *known*: pages to link."""
    verdicts = {verdict.claim.id: verdict for verdict in standing.verdicts}
    sections = [
        SectionView(
            name=section.name,
            answers=[found for one in section.questions if (found := _answer(one, verdicts, facts, known)) is not None],
        )
        for section in SECTIONS
    ]
    return QuestionsView(at=stamp(standing.at), sections=[section for section in sections if section.answers])


def _answer(
    one: Question, verdicts: Mapping[str, Verdict], facts: Mapping[str, Sequence[str]], known: frozenset[str]
) -> AnswerView | None:
    parts = [_part(verdicts[name]) for name in one.claims if name in verdicts]
    said = [sentence for name in one.facts for sentence in facts.get(name, ())]
    if not parts and not said:
        return None
    worst = min((part.state for part in parts), key=[str(state) for state in WORST_FIRST].index, default="attested")
    more = one.page if one.page in known else None
    return AnswerView(id=one.id, question=one.asks, state=worst, claims=parts, facts=said, more=more)


def _part(verdict: Verdict) -> PartView:
    claim = verdict.claim
    return PartView(
        claim=claim.id, sentence=claim.sentence, state=str(verdict.state), reason=verdict.reason,
        page=f"/trust/claims/{claim.id}",
    )  # fmt: skip


def routes(standing: Callable[[], Standing], facts: Facts, pages: Pages) -> list[Route]:
    """Return the page and its JSON."""
    known = pages.paths()

    def view() -> QuestionsView:
        return questions(standing(), facts(), known)

    def html() -> Page:
        return shown(pages, PATH, lambda: questions_page(pages, view()))

    return [
        page(PATH, html, "Common questions, answered from claims and registers"),
        twin(f"{PATH}.json", view, "The same as JSON", QuestionsView),
    ]


def questions_page(pages: Pages, view: QuestionsView) -> bytes:
    """Return the page of answers."""
    return pages.render(nav.QUESTIONS.template, at=PATH, twin=f"{PATH}.json", view=view)
