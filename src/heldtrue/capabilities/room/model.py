"""Documents, requests and grants: what they are, and the rules of time. No SQL, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from heldtrue.capabilities.clocks.calendar import deadline
from heldtrue.capabilities.registers.company import Company
from heldtrue.kernel.errors import BadInputError, ConflictError, DeniedError, LimitedError, NotFoundError

PURPOSE = "room"
"""The purpose of the operator's key that askers and readers are sealed under."""
ANSWER_DAYS = 1
"""Business days within which every request is answered."""
USUAL_DAYS = 14
MOST_DAYS = 90
MOST_FETCHES = 100
"""Copies that one grant gives."""
MOST_ASKED = 5
"""Requests that one mail address makes in a day."""
REMEMBERED = timedelta(days=365)
"""How long names stay with a request that was decided, or with a grant that ended without an agreement."""
LARGEST = 25 * 1024 * 1024
PDF = "application/pdf"

Level = Literal["public", "on-request", "nda"]
Access = Literal["decided", "click-through"]
Marking = Literal["none", "watermark", "cover-note"]
DocumentKind = Literal[
    "report", "letter", "policy", "certificate", "insurance", "analysis", "questionnaire", "agreement", "other"
]
AskKind = Literal["document", "procurement", "legal"]
AskState = Literal["open", "granted", "refused", "answered"]
Channel = Literal["page", "mail", "console"]


class NoSuchDocumentError(NotFoundError):
    """There is no such document; `/trust/documents` lists those there are."""

    code = "no-such-document"


class NoFileError(ConflictError):
    """The document has no file yet; send one to `PUT /v1/documents/{document}/file` first."""

    code = "no-file"


class NotReadableError(DeniedError):
    """This document is not for everybody; ask for it at `/trust/documents`."""

    code = "document-not-public"


class MarkingError(BadInputError):
    """Only a PDF that can be read and is not encrypted carries a watermark; send one, or choose the cover note."""

    code = "document-marking"


class DocumentNameError(BadInputError):
    """A document's name is 1 to 60 of a-z, 0-9 and hyphen, beginning and ending with a letter or digit."""

    code = "document-name"


class NoSuchAskError(NotFoundError):
    """There is no such request; `GET /v1/requests` lists those there are."""

    code = "no-such-request"


class AskDecidedError(ConflictError):
    """The request was decided already; read how."""

    code = "request-decided"


class AskKindError(ConflictError):
    """A question names no document that could be granted; answer it."""

    code = "request-kind"


class TooManyAsksError(LimitedError):
    """This mail address asked often today; write to the company instead, or come back tomorrow."""

    code = "too-many-requests-today"


class NoSuchGrantError(NotFoundError):
    """This link leads nowhere. Copy it whole from the mail that brought it; ask anew where it is lost."""

    code = "no-such-grant"


class GrantExpiredError(DeniedError):
    """This access has expired, and the document is not given by it any more; ask for it again."""

    code = "grant-expired"


class GrantRevokedError(DeniedError):
    """This access was revoked; ask the company that gave it."""

    code = "grant-revoked"


class AgreementFirstError(DeniedError):
    """The document is under a non-disclosure agreement that has not been accepted by this link; accept it first."""

    code = "agreement-first"


class AgreementChangedError(ConflictError):
    """The agreement's text changed since the page was opened; read the present one and accept that."""

    code = "agreement-changed"


class NoAgreementError(ConflictError):
    """No text of the non-disclosure agreement is on file; record one with `heldtrue documents nda FILE`."""

    code = "no-agreement"


class SpentError(DeniedError):
    """This access has given as many copies as one gives; ask for a new one."""

    code = "grant-spent"


class Asker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who asks, and in which words; sealed."""

    name: str
    company: str
    mail: str
    text: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided or answered, and why; sealed."""

    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request as it lies there, opened."""

    id: UUID
    kind: AskKind
    item: str | None
    state: AskState
    channel: Channel
    received_at: datetime
    due_at: datetime
    decided_at: datetime | None
    asker: Asker | None = field(repr=False)
    """None once it was forgotten."""
    decision: Decision | None = field(repr=False)

    def overdue(self, now: datetime) -> bool:
        """Return whether it waits beyond its time, or was decided beyond it."""
        return (self.decided_at or now) > self.due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant as it lies there, opened."""

    id: UUID
    ask: UUID
    item: str
    needs_agreement: bool
    accepted_at: datetime | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    fetches: int
    refusals: int
    reader: Asker | None = field(repr=False)

    def judge(self, now: datetime) -> None:
        """Return when the grant is in force at *now*; raise what says why it is not. Its end is not part of it."""
        if self.revoked_at is not None:
            raise GrantRevokedError
        if now >= self.expires_at:
            raise GrantExpiredError(f"This access expired at {shown(self.expires_at)}.", advice="Ask for it again.")

    def judge_fetch(self, now: datetime) -> None:
        """Return when the document may be fetched now; raise what says why not."""
        self.judge(now)
        if self.needs_agreement and self.accepted_at is None:
            raise AgreementFirstError
        if self.fetches >= MOST_FETCHES:
            raise SpentError

    def state(self, now: datetime) -> str:
        """Return the word for how it stands."""
        if self.revoked_at is not None:
            return "revoked"
        if now >= self.expires_at:
            return "expired"
        return "agreement" if self.needs_agreement and self.accepted_at is None else "in force"


def due(received_at: datetime, company: Company) -> datetime:
    """Return when a request is to be answered: the end of the next business day where the company is."""
    return deadline(received_at, ANSWER_DAYS, country=company.country, zone=ZoneInfo(company.timezone))


def ends(now: datetime, days: int, until: datetime | None, document_ends: date | None) -> datetime:
    """Return when a grant given now ends: after *days* or at *until*, and never after the document itself."""
    end = until or now + timedelta(days=days)
    if end <= now or end > now + timedelta(days=MOST_DAYS):
        raise BadInputError(f"A grant ends within {MOST_DAYS} days, and not before it begins.")
    end = cut_off(end, document_ends)
    if end <= now:
        raise ConflictError("The document itself has expired.", advice="Add a new version of it first.")
    return end


def cut_off(end: datetime, document_ends: date | None) -> datetime:
    """Return *end*, or where its document ends before, that."""
    return end if document_ends is None else min(end, datetime.combine(document_ends, time(), UTC))


def shown(at: datetime) -> str:
    """Return a moment as a mail or a page says it."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%B} {at.year}, {at:%H:%M} UTC"
