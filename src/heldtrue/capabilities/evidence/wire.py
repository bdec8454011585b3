"""What the routes of evidence take and give."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec

from heldtrue.capabilities.disclosure.scoring import Severity
from heldtrue.capabilities.evidence.model import Kind
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.secret import Secret

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class RegisterKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A build pipeline that may push evidence."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    public_key: Annotated[str, msgspec.Meta(max_length=200, description="Ed25519, as Multikey: `z6Mk…`.")]


class RegisteredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline's key, and the one credential that it pushes with."""

    id: str
    """SHA-256 of the public key: the `keyid` of its signatures."""
    name: str
    credential: Secret[str]
    """May push evidence and nothing else; shown once."""
    credential_id: str


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline's key."""

    id: str
    name: str
    public_key: str
    made_at: datetime
    revoked_at: datetime | None


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """Every pipeline key, revoked ones too."""

    data: list[KeyRecord]


class NamedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pipeline's key."""

    pipeline_key_id: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A DSSE envelope around an in-toto statement; described here, read as bytes."""

    payload_type: str = msgspec.field(name="payloadType")
    payload: str
    signatures: list[dict[str, str]]


class ListEvidence(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which evidence."""


class EvidenceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of evidence."""

    id: str
    kind: Kind
    subject: str
    sha256: str
    size: int
    signed_by: str
    summary: dict[str, Any]
    produced_at: datetime
    received_at: datetime
    expires_at: datetime
    expired: bool
    leaf_id: str
    """Its entry in the log: digest and summary."""


class Pushed(EvidenceRecord, frozen=True, kw_only=True):
    """A piece of evidence that was pushed, and what became of its findings."""

    opened: int
    resolved: int
    still_open: int


class ListFindings(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which findings."""

    state: Literal["open", "resolved", "accepted"] | None = None


class NamedFinding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding."""

    finding_id: str


class ResolveFinding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a finding was resolved; found again, it opens again."""

    finding_id: str
    reason: Reason


class AcceptFinding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a finding is set aside, by whom, until when."""

    finding_id: str
    reason: Reason
    owner: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    until: date


class FindingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A finding."""

    id: str
    source: str
    rule: str
    severity: Severity
    title: str
    place: str
    state: str
    first_seen: datetime
    last_seen: datetime
    due_at: datetime
    overdue: bool
    owner: str | None
    accepted_until: datetime | None
    reason: str | None


class AskGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate is asked about."""

    subject: Annotated[str, msgspec.Meta(max_length=300)] | None = None
    """A release, as it was pushed; null: the newest evidence of each kind."""
