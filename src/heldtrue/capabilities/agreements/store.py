"""Acceptances and signed copies in SQL; both append-only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.db.tx import SystemTx, TenantTx


@dataclass(frozen=True, slots=True)
class AcceptanceRow:
    """A row of `heldtrue.acceptances`."""

    acceptance_id: UUID
    item: str
    version: int
    sha256: str
    accepted_by_sealed: bytes = field(repr=False)
    accepted_at: datetime


def insert_acceptance(tx: TenantTx, tenant: UUID, environment: str, row: AcceptanceRow) -> None:
    """Add an acceptance."""
    tx.execute(
        """INSERT INTO heldtrue.acceptances
             (tenant_id, environment, acceptance_id, item, version, sha256, accepted_by_sealed, accepted_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            tenant, environment, row.acceptance_id, row.item, row.version, row.sha256, row.accepted_by_sealed,
            row.accepted_at,
        ],
    )  # fmt: skip


def acceptances(tx: TenantTx, tenant: UUID, environment: str, after: UUID | None, limit: int) -> list[AcceptanceRow]:
    """Return up to *limit* acceptances older than *after*, the newest first."""
    return tx.many(
        AcceptanceRow,
        """SELECT acceptance_id, item, version, sha256, accepted_by_sealed, accepted_at FROM heldtrue.acceptances
           WHERE tenant_id = %s AND environment = %s AND (%s::uuid IS NULL OR acceptance_id < %s::uuid)
           ORDER BY acceptance_id DESC LIMIT %s""",
        [tenant, environment, after, after, limit],
    )


def insert_file(tx: SystemTx, agreement: UUID, sealed: bytes, now: datetime) -> None:
    """Keep the bytes of a signed copy."""
    tx.execute(
        "INSERT INTO heldtrue.agreement_files (agreement_id, content_sealed, created_at) VALUES (%s, %s, %s)",
        [agreement, sealed, now],
    )


def file(tx: SystemTx, agreement: UUID) -> bytes | None:
    """Return the sealed bytes of a signed copy."""
    return tx.value("SELECT content_sealed FROM heldtrue.agreement_files WHERE agreement_id = %s", [agreement])
