"""Outputs in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.db.tx import TenantTx


@dataclass(frozen=True, slots=True)
class OutputRow:
    """A row of `heldtrue.outputs`, with the key of its payload."""

    output_id: UUID
    payload_id: UUID
    ordinal: int
    run_id: UUID
    number: int | None
    size: int
    meta_sealed: bytes | None = field(repr=False)
    body_sealed: bytes | None = field(repr=False)
    body_object: str | None
    created_at: datetime
    object_key_id: UUID


def next_ordinal(tx: TenantTx, payload_id: UUID) -> int:
    """Return the ordinal that the payload's next output gets; the payload must be locked."""
    return tx.value("SELECT coalesce(max(ordinal), 0) + 1 FROM heldtrue.outputs WHERE payload_id = %s", (payload_id,))


def insert(tx: TenantTx, tenant: UUID, environment: str, rows: Sequence[OutputRow]) -> None:
    """Insert outputs; the database refuses a second one of the same place."""
    tx.batch(
        """INSERT INTO heldtrue.outputs (tenant_id, environment, output_id, payload_id, ordinal, run_id, number, size,
             meta_sealed, body_sealed, body_object, created_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            (
                tenant,
                environment,
                row.output_id,
                row.payload_id,
                row.ordinal,
                row.run_id,
                row.number,
                row.size,
                row.meta_sealed,
                row.body_sealed,
                row.body_object,
                row.created_at,
            )
            for row in rows
        ],
    )


def output(tx: TenantTx, output_id: UUID) -> OutputRow | None:
    """Return an output."""
    return tx.one(
        OutputRow,
        """SELECT o.output_id, o.payload_id, o.ordinal, o.run_id, o.number, o.size, o.meta_sealed, o.body_sealed,
             o.body_object, o.created_at, p.object_key_id
           FROM heldtrue.outputs o JOIN heldtrue.payloads p USING (tenant_id, payload_id) WHERE o.output_id = %s""",
        (output_id,),
    )


def outputs(tx: TenantTx, payload_id: UUID, after: UUID | None, limit: int) -> list[OutputRow]:
    """Return the outputs of a payload, newest first."""
    return tx.many(
        OutputRow,
        """SELECT o.output_id, o.payload_id, o.ordinal, o.run_id, o.number, o.size, o.meta_sealed, o.body_sealed,
             o.body_object, o.created_at, p.object_key_id
           FROM heldtrue.outputs o JOIN heldtrue.payloads p USING (tenant_id, payload_id)
           WHERE o.payload_id = %s AND (%s::uuid IS NULL OR o.output_id < %s)
           ORDER BY o.output_id DESC LIMIT %s""",
        (payload_id, after, after, limit),
    )


def forget(tx: TenantTx, payload_id: UUID) -> list[str]:
    """Forget everything sealed of a payload's outputs; return the names of their objects."""
    named = tx.value(
        "SELECT array_agg(body_object) FROM heldtrue.outputs WHERE payload_id = %s AND body_object IS NOT NULL",
        (payload_id,),
    )
    tx.execute(
        """UPDATE heldtrue.outputs SET meta_sealed = NULL, body_sealed = NULL, body_object = NULL
           WHERE payload_id = %s""",
        (payload_id,),
    )
    return list(named or ())
