"""Payloads and attachments in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.intake.model import Source, State
from heldtrue.db.columns import Insert
from heldtrue.db.tx import SystemTx, TenantTx


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """A row of `heldtrue.payloads` without its bytes."""

    payload_id: UUID
    object_key_id: UUID
    source: Source
    state: State
    size: int
    meta_sealed: bytes | None = field(repr=False)
    body_object: str | None
    received_at: datetime
    forwarded_at: datetime | None
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class BodyRow:
    """Where the bytes of a payload or attachment are."""

    object_key_id: UUID
    state: State
    size: int
    meta_sealed: bytes | None = field(repr=False)
    body_sealed: bytes | None = field(repr=False)
    body_object: str | None


@dataclass(frozen=True, slots=True)
class NamedBodyRow:
    """Where the bytes of one of several payloads are."""

    payload_id: UUID
    object_key_id: UUID
    size: int
    body_sealed: bytes | None = field(repr=False)
    body_object: str | None


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """A row of `heldtrue.attachments` without its bytes."""

    payload_id: UUID
    ordinal: int
    size: int
    meta_sealed: bytes | None = field(repr=False)
    body_object: str | None


PAYLOADS = Insert(
    """INSERT INTO heldtrue.payloads (tenant_id, environment, payload_id, object_key_id, source, state, size,
       meta_sealed, body_sealed, body_object, received_at)
       SELECT * FROM unnest(%b::uuid[], %b::text[], %b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::bigint[],
       %b::bytea[], %b::bytea[], %b::text[], %b::timestamptz[])""",
    ("uuid", "text", "uuid", "uuid", "text", "text", "bigint", "bytea", "bytea", "text", "timestamptz"),
)


def insert_payload(tx: TenantTx, tenant: UUID, environment: str, row: PayloadRow, body_sealed: bytes | None) -> None:
    """Insert a payload that was accepted."""
    tx.insert(
        PAYLOADS,
        [
            (
                tenant,
                environment,
                row.payload_id,
                row.object_key_id,
                row.source,
                row.state,
                row.size,
                row.meta_sealed,
                body_sealed,
                row.body_object,
                row.received_at,
            )
        ],
    )


def insert_attachments(
    tx: TenantTx,
    tenant: UUID,
    environment: str,
    rows: Sequence[tuple[AttachmentRow, bytes | None]],
) -> None:
    """Insert attachments, each with its sealed bytes where these are inline."""
    tx.batch(
        """INSERT INTO heldtrue.attachments (tenant_id, environment, payload_id, ordinal, size, meta_sealed,
             body_sealed, body_object) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            (tenant, environment, row.payload_id, row.ordinal, row.size, row.meta_sealed, body, row.body_object)
            for row, body in rows
        ],
    )


def payload(tx: TenantTx, payload_id: UUID) -> PayloadRow | None:
    """Return a payload."""
    return tx.one(
        PayloadRow,
        """SELECT payload_id, object_key_id, source, state, size, meta_sealed, body_object, received_at, forwarded_at,
             erased_at FROM heldtrue.payloads WHERE payload_id = %s""",
        (payload_id,),
    )


def lock_payload(tx: TenantTx, payload_id: UUID) -> PayloadRow | None:
    """Return a payload, locked until the transaction ends."""
    return tx.one(
        PayloadRow,
        """SELECT payload_id, object_key_id, source, state, size, meta_sealed, body_object, received_at, forwarded_at,
             erased_at FROM heldtrue.payloads WHERE payload_id = %s FOR UPDATE""",
        (payload_id,),
    )


def claim_accepted(tx: TenantTx, payload_ids: Sequence[UUID]) -> list[PayloadRow]:
    """Return those that still wait to be forwarded and that nobody else holds, locked until the transaction ends."""
    return tx.many(
        PayloadRow,
        """SELECT p.* FROM unnest(%b::uuid[]) AS w (payload_id), LATERAL (
             SELECT o.payload_id, object_key_id, source, state, size, meta_sealed, body_object, received_at,
               forwarded_at, erased_at FROM heldtrue.payloads o
             WHERE o.payload_id = w.payload_id LIMIT 1 FOR UPDATE SKIP LOCKED) p
           WHERE p.state = 'accepted' ORDER BY p.received_at, p.payload_id""",
        (list(payload_ids),),
    )


def mark_forwarded(tx: TenantTx, payload_ids: Sequence[UUID], now: datetime) -> None:
    """Note that receipts and deliveries were made of the payloads."""
    tx.execute(
        """UPDATE heldtrue.payloads SET state = 'forwarded', forwarded_at = %s
           WHERE payload_id = ANY(%s) AND state IN ('accepted', 'processing')""",
        (now, list(payload_ids)),
    )


def mark_processing(tx: TenantTx, payload_ids: Sequence[UUID]) -> None:
    """Note that flows run on the payloads."""
    tx.execute(
        """UPDATE heldtrue.payloads SET state = 'processing', forwarded_at = NULL
           WHERE payload_id = ANY(%s) AND state IN ('accepted', 'forwarded')""",
        (list(payload_ids),),
    )


def payloads(tx: TenantTx, after: UUID | None, state: State | None, limit: int) -> list[PayloadRow]:
    """Return payloads, newest first."""
    return tx.many(
        PayloadRow,
        """SELECT payload_id, object_key_id, source, state, size, meta_sealed, body_object, received_at, forwarded_at,
             erased_at FROM heldtrue.payloads
           WHERE (%s::uuid IS NULL OR payload_id < %s) AND (%s::text IS NULL OR state = %s)
           ORDER BY payload_id DESC LIMIT %s""",
        (after, after, state, state, limit),
    )


def attachments(tx: TenantTx, payload_ids: Sequence[UUID]) -> list[AttachmentRow]:
    """Return the attachments of payloads, each payload's in order."""
    return tx.many(
        AttachmentRow,
        """SELECT payload_id, ordinal, size, meta_sealed, body_object FROM heldtrue.attachments
           WHERE payload_id = ANY(%s) ORDER BY payload_id, ordinal""",
        (list(payload_ids),),
    )


def body(tx: TenantTx, payload_id: UUID, ordinal: int) -> BodyRow | None:
    """Return where the bytes are of a payload (ordinal 0) or one of its attachments."""
    if ordinal == 0:
        return tx.one(
            BodyRow,
            """SELECT object_key_id, state, size, meta_sealed, body_sealed, body_object
               FROM heldtrue.payloads WHERE payload_id = %s""",
            (payload_id,),
        )
    return tx.one(
        BodyRow,
        """SELECT p.object_key_id, p.state, a.size, a.meta_sealed, a.body_sealed, a.body_object
           FROM heldtrue.attachments a JOIN heldtrue.payloads p USING (tenant_id, payload_id)
           WHERE a.payload_id = %s AND a.ordinal = %s""",
        (payload_id, ordinal),
    )


def bodies(tx: TenantTx, payload_ids: Sequence[UUID]) -> list[NamedBodyRow]:
    """Return where the bytes are of those of *payload_ids* that exist and were not erased, in any order."""
    return tx.many(
        NamedBodyRow,
        """SELECT payload_id, object_key_id, size, body_sealed, body_object
           FROM heldtrue.payloads WHERE payload_id = ANY(%s) AND state <> 'erased'""",
        (list(payload_ids),),
    )


def erase(tx: TenantTx, payload_id: UUID, now: datetime) -> None:
    """Forget everything sealed of a payload and its attachments."""
    tx.execute(
        """UPDATE heldtrue.payloads SET state = 'erased', erased_at = %s, meta_sealed = NULL, body_sealed = NULL,
             body_object = NULL WHERE payload_id = %s""",
        (now, payload_id),
    )
    tx.execute(
        """UPDATE heldtrue.attachments SET meta_sealed = NULL, body_sealed = NULL, body_object = NULL
           WHERE payload_id = %s""",
        (payload_id,),
    )


def known_objects(tx: SystemTx, names: Sequence[str]) -> set[str]:
    """Return which of *names* a row of any organisation still names."""
    found = tx.value(
        """SELECT array_agg(body_object) FROM (
             SELECT body_object FROM heldtrue.payloads WHERE body_object = ANY(%s)
             UNION ALL SELECT body_object FROM heldtrue.attachments WHERE body_object = ANY(%s)
             UNION ALL SELECT body_object FROM heldtrue.outputs WHERE body_object = ANY(%s)
             UNION ALL SELECT body_object FROM heldtrue.room_files WHERE body_object = ANY(%s)) AS named""",
        (list(names), list(names), list(names), list(names)),
    )
    return set(found or ())
