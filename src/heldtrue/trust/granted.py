"""What a reader's own link gives: the agreement to accept, the document, and a clear word once it is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from heldtrue.capabilities.room import documents, grants
from heldtrue.capabilities.room.model import (
    AgreementFirstError,
    Grant,
    GrantExpiredError,
    GrantRevokedError,
    NoFileError,
    NoSuchDocumentError,
    NoSuchGrantError,
    SpentError,
    shown,
)
from heldtrue.capabilities.room.services import RoomServices
from heldtrue.http.exchange import Page
from heldtrue.http.problems import explain, status_of
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import HeldtrueError
from heldtrue.op import SystemOperation
from heldtrue.trust import serving
from heldtrue.trust.nav import DOCUMENTS as ITEM
from heldtrue.trust.render import Pages

PATH = f"{ITEM.path}/grants"
_TITLES: dict[type[HeldtrueError], tuple[str, int]] = {
    GrantExpiredError: ("This access has expired", 410),
    GrantRevokedError: ("This access was revoked", 403),
    SpentError: ("This access has been used up", 403),
    NoSuchGrantError: ("This link leads nowhere", 404),
    NoSuchDocumentError: ("The document was withdrawn", 410),
    NoFileError: ("The document was withdrawn", 410),
}
"""What a page is headed, and the status it has (RFC 9110: 410 is for what was there and will not come back)."""


class LinkPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reader's own link."""

    token: Annotated[str, msgspec.Meta(max_length=100)]


class AcceptForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reader accepts the agreement."""

    token: Annotated[str, msgspec.Meta(max_length=100)]
    version: Annotated[int, msgspec.Meta(ge=1)]
    """Of the text that was read."""
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    company: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    accept: Literal["yes"]


def granted_routes(services: RoomServices, pages: Pages) -> list[Route]:
    """Return what is behind readers' links; nothing of it is kept by any cache."""

    def show(asked: LinkPath) -> Page:
        return _answered(pages, lambda: _page(_granted(services, pages, asked.token)))

    def accept(asked: AcceptForm) -> Page:
        def act() -> Page:
            with services.strangers() as op:
                grants.accept(services, op, asked.token, asked.version, asked.name, asked.company)
            return _page(_granted(services, pages, asked.token))

        return _answered(pages, act)

    def fetch(asked: LinkPath) -> Page:
        def act() -> Page:
            found = grants.fetch(services, asked.token)
            return Page(
                content=found.content, content_type=found.content_type, cache=CacheClass.PRIVATE,
                headers={"content-disposition": f'attachment; filename="{found.name}"'},
            )  # fmt: skip

        try:
            return _answered(pages, act)
        except AgreementFirstError:
            return Page(
                content=b"", content_type=serving.HTML, status=303, cache=CacheClass.PRIVATE,
                headers={"location": f"{PATH}/{asked.token}"},
            )  # fmt: skip

    def row(at: str, action: Callable[..., Page], summary: str, produces: str = "text/html") -> Route:
        return Route(
            at=at, action=action, summary=summary, takes=LinkPath, realm=Realm.PUBLIC, produces=produces,
            tags=("trust",),
        )  # fmt: skip

    return [
        row(f"GET {PATH}/{{token}}", show, "What a reader's link gives, and until when"),
        serving.form(
            f"{PATH}/{{token}}", accept, "Accept the non-disclosure agreement", AcceptForm, audits="agreement.accepted"
        ),
        row(f"GET {PATH}/{{token}}/file", fetch, "The reader's own copy of a document", "application/octet-stream"),
    ]


def _granted(services: RoomServices, pages: Pages, token: str) -> bytes:
    with services.strangers() as op:
        grant = grants.behind(op, token)
        grant.judge(op.now)
        return _rendered(op, pages, grant, token)


def _rendered(op: SystemOperation, pages: Pages, grant: Grant, token: str) -> bytes:
    document = documents.listed(op.tx, grant.item).document
    asked = grant.needs_agreement and grant.accepted_at is None
    return pages.render(
        "document_grant.html", at=f"{ITEM.path}/grants", document=document, href=f"{PATH}/{token}",
        ends=shown(grant.expires_at), accepted=grant.accepted_at and shown(grant.accepted_at),
        agreement=grants.agreement(op.tx) if asked else None, reader=grant.reader,
    )  # fmt: skip


def _page(content: bytes) -> Page:
    return Page(content=content, content_type=serving.HTML, cache=CacheClass.PRIVATE)


def _answered(pages: Pages, act: Callable[[], Page]) -> Page:
    """Return what *act* answers; what is over or never was becomes a page that says so."""
    try:
        return act()
    except AgreementFirstError:
        raise
    except HeldtrueError as error:
        kind = type(error)
        if status_of(kind) >= 500:
            raise
        title, status = _TITLES.get(kind, ("That did not work", status_of(kind)))
        text = " ".join(part for part in (error.message or explain(kind), error.advice) if part)
        return Page(
            content=pages.notice(title, text, at=ITEM.path), content_type=serving.HTML, status=status,
            cache=CacheClass.PRIVATE,
        )  # fmt: skip
