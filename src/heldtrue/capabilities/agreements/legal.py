"""Legal texts: versions with the day from which they hold, reviewed in time; and whether one can be accepted. Pure.

A version is recorded in the public register `legal`; its digest is the SHA-256 of the entry's document in canonical
JSON (RFC 8785), which a reader computes from the page's JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

import msgspec

from heldtrue.capabilities.agreements.levels import Levels, judge
from heldtrue.capabilities.registers.fields import Line
from heldtrue.capabilities.registers.model import Change, Entry, Kind
from heldtrue.crypto import canonical
from heldtrue.kernel.errors import BadInputError, ConflictError

YEAR = timedelta(days=366)
LONGEST = 100_000
NAMES = {
    "terms": "Terms of service",
    "acceptable-use": "Acceptable use",
    "privacy": "Privacy notice",
    "sla": "Service level schedule",
    "dpa": "Data processing agreement",
}
"""The texts there are, by item."""
PAGES = ("terms", "acceptable-use", "privacy")
"""What customers accept by itself."""


class LegalTextError(BadInputError):
    """The text may not be published like this; the message names the date or the part that is wrong."""

    code = "legal-text"


class NotInForceError(ConflictError):
    """This version cannot be accepted: it is not the one in force, nor one that is announced. Read the page again."""

    code = "not-in-force"


class StaleTextError(ConflictError):
    """The text is past its review, so it is not accepted until it has been reviewed; ask the provider."""

    code = "stale-text"


class Processing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The processing that an agreement is about (Article 28(3) GDPR): what the annexes describe."""

    subject_matter: Line
    data_subjects: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=20)]
    personal_data: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=40)]
    sensitive_data: Line = "None is asked for; the customer does not send any."
    frequency: Line = "Continuous, whenever the customer uses the service."
    nature: Line
    purpose: Line
    duration: Line
    deletion: Line


class LegalText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of a text."""

    title: Line
    owner: Line
    """The role that answers for it."""
    effective_on: date
    """From the beginning of this day, UTC, it holds."""
    reviewed_on: date
    review_by: date
    """After this day it is stale: it is shown as such, and nobody accepts it."""
    text: Annotated[str, msgspec.Meta(max_length=LONGEST)] = ""
    levels: Levels | None = None
    """Instead of a text: of the service level schedule only."""
    processing: Processing | None = None
    """What is processed: of the processing agreement only."""


def _guard(change: Change[LegalText]) -> None:
    new = change.document
    _demand(change.item in NAMES, f"There is no text {change.item!r}; there are {', '.join(NAMES)}.")
    if new is None:
        return
    today = change.now.date()
    _demand(new.reviewed_on <= today, "reviewed_on lies ahead: nothing is reviewed before it was.")
    _demand(
        new.review_by > today and new.review_by - new.reviewed_on <= YEAR,
        "review_by lies between tomorrow and a year after reviewed_on.",
    )
    past = [entry for entry in change.history if entry.withdrawn is None]
    if past and new.effective_on < today:
        before = past[-1].document
        _demand(
            new.effective_on == before.effective_on and _words(new) == _words(before),
            "What replaces a text holds from today or later, never before.",
        )
    _demand(
        (change.item == "sla") == (new.levels is not None) == (not new.text.strip()),
        "The item sla has `levels` and no text; every other item has a text and no levels.",
    )
    _demand((change.item == "dpa") == (new.processing is not None), "The item dpa alone says what is processed.")
    if new.levels is not None:
        judge(new.levels)


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LegalTextError(otherwise)


LEGAL: Kind[LegalText] = Kind(name="legal", title="Legal texts", type=LegalText, public=True, guard=_guard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a text as a reader is told of it."""

    item: str
    number: int
    document: LegalText
    sha256: str
    stale: bool


def digest(document: LegalText) -> str:
    """Return the SHA-256 that a version goes by."""
    return hashlib.sha256(canonical.canonicalize_entry(LEGAL.write(document))).hexdigest()


def in_force(history: Sequence[Entry[LegalText]], today: date) -> Version | None:
    """Return the newest version that holds on *today*; None where none does, or where the text was withdrawn."""
    if not history or history[-1].withdrawn is not None:
        return None
    held = [entry for entry in history if entry.withdrawn is None and entry.document.effective_on <= today]
    return _version(held[-1], today) if held else None


def announced(history: Sequence[Entry[LegalText]], today: date) -> Version | None:
    """Return the newest version when it holds only later."""
    if not history or history[-1].withdrawn is not None or history[-1].document.effective_on <= today:
        return None
    return _version(history[-1], today)


def admit(history: Sequence[Entry[LegalText]], number: int, sha256: str, today: date) -> Version:
    """Return the version that is accepted; raise `NotInForceError` or `StaleTextError` where it cannot be."""
    known = [found for found in (in_force(history, today), announced(history, today)) if found is not None]
    chosen = next((found for found in known if (found.number, found.sha256) == (number, sha256)), None)
    if chosen is None:
        told = ", ".join(f"version {found.number} ({found.sha256[:12]}…)" for found in known) or "none"
        raise NotInForceError(f"Version {number} cannot be accepted; what can: {told}.")
    if chosen.stale:
        raise StaleTextError(f"{chosen.document.title} was to be reviewed by {chosen.document.review_by}.")
    return chosen


def _version(entry: Entry[LegalText], today: date) -> Version:
    document = entry.document
    return Version(
        item=entry.item, number=entry.version, document=document, sha256=digest(document),
        stale=today > document.review_by,
    )  # fmt: skip


def _words(document: LegalText) -> tuple[object, ...]:
    return (document.text, document.levels, document.processing)
