"""The document room for its readers: what there is, how to ask for it, and what a link gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from heldtrue.capabilities.ledger.model import instant
from heldtrue.capabilities.registers import actions as registers
from heldtrue.capabilities.registers.model import Entry
from heldtrue.capabilities.room import asks, documents, grants
from heldtrue.capabilities.room.kinds import AGREEMENT, AGREEMENTS, DOCUMENTS, RESERVED, Agreement, Document
from heldtrue.capabilities.room.model import Asker, AskKind, NoAgreementError, NotReadableError, shown
from heldtrue.capabilities.room.services import RoomServices
from heldtrue.http.exchange import Page
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import BadInputError
from heldtrue.op import SystemOperation
from heldtrue.trust import serving
from heldtrue.trust.granted import granted_routes
from heldtrue.trust.nav import DOCUMENTS as ITEM
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import acted, page, twin

PATH = ITEM.path
QUESTIONS: dict[str, AskKind] = {"procurement": "procurement", "legal": "legal"}


class DocumentItem(msgspec.Struct, frozen=True, kw_only=True):
    """A document that there is."""

    id: str
    title: str
    summary: str
    kind: str
    level: str
    """`public`, `on-request` or `nda`."""
    access: str
    """`decided`: a person decides each request; `click-through`: the link comes at once."""
    version: int
    dated: str | None
    expires: str | None
    """The day from whose beginning (UTC) it is not given any more."""
    content_type: str
    size: int
    sha256: str
    """Of the file as it was added; a copy with a watermark has another."""
    listed_at: str
    href: str
    """Where it is read, or asked for."""


class AgreementItem(msgspec.Struct, frozen=True, kw_only=True):
    """The non-disclosure agreement that readers accept."""

    title: str
    version: int
    sha256: str
    """Of its text in UTF-8."""
    in_force_since: str
    href: str


class DocumentsView(msgspec.Struct, frozen=True, kw_only=True):
    """The documents' page."""

    at: str
    documents: list[DocumentItem]
    agreement: AgreementItem | None
    answered_within_business_days: int
    calendar: str
    """Whose business days: a country by ISO 3166-1, and a time zone."""
    ask: str
    """Where a form or a JSON object with `about`, `name`, `company`, `mail` and `text` is sent by POST."""


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be asked for."""

    about: Annotated[str, msgspec.Meta(max_length=60)] | None = None


class AskForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reader's request, as the form sends it."""

    about: Annotated[
        str, msgspec.Meta(min_length=1, max_length=60, description="A document, `procurement` or `legal`.")
    ]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    mail: Annotated[str, msgspec.Meta(min_length=3, max_length=320)]
    company: Annotated[str, msgspec.Meta(max_length=120)] = ""
    text: Annotated[str, msgspec.Meta(max_length=4000)] = ""


class DocumentPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document."""

    document: Annotated[str, msgspec.Meta(max_length=60)]


def routes(services: RoomServices, pages: Pages) -> list[Route]:
    """Return the pages of the room, their JSON, and the form."""

    def view() -> DocumentsView:
        with services.strangers() as op:
            return _view(services, op)

    def html() -> Page:
        return serving.shown(
            pages, PATH, lambda: pages.render("documents.html", at=PATH, twin=f"{PATH}.json", view=view())
        )

    def ask_page(asked: About) -> Page:
        def render() -> bytes:
            found = view()
            about = asked.about if asked.about in {*RESERVED, *(one.id for one in found.documents)} else None
            return pages.render("document_ask.html", at=f"{PATH}/ask", view=found, about=about)

        return serving.shown(pages, PATH, render)

    def ask(asked: AskForm) -> Page:
        return acted(pages, PATH, lambda: _take(services, pages, asked))

    def agreement() -> Page:
        def render() -> bytes:
            with services.strangers() as op:
                text = grants.agreement(op.tx)
            return pages.render(
                "document_agreement.html", at=f"{PATH}/agreement", agreement=_agreement(text), text=text
            )

        return _or_nothing(pages, render)

    def file(asked: DocumentPath) -> Page:
        return _public_file(services, pages, asked.document)

    return [
        page(PATH, html, "The documents that there are, and how to get each"),
        twin(f"{PATH}.json", view, "The same as JSON", DocumentsView),
        page(f"{PATH}/ask", ask_page, "Ask for a document, or a question of procurement or law", takes=About),
        serving.form(f"{PATH}/ask", ask, "Send the request", AskForm, audits="request.received"),
        page(f"{PATH}/agreement", agreement, "The non-disclosure agreement in force"),
        Route(
            at=f"GET {PATH}/files/{{document}}", action=file, summary="A document that is for everybody",
            takes=DocumentPath, realm=Realm.PUBLIC, cache=CacheClass.PAGE, produces="application/octet-stream",
            tags=("trust",),
        ),
        *granted_routes(services, pages),
    ]  # fmt: skip


def _view(services: RoomServices, op: SystemOperation) -> DocumentsView:
    found = [
        _item(entry) for entry in registers.current(op.tx, DOCUMENTS) if not documents.over(entry.document, op.now)
    ]
    history = registers.history(op.tx, AGREEMENTS, AGREEMENT)
    text = history[-1] if history and history[-1].withdrawn is None else None
    company = services.company
    return DocumentsView(
        at=instant(op.now), documents=found, agreement=None if text is None else _agreement(text),
        answered_within_business_days=1, calendar=f"{company.country}, {company.timezone}", ask=f"{PATH}/ask",
    )  # fmt: skip


def _item(entry: Entry[Document]) -> DocumentItem:
    one = entry.document
    public = one.level == "public"
    return DocumentItem(
        id=entry.item, title=one.title, summary=one.summary, kind=one.kind, level=one.level, access=one.access,
        version=one.version, dated=one.dated and one.dated.isoformat(), expires=one.expires and one.expires.isoformat(),
        content_type=one.content_type, size=one.size, sha256=one.sha256, listed_at=instant(entry.recorded_at),
        href=f"{PATH}/files/{entry.item}" if public else f"{PATH}/ask?about={entry.item}",
    )  # fmt: skip


def _agreement(entry: Entry[Agreement]) -> AgreementItem:
    return AgreementItem(
        title=entry.document.title, version=entry.version, sha256=entry.document.digest(),
        in_force_since=instant(entry.recorded_at), href=f"{PATH}/agreement",
    )  # fmt: skip


def _take(services: RoomServices, pages: Pages, asked: AskForm) -> bytes:
    kind = QUESTIONS.get(asked.about, "document")
    if kind != "document" and not asked.text.strip():
        raise BadInputError("The question is empty.", advice="Write it into the field for your words.")
    asker = Asker(name=asked.name, company=asked.company, mail=asked.mail, text=asked.text)
    with services.strangers() as op:
        number, due_at = asks.take(services, op, kind, asked.about if kind == "document" else None, asker)
    return pages.notice(
        "Your request was received",
        f"Its number is {number}. You will have an answer by {shown(due_at)}, at {asked.mail}.",
        at=PATH,
    )


def _public_file(services: RoomServices, pages: Pages, document: str) -> Page:
    def make() -> documents.Fetched:
        with services.strangers() as op:
            return documents.read_public(services, op, document)

    try:
        found = make()
    except NotReadableError:
        text = "This document is given on request only. Ask for it at the documents' page."
        return Page(
            content=pages.notice("Not for everybody", text, at=PATH), content_type=serving.HTML, status=403,
            cache=CacheClass.PRIVATE,
        )  # fmt: skip
    return Page(
        content=found.content, content_type=found.content_type,
        headers={"content-disposition": f'attachment; filename="{found.name}"'},
    )  # fmt: skip


def _or_nothing(pages: Pages, render: Callable[[], bytes]) -> Page:
    try:
        return serving.shown(pages, PATH, render)
    except NoAgreementError:
        text = "No document is under a non-disclosure agreement at present, so there is no text of one."
        return Page(content=pages.notice("No agreement", text, at=PATH), content_type=serving.HTML, status=404)
