"""Pipeline keys, evidence and findings in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from heldtrue.db.tx import SystemTx


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A pipeline's public key."""

    pipeline_key_id: str
    name: str
    public: bytes
    made_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A piece of evidence."""

    evidence_id: UUID
    kind: str
    subject: str
    subject_sha256: bytes
    sha256: bytes
    size: int
    pipeline_key_id: str
    summary: dict[str, Any]
    leaf_id: UUID
    produced_at: datetime
    received_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A tracked finding."""

    finding_id: UUID
    fingerprint: bytes
    source: str
    rule: str
    severity: str
    detail_sealed: bytes
    state: str
    first_seen: datetime
    last_seen: datetime
    due_at: datetime
    resolved_at: datetime | None
    accepted_by: str | None
    accepted_until: datetime | None
    reason_sealed: bytes | None
    evidence_id: UUID


def add_key(tx: SystemTx, row: KeyRow) -> None:
    """Register a pipeline's key."""
    tx.execute(
        "INSERT INTO heldtrue.pipeline_keys (pipeline_key_id, name, public, made_at) VALUES (%s, %s, %s, %s)",
        (row.pipeline_key_id, row.name, row.public, row.made_at),
    )


def keys(tx: SystemTx) -> list[KeyRow]:
    """Return every pipeline key, the newest first."""
    return tx.many(
        KeyRow,
        """SELECT pipeline_key_id, name, public, made_at, revoked_at FROM heldtrue.pipeline_keys
           ORDER BY made_at DESC, pipeline_key_id""",
    )


def revoke_key(tx: SystemTx, key: str, at: datetime) -> bool:
    """Revoke a key; return whether there is one."""
    return bool(
        tx.execute(
            "UPDATE heldtrue.pipeline_keys SET revoked_at = coalesce(revoked_at, %s) WHERE pipeline_key_id = %s",
            (at, key),
        )
    )


def insert(tx: SystemTx, row: EvidenceRow, sealed: bytes) -> None:
    """Keep a piece of evidence."""
    tx.execute(
        """INSERT INTO heldtrue.evidence
           (evidence_id, kind, subject, subject_sha256, sha256, size, pipeline_key_id, summary, document_sealed,
            leaf_id, produced_at, received_at, expires_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (row.evidence_id, row.kind, row.subject, row.subject_sha256, row.sha256, row.size, row.pipeline_key_id,
         Jsonb(row.summary), sealed, row.leaf_id, row.produced_at, row.received_at, row.expires_at),
    )  # fmt: skip


def by_digest(tx: SystemTx, sha256: bytes) -> EvidenceRow | None:
    """Return the evidence of these very bytes."""
    return tx.one(
        EvidenceRow,
        """SELECT evidence_id, kind, subject, subject_sha256, sha256, size, pipeline_key_id, summary, leaf_id,
             produced_at, received_at, expires_at FROM heldtrue.evidence WHERE sha256 = %s""",
        (sha256,),
    )


def page(tx: SystemTx, after: UUID | None, limit: int) -> list[EvidenceRow]:
    """Return evidence older than *after*, the newest first."""
    return tx.many(
        EvidenceRow,
        """SELECT evidence_id, kind, subject, subject_sha256, sha256, size, pipeline_key_id, summary, leaf_id,
             produced_at, received_at, expires_at FROM heldtrue.evidence
           WHERE %s::uuid IS NULL OR evidence_id < %s ORDER BY evidence_id DESC LIMIT %s""",
        (after, after, limit),
    )


def newest(tx: SystemTx, subject: str | None = None) -> list[EvidenceRow]:
    """Return the newest evidence of each kind, by when it was made; about *subject* alone where one is named."""
    return tx.many(
        EvidenceRow,
        """SELECT DISTINCT ON (kind) evidence_id, kind, subject, subject_sha256, sha256, size, pipeline_key_id, summary,
             leaf_id, produced_at, received_at, expires_at FROM heldtrue.evidence
           WHERE %s::text IS NULL OR subject = %s ORDER BY kind, produced_at DESC, evidence_id DESC""",
        (subject, subject),
    )


def sealed(tx: SystemTx, evidence: UUID) -> bytes:
    """Return the sealed statement."""
    return tx.value("SELECT document_sealed FROM heldtrue.evidence WHERE evidence_id = %s", (evidence,))


def finding(tx: SystemTx, one: UUID) -> FindingRow | None:
    """Return a finding, locked."""
    return tx.one(
        FindingRow,
        """SELECT finding_id, fingerprint, source, rule, severity, detail_sealed, state, first_seen, last_seen, due_at,
             resolved_at, accepted_by, accepted_until, reason_sealed, evidence_id
           FROM heldtrue.tracked_findings WHERE finding_id = %s FOR UPDATE""",
        (one,),
    )


def findings_of(tx: SystemTx, source: str) -> list[FindingRow]:
    """Return every finding of a kind of evidence, locked, in order."""
    return tx.many(
        FindingRow,
        """SELECT finding_id, fingerprint, source, rule, severity, detail_sealed, state, first_seen, last_seen, due_at,
             resolved_at, accepted_by, accepted_until, reason_sealed, evidence_id
           FROM heldtrue.tracked_findings WHERE source = %s ORDER BY finding_id FOR UPDATE""",
        (source,),
    )


def unresolved(tx: SystemTx) -> list[FindingRow]:
    """Return the findings that are open or accepted, the one that is due first, first."""
    return tx.many(
        FindingRow,
        """SELECT finding_id, fingerprint, source, rule, severity, detail_sealed, state, first_seen, last_seen, due_at,
             resolved_at, accepted_by, accepted_until, reason_sealed, evidence_id
           FROM heldtrue.tracked_findings WHERE state <> 'resolved' ORDER BY due_at, finding_id""",
    )


def finding_page(tx: SystemTx, after: UUID | None, state: str | None, limit: int) -> list[FindingRow]:
    """Return findings older than *after*, the newest first."""
    return tx.many(
        FindingRow,
        """SELECT finding_id, fingerprint, source, rule, severity, detail_sealed, state, first_seen, last_seen, due_at,
             resolved_at, accepted_by, accepted_until, reason_sealed, evidence_id
           FROM heldtrue.tracked_findings
           WHERE (%s::uuid IS NULL OR finding_id < %s) AND (%s::text IS NULL OR state = %s)
           ORDER BY finding_id DESC LIMIT %s""",
        (after, after, state, state, limit),
    )


def put_finding(tx: SystemTx, row: FindingRow) -> None:
    """Keep a finding as it is now."""
    tx.execute(
        """INSERT INTO heldtrue.tracked_findings
           (finding_id, fingerprint, source, rule, severity, detail_sealed, state, first_seen, last_seen, due_at,
            resolved_at, accepted_by, accepted_until, reason_sealed, evidence_id)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (finding_id) DO UPDATE SET severity = EXCLUDED.severity,
             detail_sealed = EXCLUDED.detail_sealed, state = EXCLUDED.state, last_seen = EXCLUDED.last_seen,
             due_at = EXCLUDED.due_at, resolved_at = EXCLUDED.resolved_at, accepted_by = EXCLUDED.accepted_by,
             accepted_until = EXCLUDED.accepted_until, reason_sealed = EXCLUDED.reason_sealed,
             evidence_id = EXCLUDED.evidence_id""",
        (row.finding_id, row.fingerprint, row.source, row.rule, row.severity, row.detail_sealed, row.state,
         row.first_seen, row.last_seen, row.due_at, row.resolved_at, row.accepted_by, row.accepted_until,
         row.reason_sealed, row.evidence_id),
    )  # fmt: skip
