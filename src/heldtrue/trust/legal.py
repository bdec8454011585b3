"""Legal texts for everybody: what is in force since when, what is announced, and the processing agreement's annexes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from heldtrue.capabilities.agreements import annexes as listing
from heldtrue.capabilities.agreements import dpa, legal, levels, prose, starters
from heldtrue.capabilities.agreements.dpa import Annexes, Choices
from heldtrue.capabilities.agreements.legal import LEGAL, NAMES, PAGES, LegalText, Version
from heldtrue.capabilities.agreements.wire import RenderAgreement
from heldtrue.capabilities.papers import data
from heldtrue.capabilities.papers.formats import FORMATS
from heldtrue.capabilities.papers.html import article
from heldtrue.capabilities.papers.model import Block, Meta, Note, Paper
from heldtrue.capabilities.registers import actions as registers
from heldtrue.db.tx import SystemTx
from heldtrue.http.exchange import Answer, Page
from heldtrue.http.route import Realm, Route
from heldtrue.kernel.errors import NotFoundError
from heldtrue.op import SystemOperation
from heldtrue.policy.permissions import Permission
from heldtrue.trust.known import Kept, Sources, facts, profile
from heldtrue.trust.questionnaire import attachment, download
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import page, shown, twin

PATH = "/trust/legal"
FILES = ("pdf", "docx")


class NoSuchTextError(NotFoundError):
    """There is no such text; the page of legal texts lists those there are."""

    code = "no-such-text"


class VersionView(msgspec.Struct, kw_only=True):
    """A version of a text."""

    version: int
    effective_on: str
    reviewed_on: str
    review_by: str
    owner: str
    sha256: str
    """Of `document` in canonical JSON (RFC 8785)."""
    stale: bool
    document: dict[str, Any]


class TextView(msgspec.Struct, kw_only=True):
    """A text and what of it holds."""

    item: str
    title: str
    state: str
    """`in force`, `stale` (past its review: not accepted), `announced`, or `draft` (nothing is in force)."""
    in_force: VersionView | None
    announced: VersionView | None
    accepted: bool
    """Whether customers accept it by itself."""
    page: str


class LegalView(msgspec.Struct, kw_only=True):
    """All texts."""

    v: int
    company: str
    at: str
    data: list[TextView]


class DocumentView(msgspec.Struct, kw_only=True):
    """One text as a document."""

    text: TextView
    annexes: Annexes | None
    """Of the processing agreement."""
    paper: dict[str, Any]


class TextPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text."""

    item: str


def read(sources: Sources) -> tuple[LegalView, dict[str, LegalText]]:
    """Return what holds today, and by item the text that a reader is shown: in force, announced, or the starter."""
    now = sources.clock.now()
    with sources.database.system() as tx:
        held = {item: _held(tx, item, now.date()) for item in NAMES}
    views = [text_view(item, *held[item]) for item in NAMES]
    shown_ = {item: _document(item, *found, now.date()) for item, found in held.items()}
    at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    return LegalView(v=1, company=sources.company.name, at=at, data=views), shown_


def document(sources: Sources, item: str, choices: Choices | None = None) -> tuple[TextView, Annexes | None, Paper]:
    """Return a text as a paper, with its annexes where it has any."""
    found, texts = read(sources)
    view = next((one for one in found.data if one.item == item), None)
    if view is None:
        raise NoSuchTextError
    company = profile(sources.company) or {"name": sources.company.name}
    found_annexes = annexes(sources, texts[item]) if item == "dpa" else None
    return view, found_annexes, paper(view, texts[item], company, sources.clock.now(), found_annexes, choices)


def paper(
    view: TextView, text: LegalText, company: Mapping[str, str], now: datetime, found: Annexes | None = None,
    choices: Choices | None = None,
) -> Paper:  # fmt: skip
    """Return a text as it is read: the processing agreement with its annexes, which only it has."""
    version = view.in_force or view.announced
    reference = f"version {version.version} · sha256 {version.sha256[:16]}…" if version else "draft"
    if found is None:
        return _plain(text, view, company, now, reference)
    return dpa.paper(
        text, choices or Choices(uk=True, swiss=True), found, company, dated=now, reference=reference,
        draft=view.in_force is None,
    )  # fmt: skip


def annexes(sources: Sources, text: LegalText) -> Annexes:
    """Return what the annexes hold now: the register of sub-processors, and the measures with their states."""
    known, _ = facts(sources)
    with sources.database.system() as tx:
        listed = listing.sub_processors(tx)
    states = {name: str(claim.state) for name, claim in known.claims.items()}
    processing = text.processing or starters.PROCESSING
    return Annexes(processing=processing, measures=dpa.measures(states), sub_processors=listed)


def routes(sources: Sources, pages: Pages) -> list[Route]:
    """Return the pages, their JSON, the files, and the operator's rendering with a customer's choices."""
    kept = Kept(sources.clock)

    def overview() -> Page:
        return shown(
            pages, PATH, lambda: pages.render("legal.html", at=PATH, twin=f"{PATH}.json", view=read(sources)[0])
        )

    def one(asked: TextPath) -> Page:
        def make() -> bytes:
            view, _, made = document(sources, asked.item)
            return text_page(pages, view, made)

        return shown(pages, PATH, make)

    def render(_op: SystemOperation, asked: RenderAgreement) -> Answer:
        choices = msgspec.convert(
            {name: getattr(asked, name) for name in Choices.__struct_fields__}, Choices
        )  # fmt: skip
        _, _, made = document(sources, asked.document, choices)
        form = FORMATS[asked.format]
        return Answer(content=form.write(made), content_type=form.content_type, detail={"document": asked.document})

    rows = [
        page(PATH, overview, "Legal texts, each with the day from which it holds"),
        twin(f"{PATH}.json", lambda: read(sources)[0], "The same as JSON", LegalView),
        page(f"{PATH}/{{item}}", one, "A legal text", takes=TextPath),
        Route(
            at="POST /v1/agreements/drafts", action=render, summary="Render a legal text with a customer's choices",
            takes=RenderAgreement, needs=Permission.REGISTER_READ, audits="agreement.rendered", realm=Realm.OPERATOR,
            produces="application/octet-stream",
        ),
    ]  # fmt: skip
    for item in NAMES:
        rows.append(twin(f"{PATH}/{item}.json", _data(sources, item), f"{NAMES[item]} as JSON", DocumentView))
        rows += [download(f"{PATH}/{item}.{ending}", _file(sources, kept, item, ending), ending) for ending in FILES]
    return rows


def text_page(pages: Pages, view: TextView, made: Paper) -> bytes:
    """Return the page of one text."""
    at = f"{PATH}/{view.item}"
    return pages.render("legal_text.html", at=at, twin=f"{at}.json", text=view, paper=made, body=article(made))


def _data(sources: Sources, item: str) -> Any:
    def made() -> DocumentView:
        view, found, written = document(sources, item)
        return DocumentView(text=view, annexes=found, paper=data.render(written))

    return made


def _file(sources: Sources, kept: Kept, item: str, ending: str) -> Any:
    def made() -> Page:
        name = f"{item}.{ending}"
        return attachment(name, ending, kept.get(name, lambda: FORMATS[ending].write(document(sources, item)[2])))

    return made


def _held(tx: SystemTx, item: str, today: date) -> tuple[Version | None, Version | None]:
    history = registers.history(tx, LEGAL, item)
    return legal.in_force(history, today), legal.announced(history, today)


def text_view(item: str, holds: Version | None, later: Version | None) -> TextView:
    """Return what readers are told of a text: what *holds*, and what comes *later*."""
    state = "in force" if holds else "announced" if later else "draft"
    return TextView(
        item=item, title=NAMES[item], state="stale" if holds and holds.stale else state, in_force=_version(holds),
        announced=_version(later), accepted=item in PAGES, page=f"{PATH}/{item}",
    )  # fmt: skip


def _version(found: Version | None) -> VersionView | None:
    if found is None:
        return None
    text = found.document
    return VersionView(
        version=found.number, effective_on=text.effective_on.isoformat(), reviewed_on=text.reviewed_on.isoformat(),
        review_by=text.review_by.isoformat(), owner=text.owner, sha256=found.sha256, stale=found.stale,
        document=LEGAL.write(text),
    )  # fmt: skip


def _document(item: str, holds: Version | None, later: Version | None, today: date) -> LegalText:
    found = holds or later
    return found.document if found else starters.starter(item, "[owner]", today, today)


def _plain(text: LegalText, view: TextView, company: Mapping[str, str], now: datetime, reference: str) -> Paper:
    blocks: list[Block] = []
    if view.in_force is None:
        told = f"It holds from {text.effective_on}." if view.announced else "It has no effective date and holds nobody."
        blocks.append(Note(f"Not in force. {told}", "bad"))
    else:
        blocks.append(Note(f"In force since {text.effective_on}, reviewed on {text.reviewed_on}."))
        if view.state == "stale":
            blocks.append(
                Note(f"Its review was due by {text.review_by}: until then it is not accepted by anybody.", "bad")
            )
    values = {**company, "company": company.get("name", "")}
    made = levels.blocks(text.levels) if text.levels else prose.blocks(prose.filled(text.text, values))
    meta = Meta(author=company.get("name", ""), dated=now, reference=reference, contents=False)
    return Paper(title=text.title, meta=meta, blocks=[*blocks, *made])
