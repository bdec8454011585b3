"""The registers of the room, both public: which documents there are, and the text of the non-disclosure agreement."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

import msgspec

from heldtrue.capabilities.post.model import one_line
from heldtrue.capabilities.registers.model import Change, Kind
from heldtrue.capabilities.room.model import LARGEST, Access, DocumentKind, DocumentNameError, Level, Marking
from heldtrue.crypto.digest import sha256
from heldtrue.kernel.errors import BadInputError, ConflictError

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?")
RESERVED = frozenset({"procurement", "legal"})
"""What the form of the page says for a question about no document."""
AGREEMENT = "standard"
"""The item of the agreement that readers accept."""


class FileMismatchError(ConflictError):
    """What is said of a document's file is written when the file is added; send a new version of it instead."""

    code = "document-file"


class DocumentTextError(BadInputError):
    """A title is one line of printable characters; write it without line breaks and hidden characters."""

    code = "document-text"


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What everybody may know of a document, whoever may read it."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    summary: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    level: Level
    kind: DocumentKind = "other"
    access: Access = "decided"
    """`decided`: a person grants each request; `click-through`: the mailed link comes at once."""
    marking: Marking = "none"
    """How a copy tells whose it is."""
    dated: date | None = None
    expires: date | None = None
    """The day from whose beginning (UTC) it is not given any more."""
    version: Annotated[int, msgspec.Meta(ge=1)]
    content_type: Annotated[str, msgspec.Meta(min_length=3, max_length=200)]
    size: Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """Of the file as it was added; a marked copy has another."""

    def file(self) -> tuple[int, str, int, str]:
        """Return what is said of the file."""
        return self.version, self.content_type, self.size, self.sha256


class Agreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text that a reader accepts before a document is given; what was accepted is named by its version and hash."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=40_000)]

    def digest(self) -> str:
        """Return the SHA-256 of the text in UTF-8, in hexadecimal."""
        return sha256(self.text.encode()).hex()


def judge_name(name: str) -> str:
    """Return *name* when it can be a document's; raise `DocumentNameError`."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise DocumentNameError(f"{name[:80]!r} cannot be the name of a document.")
    return name


def _judge_document(change: Change[Document]) -> None:
    judge_name(change.item)
    if change.document is None:
        return
    if not one_line(change.document.title):
        raise DocumentTextError
    before = change.before
    if before is None or change.document.version > before.document.version:
        return
    if change.document.file() != before.document.file():
        raise FileMismatchError


def _judge_agreement(change: Change[Agreement]) -> None:
    if change.document is not None and not one_line(change.document.title):
        raise DocumentTextError


DOCUMENTS: Kind[Document] = Kind(name="documents", title="Documents", type=Document, public=True, guard=_judge_document)
AGREEMENTS: Kind[Agreement] = Kind(
    name="agreements-nda", title="Non-disclosure agreement", type=Agreement, public=True, guard=_judge_agreement
)
KINDS: tuple[Kind[Any], ...] = (DOCUMENTS, AGREEMENTS)
"""The registers of this capability."""
