"""What the routes of disclosure take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from heldtrue.capabilities.disclosure import scoring
from heldtrue.capabilities.disclosure.model import LONGEST_TEXT, State
from heldtrue.capabilities.disclosure.scoring import Severity
from heldtrue.http.pagination import PageQuery

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_TEXT)]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Name = Annotated[str, msgspec.Meta(max_length=100)]
MailAddress = Annotated[str, msgspec.Meta(pattern="^[^@\\s<>\\x22]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,250}$(?!\\n)")]


class SendReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A report, as the form sends it."""

    title: Title
    text: Text
    """Plain, or a whole OpenPGP message encrypted to the published key."""
    name: Name | None = None
    """As the hall of thanks may show it."""
    mail: MailAddress | None = None
    named: Literal["yes", "no"] = "no"
    """Whether the name may be published."""


class AddMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another message of whoever reported, by the report's own link."""

    token: str
    text: Text


class ReportLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A report by its own link."""

    token: str


class ListReports(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which reports."""


class NamedReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A report."""

    report_id: str


class AcknowledgeReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which report is acknowledged, and what its reporter is told."""

    report_id: str
    message: Text | None = None


class TriageReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How grave a report is."""

    report_id: str
    vector: Annotated[str, msgspec.Meta(max_length=scoring.LONGEST, description="CVSS 3.1 or 4.0.")]
    message: Text | None = None


class AwardReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a confirmed report earns."""

    report_id: str
    cents: Annotated[
        int, msgspec.Meta(ge=1, le=100_000_000, description="In cents, within the band of the report's severity.")
    ]


class MoveReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a report goes."""

    report_id: str
    state: Literal["confirmed", "fixed", "disclosed", "not-applicable", "duplicate"]
    duplicate_of: str | None = None
    message: Text | None = None


class ThankReporter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose name goes into the hall of thanks: with the consent that came with the report."""

    report_id: str
    link: Annotated[str, msgspec.Meta(pattern="^https://[!-~]{1,500}$(?!\\n)")] | None = None


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a report."""

    number: int
    author: str
    """`reporter` or `company`."""
    encrypted: bool
    text: str
    """As it was sent."""
    opened: str | None
    """What an encrypted message says, where this instance holds the key; else null."""
    sent_at: datetime


class ReportRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A report as the operator's list shows it."""

    id: str
    state: State
    title: str
    encrypted: bool
    received_at: datetime
    due_at: datetime
    """By when it must be acknowledged."""
    acknowledged_at: datetime | None
    overdue: bool
    """Nobody has acknowledged it, and its time is over."""
    severity: Severity | None
    score: str | None
    vector: str | None
    award_cents: int | None
    duplicate_of: str | None


class ReportDetail(ReportRecord, frozen=True, kw_only=True):
    """A report with everything that was written."""

    name: str | None
    mail: str | None
    named: bool
    """Whether its reporter agreed to be named."""
    link: str
    """The reporter's own page."""
    messages: list[MessageRecord]


class MakeKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publish an OpenPGP key: a new one, or the public half of one that is kept elsewhere."""

    days: Annotated[int, msgspec.Meta(ge=30, le=1095, description="How long a new key lives.")] = 365
    public_key: Annotated[str, msgspec.Meta(max_length=100_000)] | None = None
    """In ASCII armour; null: make a new key, and keep its secret half sealed here."""


class PublishedKey(msgspec.Struct, frozen=True, kw_only=True):
    """The OpenPGP key that reports are encrypted to."""

    fingerprint: str
    public_key: str
    made_at: datetime
    expires_at: datetime
    held_here: bool
    """Whether this instance has the secret half: it then signs security.txt and opens messages."""
