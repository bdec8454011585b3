"""What an attested claim rests on, what may be said of a failure, and the entries that both leave in the log. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from heldtrue.capabilities.ledger.model import Kind, instant
from heldtrue.kernel.errors import BadInputError

LONGEST = timedelta(days=3 * 366)
"""No document counts for longer; certificates run three years at most."""
ZONES = timedelta(hours=14)
"""A date may be that of the operator's own zone, which is at most so far ahead of UTC."""
TEXT = 2000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


class PostdatedError(BadInputError):
    """The document is dated in the future; file it on its day."""

    code = "postdated"


class ExpiredDocumentError(BadInputError):
    """The document is over, or ends before it begins; file one that is in force."""

    code = "expired-document"


class DocumentRefusedError(BadInputError):
    """The document's description cannot be used as it is; correct what is named and send it again."""

    code = "document-refused"


class AnnotationRefusedError(BadInputError):
    """The annotation cannot be used as it is; correct what is named and send it again."""

    code = "annotation-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What an attested claim rests on."""

    title: str
    owner: str
    dated: date
    expires: date
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What the operator says of one run, or of an attack's overdue check; shown beside it, and changing nothing."""

    attack: str
    number: int | None
    text: str
    at: datetime
    index: int
    """Of its entry in the log."""


def admit(claim: str, document: Document, now: datetime) -> None:
    """Return where *document* may stand behind *claim* at *now*; raise otherwise."""
    if not _NAME.fullmatch(claim) or len(claim) > 120:
        raise DocumentRefusedError(f"{claim[:60]!r} is not the id of a claim")
    for name in ("title", "owner"):
        said = str(getattr(document, name))
        if not said.strip() or len(said) > 200 or not said.isprintable():
            raise DocumentRefusedError(f"{name}: write one line of at most 200 characters")
    if not _DIGEST.fullmatch(document.sha256):
        raise DocumentRefusedError("sha256: write the file's SHA-256 as 64 hexadecimal digits")
    if document.dated > (now + ZONES).astimezone(UTC).date():
        raise PostdatedError(f"the document is dated {document.dated.isoformat()}, and that day has not come")
    if document.expires <= document.dated:
        raise ExpiredDocumentError(f"the document expires on {document.expires.isoformat()}, before it begins")
    if now >= datetime.combine(document.expires, time(), UTC):
        raise ExpiredDocumentError(f"the document expired on {document.expires.isoformat()}")
    if document.expires - document.dated > LONGEST:
        raise DocumentRefusedError("expires: a document counts for three years at most")


def in_force(document: Document, now: datetime) -> bool:
    """Whether *document* counts at *now*: begun by its own date, and not expired."""
    begun = document.dated <= (now + ZONES).astimezone(UTC).date()
    return begun and now < datetime.combine(document.expires, time(), UTC)


def attested(claim: str, document: Document, now: datetime) -> dict[str, Any]:
    """Return the entry of a document that stands behind a claim from now on."""
    return {
        "v": 1,
        "kind": str(Kind.ATTESTATION),
        "claim": claim,
        "title": document.title,
        "owner": document.owner,
        "dated": document.dated.isoformat(),
        "expires": document.expires.isoformat(),
        "sha256": document.sha256,
        "withdrawn": False,
        "at": instant(now),
    }


def withdrawn(entry: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the entry which says that the document of *entry* stands behind its claim no more."""
    return {**entry, "withdrawn": True, "at": instant(now)}


def document_of(entry: Mapping[str, Any]) -> Document | None:
    """Return the document that an entry tells of; None where it was withdrawn, or dated after it was logged."""
    logged = datetime.fromisoformat(entry["at"])
    dated = date.fromisoformat(entry["dated"])
    if entry["withdrawn"] or dated > (logged + ZONES).astimezone(UTC).date():
        return None
    return Document(
        title=entry["title"],
        owner=entry["owner"],
        dated=dated,
        expires=date.fromisoformat(entry["expires"]),
        sha256=entry["sha256"],
    )


def annotated(attack: str, number: int | None, text: str, now: datetime) -> dict[str, Any]:
    """Return the entry of an annotation; raise `AnnotationRefusedError` for one that says nothing readable."""
    if not _NAME.fullmatch(attack) or len(attack) > 120:
        raise AnnotationRefusedError(f"{attack[:60]!r} is not the name of an attack")
    said = text.strip()
    if not said or len(said) > TEXT or not said.replace("\n", "").isprintable():
        raise AnnotationRefusedError(f"text: write up to {TEXT} printable characters")
    return {
        "v": 1,
        "kind": str(Kind.ANNOTATION),
        "attack": attack,
        "number": number,
        "text": said,
        "at": instant(now),
    }


def annotation_of(entry: Mapping[str, Any], index: int) -> Annotation:
    """Return the annotation that an entry holds."""
    return Annotation(
        attack=entry["attack"],
        number=entry["number"],
        text=entry["text"],
        at=datetime.fromisoformat(entry["at"]),
        index=index,
    )
