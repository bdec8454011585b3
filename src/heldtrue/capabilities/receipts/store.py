"""Receipts in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.db.tx import EdgeTx, TenantTx


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A row of `heldtrue.receipts`."""

    receipt_id: UUID
    payload_id: UUID
    ordinal: int
    endpoint_id: UUID
    signing_key_id: UUID
    sealed: bytes | None = field(repr=False)
    digest: bytes
    leaf_id: UUID
    created_at: datetime
    output_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """What a link's digest leads to."""

    tenant_id: UUID
    environment: str
    receipt_id: UUID
    payload_id: UUID
    output_id: UUID | None


def insert(tx: TenantTx, tenant: UUID, environment: str, rows: Sequence[tuple[ReceiptRow, bytes]]) -> None:
    """Insert receipts with their links' digests; the database refuses a second one for the same output and endpoint."""
    tx.execute(
        """INSERT INTO heldtrue.receipts (tenant_id, environment, receipt_id, payload_id, ordinal, endpoint_id,
             signing_key_id, sealed, digest, leaf_id, link_digest, created_at, output_id)
           SELECT %s, %s, r.* FROM unnest(%b::uuid[], %b::uuid[], %s::int[], %b::uuid[], %b::uuid[], %b::bytea[],
             %b::bytea[], %b::uuid[], %b::bytea[], %b::timestamptz[], %b::uuid[]) AS r""",
        (
            tenant, environment,
            [row.receipt_id for row, _ in rows], [row.payload_id for row, _ in rows], [row.ordinal for row, _ in rows],
            [row.endpoint_id for row, _ in rows], [row.signing_key_id for row, _ in rows],
            [row.sealed for row, _ in rows], [row.digest for row, _ in rows], [row.leaf_id for row, _ in rows],
            [link_digest for _, link_digest in rows], [row.created_at for row, _ in rows],
            [row.output_id for row, _ in rows],
        ),
    )  # fmt: skip


def receipt(tx: TenantTx, receipt_id: UUID) -> ReceiptRow | None:
    """Return a receipt."""
    return tx.one(
        ReceiptRow,
        """SELECT receipt_id, payload_id, ordinal, endpoint_id, signing_key_id, sealed, digest, leaf_id, created_at
           FROM heldtrue.receipts WHERE receipt_id = %s""",
        (receipt_id,),
    )


def receipts_of(tx: TenantTx, receipt_ids: Sequence[UUID]) -> list[ReceiptRow]:
    """Return those of *receipt_ids* that exist, in any order."""
    return tx.many(
        ReceiptRow,
        """SELECT receipt_id, payload_id, ordinal, endpoint_id, signing_key_id, sealed, digest, leaf_id, created_at
           FROM heldtrue.receipts WHERE receipt_id = ANY(%s)""",
        (list(receipt_ids),),
    )


def receipts(tx: TenantTx, payload_id: UUID | None, after: UUID | None, limit: int) -> list[ReceiptRow]:
    """Return receipts, newest first."""
    return tx.many(
        ReceiptRow,
        """SELECT receipt_id, payload_id, ordinal, endpoint_id, signing_key_id, sealed, digest, leaf_id, created_at
           FROM heldtrue.receipts
           WHERE (%s::uuid IS NULL OR payload_id = %s) AND (%s::uuid IS NULL OR receipt_id < %s)
           ORDER BY receipt_id DESC LIMIT %s""",
        (payload_id, payload_id, after, after, limit),
    )


def forget(tx: TenantTx, payload_id: UUID) -> list[ReceiptRow]:
    """Forget the documents of a payload's receipts and return the rows as they were."""
    rows = tx.many(
        ReceiptRow,
        """SELECT receipt_id, payload_id, ordinal, endpoint_id, signing_key_id, sealed, digest, leaf_id, created_at
           FROM heldtrue.receipts WHERE payload_id = %s""",
        (payload_id,),
    )
    tx.execute("UPDATE heldtrue.receipts SET sealed = NULL WHERE payload_id = %s", (payload_id,))
    return rows


def linked(tx: EdgeTx, link_digest: bytes) -> LinkRow | None:
    """Return what a link leads to, whoever's it is."""
    return tx.one(
        LinkRow,
        """SELECT tenant_id, environment, receipt_id, payload_id, output_id FROM heldtrue.receipts
           WHERE link_digest = %s""",
        (link_digest,),
    )
