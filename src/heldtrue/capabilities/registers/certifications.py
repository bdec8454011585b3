"""Certifications and reports, with one honest status value each; what is expired shows itself as lapsed. Pure.

SOC 2 is a report of an auditor, not a certificate: nobody is "SOC 2 certified", and the words here never say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from heldtrue.capabilities.registers.fields import Digest, Line, Link
from heldtrue.capabilities.registers.model import Change
from heldtrue.kernel.errors import BadInputError

YEAR = timedelta(days=366)
LONGEST = 3 * YEAR
"""No certificate or report counts for longer."""


class StatusUnfoundedError(BadInputError):
    """The status claims more than the document shows; the message names what is missing, or the status that fits."""

    code = "status-unfounded"


class Status(StrEnum):
    """The one status value; there is no other, anywhere."""

    CERTIFIED = "certified"
    IN_OBSERVATION = "in-observation"
    AUDIT_IN_PROGRESS = "audit-in-progress"
    ALIGNED = "aligned"
    ROADMAP = "roadmap"
    NOT_IN_SCOPE = "not-in-scope"


class Form(StrEnum):
    """What an auditor hands over at the end."""

    CERTIFICATE = "certificate"
    REPORT_TYPE_1 = "report-type-1"
    REPORT_TYPE_2 = "report-type-2"
    DECLARATION = "self-declaration"


class Certification(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the operator stands with one standard."""

    standard: Line
    """As `SOC 2` or `ISO/IEC 27001:2022`."""
    form: Form
    status: Status
    scope: Line
    owner: Line
    """The role that answers for this line."""
    stated_on: date
    """When the owner last looked at it and said so."""
    review_by: date
    """When the owner looks at it again; later it shows as overdue."""
    auditor: Line | None = None
    dated: date | None = None
    """Date of the report or certificate."""
    expires: date | None = None
    """From the day after, it counts no more."""
    document_sha256: Digest | None = None
    observed_from: date | None = None
    observed_to: date | None = None
    expected: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    """When it is hoped for, as `2027 Q2`; no promise."""
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A certification as a reader is told of it at one moment."""

    status: Status
    lapsed: bool
    """The document's time is over: whatever it said, it says no more."""
    overdue: bool
    """Its review is overdue."""
    words: str


def judge(change: Change[Certification]) -> None:
    """Return when the status rests on what it needs; raise `StatusUnfoundedError` otherwise."""
    found = change.document
    if found is None:
        return
    _judge_dates(found, change.now.date())
    match found.status:
        case Status.CERTIFIED:
            _judge_certified(found, change.now.date())
        case Status.IN_OBSERVATION:
            _demand(found.form is Form.REPORT_TYPE_2, "Only a type 2 report has an observation window.")
            _demand(found.observed_from is not None, "in-observation needs observed_from: the day on which it began.")
            _demand(
                found.observed_from is not None and found.observed_from <= change.now.date(),
                "observed_from lies ahead: the observation has not begun, so the status is roadmap.",
            )
            ended = found.observed_to is not None and found.observed_to < change.now.date()
            _demand(not ended, "observed_to is over: the status is audit-in-progress.")
        case Status.AUDIT_IN_PROGRESS:
            _demand(found.auditor is not None, "audit-in-progress needs the auditor's name.")
        case Status.ALIGNED:
            _demand(
                found.form is Form.DECLARATION, "aligned is what one says of oneself: its form is self-declaration."
            )
        case Status.ROADMAP | Status.NOT_IN_SCOPE:
            claims = (found.dated, found.expires, found.document_sha256, found.observed_from)
            _demand(not any(claims), f"{found.status} has no document, date of one, or observation.")


def standing(found: Certification, now: datetime) -> Standing:
    """Return what a reader is told at *now*."""
    today = now.date()
    lapsed = found.expires is not None and today > found.expires
    return Standing(found.status, lapsed, today > found.review_by, _words(found, today, lapsed=lapsed))


def _words(found: Certification, today: date, *, lapsed: bool) -> str:
    noun = "Certificate" if found.form is Form.CERTIFICATE else "Report"
    if lapsed:
        return f"Lapsed: the {noun.lower()} expired on {found.expires}."
    match found.status:
        case Status.CERTIFIED:
            kind = {Form.REPORT_TYPE_1: " (type 1)", Form.REPORT_TYPE_2: " (type 2)"}.get(found.form, "")
            words = f"{noun}{kind} by {found.auditor}, dated {found.dated}, good until {found.expires}."
        case Status.IN_OBSERVATION:
            words = _observed(found, today)
        case Status.AUDIT_IN_PROGRESS:
            words = f"{found.auditor} is auditing; there is no result yet."
        case Status.ALIGNED:
            words = f"Self-declared by the {found.owner} on {found.stated_on}; no auditor has confirmed it."
        case Status.ROADMAP:
            words = f"Planned{f' for {found.expected}' if found.expected else ''}; nothing has been audited."
        case Status.NOT_IN_SCOPE:
            words = "Not pursued."
    return words


def _observed(found: Certification, today: date) -> str:
    if found.observed_to is not None and found.observed_to < today:
        return f"Observed from {found.observed_from} until {found.observed_to}; there is no report yet."
    until = f" until {found.observed_to}" if found.observed_to else ""
    return f"Under observation since {found.observed_from}{until}; there is no report yet."


def _judge_dates(found: Certification, today: date) -> None:
    for name in ("stated_on", "dated"):
        day = getattr(found, name)
        _demand(day is None or day <= today, f"{name} lies ahead: nothing can be dated after the day it is recorded.")
    _demand(found.review_by > found.stated_on, "review_by must be after stated_on.")
    _demand(found.review_by - found.stated_on <= YEAR, "review_by must be within a year of stated_on.")
    window = found.observed_from is not None or found.observed_to is not None
    _demand(not window or found.form is Form.REPORT_TYPE_2, "Only a type 2 report has an observation window.")
    if found.observed_from is not None and found.observed_to is not None:
        _demand(found.observed_from < found.observed_to, "observed_to must be after observed_from.")


def _judge_certified(found: Certification, today: date) -> None:
    _demand(found.form is not Form.DECLARATION, "A self-declaration certifies nothing: the status is aligned.")
    for name in ("auditor", "dated", "expires", "document_sha256"):
        _demand(getattr(found, name) is not None, f"certified needs {name}.")
    if found.dated is not None and found.expires is not None:
        _demand(found.expires > found.dated, "expires must be after dated.")
        _demand(found.expires - found.dated <= LONGEST, "expires must be within three years of dated.")
        _demand(found.expires >= today, "The document has expired, so it certifies nothing any more.")


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StatusUnfoundedError(otherwise)
