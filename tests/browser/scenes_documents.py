"""The document room's pages, full and empty; the data is made up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from heldtrue.capabilities.registers.model import Entry
from heldtrue.capabilities.room.kinds import AGREEMENTS, Agreement, Document
from heldtrue.capabilities.room.model import Asker
from heldtrue.kernel.ids import LeafId
from heldtrue.trust.documents import PATH, AgreementItem, DocumentItem, DocumentsView
from heldtrue.trust.render import Pages

NOW = "2026-11-22T05:14:09.000Z"
TEXT = Agreement(
    title="Mutual non-disclosure agreement",
    text="What one party shows the other under this agreement stays between them.\n\nIt binds for two years.",
)
ENTRY = Entry(
    register=AGREEMENTS.name, item="standard", version=3, document=TEXT,
    recorded_at=datetime(2026, 9, 1, 9, tzinfo=UTC), leaf=LeafId(UUID(int=1)),
)  # fmt: skip


def scenes(pages: Pages) -> dict[str, bytes]:
    """Return each page by path and query."""
    full, empty = _view(_items()), _view([])
    shown = {"at": PATH, "twin": f"{PATH}.json"}
    return {
        PATH: pages.render("documents.html", **shown, view=full),
        f"{PATH}?empty": pages.render("documents.html", **shown, view=empty),
        f"{PATH}/ask": pages.render("document_ask.html", at=f"{PATH}/ask", view=full, about="pentest"),
        f"{PATH}/agreement": pages.render(
            "document_agreement.html", at=f"{PATH}/agreement", agreement=_agreement(), text=ENTRY
        ),
        f"{PATH}/grants/own?agreement": _grant(pages, accepted=None),
        f"{PATH}/grants/own": _grant(pages, accepted="22 November 2026, 05:10 UTC"),
        f"{PATH}/grants/own?expired": pages.notice(
            "This access has expired", "This access expired at 6 November 2026, 14:00 UTC. Ask for it again.", at=PATH
        ),
    }


def _grant(pages: Pages, accepted: str | None) -> bytes:
    document = Document(
        title="Penetration test, summary letter", level="nda", marking="watermark", version=2,
        content_type="application/pdf", size=412_000, sha256="a" * 64,
    )  # fmt: skip
    return pages.render(
        "document_grant.html", at=f"{PATH}/grants", document=document, href=f"{PATH}/grants/{'0' * 43}",
        ends="6 December 2026, 14:00 UTC", accepted=accepted, agreement=None if accepted else ENTRY,
        reader=Asker(name="A Reader", company="Example GmbH", mail="reader@example.com"),
    )  # fmt: skip


def _view(items: list[DocumentItem]) -> DocumentsView:
    return DocumentsView(
        at=NOW, documents=items, agreement=_agreement() if items else None, answered_within_business_days=1,
        calendar="US, America/New_York", ask=f"{PATH}/ask",
    )  # fmt: skip


def _agreement() -> AgreementItem:
    return AgreementItem(
        title=TEXT.title, version=3, sha256=TEXT.digest(), in_force_since="2026-09-01T09:00:00.000Z",
        href=f"{PATH}/agreement",
    )  # fmt: skip


def _items() -> list[DocumentItem]:
    rows: list[tuple[str, str, str, str, str]] = [
        ("architecture", "Architecture, in twelve pages", "report", "public", "decided"),
        ("gap-analysis", "Gap analysis", "analysis", "on-request", "click-through"),
        ("insurance", "Certificate of insurance", "insurance", "on-request", "decided"),
        ("pentest", "Penetration test, summary letter", "letter", "nda", "decided"),
    ]
    return [_item(*row) for row in rows]


def _item(name: str, title: str, kind: str, level: str, access: str) -> DocumentItem:
    more: dict[str, Any] = {"dated": "2026-10-30", "expires": "2027-10-30" if level == "nda" else None}
    return DocumentItem(
        id=name, title=title, summary="What a reader finds in it, in a sentence or two." if level != "public" else "",
        kind=kind, level=level, access=access, version=2, content_type="application/pdf", size=412_000,
        sha256="3b" * 32, listed_at="2026-11-02T10:00:00.000Z",
        href=f"{PATH}/files/{name}" if level == "public" else f"{PATH}/ask?about={name}", **more,
    )  # fmt: skip
