"""What travels between the room and its operator."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import msgspec

from heldtrue.capabilities.room.model import (
    MOST_DAYS,
    USUAL_DAYS,
    Access,
    AskKind,
    AskState,
    Channel,
    DocumentKind,
    Level,
    Marking,
)
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.secret import Secret

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Words = Annotated[str, msgspec.Meta(max_length=4000)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern="^[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?$(?!\n)")]


class Publish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a document to be listed, with the file that was sent last."""

    document: Name
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    level: Level
    summary: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    kind: DocumentKind = "other"
    access: Access = "decided"
    cover_note: bool = False
    """Give a file that is no PDF in a ZIP with a note that names its reader; else only PDFs are given on request."""
    dated: date | None = None
    expires: date | None = None


class Withdraw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a document to be taken out, and its file destroyed."""

    document: Name
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] = "withdrawn by the operator"


class FileAdded(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was taken in; it is listed once the document is published."""

    id: str
    """The document's name."""
    version: int
    size: int
    sha256: str
    content_type: str
    pages: int | None
    """Of a PDF that can be marked; null: it cannot."""


class DocumentView(msgspec.Struct, frozen=True, kw_only=True):
    """A document as the operator sees it."""

    id: str
    title: str
    level: Level
    kind: DocumentKind
    access: Access
    marking: Marking
    version: int
    size: int
    sha256: str
    expires: date | None
    listed_at: datetime


class DocumentList(msgspec.Struct, frozen=True, kw_only=True):
    """Every document."""

    data: list[DocumentView]


class ListAsks(PageQuery, frozen=True, kw_only=True):
    """Which requests are asked for."""

    state: AskState | None = None


class TheAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a request."""

    ask_id: str


class OpenAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Enter a request that came another way; its clock starts when it came."""

    kind: AskKind
    mail: Annotated[str, msgspec.Meta(min_length=3, max_length=320)]
    name: Line
    company: Annotated[str, msgspec.Meta(max_length=200)] = ""
    text: Words = ""
    document: Name | None = None
    received_at: datetime | None = None
    channel: Channel = "mail"


class GrantAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Grant a request."""

    ask_id: str
    days: Annotated[int, msgspec.Meta(ge=1, le=MOST_DAYS)] = USUAL_DAYS
    until: datetime | None = None
    """When it ends, in place of `days`."""
    note: Words = ""
    """Goes into the mail."""


class RefuseAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refuse a request."""

    ask_id: str
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
    """Goes into the mail."""


class AnswerAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer a question."""

    ask_id: str
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
    elsewhere: bool = False
    """It was answered in another way: record it, and send no mail."""


class AskView(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the operator sees it."""

    id: str
    kind: AskKind
    document: str | None
    state: AskState
    channel: Channel
    received_at: datetime
    due_at: datetime
    """The end of the business day within which it is answered."""
    overdue: bool
    """It waits beyond that, or was decided beyond it."""
    decided_at: datetime | None
    name: str | None
    """Null, with what follows, once it was forgotten."""
    company: str | None
    mail: str | None
    text: str | None
    decision: str | None


class GrantMade(msgspec.Struct, frozen=True, kw_only=True):
    """A grant, and its link."""

    id: str
    ask_id: str
    document: str
    expires_at: datetime
    link: Secret[str]
    """Shown once; the reader was sent it by mail. It is all that the document asks for."""


class DownloadView(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that was handed out."""

    id: str
    """Stands on each of its pages."""
    grant_id: str
    document: str
    version: int
    marking: Marking
    size: int
    sha256: str
    at: datetime


class GrantView(msgspec.Struct, frozen=True, kw_only=True):
    """A grant as the operator sees it."""

    id: str
    ask_id: str
    document: str
    state: str
    """`in force`, `agreement` (not accepted yet), `expired` or `revoked`."""
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    accepted_at: datetime | None
    fetches: int
    refusals: int
    """Fetches that were refused because it was over, or not in force yet."""
    name: str | None
    company: str | None
    mail: str | None


class GrantDetail(GrantView, frozen=True, kw_only=True):
    """A grant with its copies."""

    downloads: list[DownloadView]


class TheGrant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a grant."""

    grant_id: str


class RevokeGrant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Revoke a grant."""

    grant_id: str
    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class TheDownload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a copy."""

    download_id: str


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """Whose copy it is."""

    download: DownloadView
    grant: GrantView
