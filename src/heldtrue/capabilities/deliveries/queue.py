"""Deliveries and attempts in the database: what one organisation has, and whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.deliveries.endpoint_model import BY_VALUE
from heldtrue.capabilities.deliveries.fanout import PAYLOAD_FORWARDED
from heldtrue.capabilities.deliveries.model import DeliveryState, Failure
from heldtrue.db.tx import TenantTx


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A row of `heldtrue.deliveries`."""

    delivery_id: UUID
    receipt_id: UUID | None
    payload_id: UUID | None
    endpoint_id: UUID
    state: DeliveryState
    attempts: int
    tries: int
    due_at: datetime | None
    lease_until: datetime | None
    fence: int
    created_at: datetime
    settled_at: datetime | None
    event_type: str = PAYLOAD_FORWARDED
    notice_id: UUID | None = None
    by_value: int = BY_VALUE
    order_key: bytes | None = None
    turn: int | None = None
    """Its place among those of the same order key; given by the database."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A row of `heldtrue.attempts`."""

    attempt_id: UUID
    number: int
    started_at: datetime
    latency_ms: int
    status: int | None
    failure: Failure | None
    excerpt_sealed: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class _TailRow:
    endpoint_id: UUID
    order_key: bytes


# ---------------------------------------------------------------- within one organisation
# Whoever locks several deliveries locks them in the order of their ids, after their endpoint or payload.


def insert(tx: TenantTx, tenant: UUID, environment: str, rows: Sequence[DeliveryRow]) -> None:
    """Insert deliveries in one statement; those of an order key take their turns in the order given."""
    tx.execute(
        """INSERT INTO heldtrue.deliveries (tenant_id, environment, delivery_id, receipt_id, payload_id, endpoint_id,
             state, due_at, created_at, event_type, notice_id, by_value, order_key)
           SELECT %s, %s, d.delivery_id, d.receipt_id, d.payload_id, d.endpoint_id, d.state, d.due_at, d.created_at,
             d.event_type, d.notice_id, d.by_value, d.order_key
           FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::uuid[], %s::text[], %b::timestamptz[], %b::timestamptz[],
             %s::text[], %b::uuid[], %b::int[], %b::bytea[]) WITH ORDINALITY
             AS d (delivery_id, receipt_id, payload_id, endpoint_id, state, due_at, created_at, event_type, notice_id,
               by_value, order_key, position)
           ORDER BY d.position""",
        (
            tenant, environment,
            [row.delivery_id for row in rows], [row.receipt_id for row in rows], [row.payload_id for row in rows],
            [row.endpoint_id for row in rows], [row.state for row in rows], [row.due_at for row in rows],
            [row.created_at for row in rows], [row.event_type for row in rows], [row.notice_id for row in rows],
            [row.by_value for row in rows], [row.order_key for row in rows],
        ),
    )  # fmt: skip


def unsettled(tx: TenantTx, keys: Sequence[tuple[UUID, bytes]]) -> set[tuple[UUID, bytes]]:
    """Return those of (endpoint, order key) that have a delivery which is not settled; its last one stays locked.

    So whoever settles it either has done so, or will see what is inserted behind it in this transaction.
    """
    found = tx.many(
        _TailRow,
        """SELECT d.endpoint_id, d.order_key FROM unnest(%b::uuid[], %b::bytea[]) AS k (endpoint_id, order_key),
             LATERAL (SELECT delivery_id FROM heldtrue.deliveries WHERE endpoint_id = k.endpoint_id
               AND order_key = k.order_key AND state IN ('pending', 'held') ORDER BY turn DESC LIMIT 1) tail
             JOIN heldtrue.deliveries d USING (delivery_id)
           WHERE d.state IN ('pending', 'held') ORDER BY d.delivery_id FOR UPDATE OF d""",
        ([endpoint for endpoint, _ in keys], [key for _, key in keys]),
    )
    return {(row.endpoint_id, row.order_key) for row in found}


def advance(tx: TenantTx, keys: Sequence[tuple[UUID, bytes]], now: datetime) -> int:
    """Make the next delivery due of each (endpoint, order key) whose turn has come; return how many."""
    return tx.execute(
        """UPDATE heldtrue.deliveries d SET due_at = %s
           FROM unnest(%b::uuid[], %b::bytea[]) AS k (endpoint_id, order_key),
             LATERAL (SELECT delivery_id FROM heldtrue.deliveries WHERE endpoint_id = k.endpoint_id
               AND order_key = k.order_key AND state IN ('pending', 'held') ORDER BY turn LIMIT 1) head
           WHERE d.delivery_id = head.delivery_id AND d.state = 'pending' AND d.due_at IS NULL""",
        (now, [endpoint for endpoint, _ in keys], [key for _, key in keys]),
    )


def delivery(tx: TenantTx, delivery_id: UUID) -> DeliveryRow | None:
    """Return a delivery."""
    return tx.one(
        DeliveryRow,
        """SELECT delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until, fence,
             created_at, settled_at, event_type, notice_id, by_value, order_key, turn
           FROM heldtrue.deliveries WHERE delivery_id = %s""",
        (delivery_id,),
    )


def fenced(tx: TenantTx, delivery_id: UUID, fence: int) -> DeliveryRow | None:
    """Return the delivery, locked, if nobody claimed it after *fence* was given out; None otherwise."""
    return tx.one(
        DeliveryRow,
        """SELECT delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until, fence,
             created_at, settled_at, event_type, notice_id, by_value, order_key, turn
           FROM heldtrue.deliveries WHERE delivery_id = %s AND fence = %s FOR UPDATE""",
        (delivery_id, fence),
    )


def of(tx: TenantTx, fences: Mapping[UUID, int]) -> dict[UUID, DeliveryRow]:
    """Return those deliveries that nobody claimed after their fence was given out; not locked."""
    found = tx.many(
        DeliveryRow,
        """SELECT d.delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until,
             d.fence, created_at, settled_at, event_type, notice_id, by_value, order_key, turn
           FROM unnest(%b::uuid[], %b::bigint[]) AS f (delivery_id, fence)
           JOIN heldtrue.deliveries d USING (delivery_id) WHERE d.fence = f.fence""",
        (list(fences), list(fences.values())),
    )
    return {row.delivery_id: row for row in found}


def fenced_many(tx: TenantTx, fences: Mapping[UUID, int]) -> dict[UUID, DeliveryRow]:
    """Return the same, locked in the order of their ids."""
    found = tx.many(
        DeliveryRow,
        """SELECT d.delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until,
             d.fence, created_at, settled_at, event_type, notice_id, by_value, order_key, turn
           FROM unnest(%b::uuid[], %b::bigint[]) AS f (delivery_id, fence)
           JOIN heldtrue.deliveries d USING (delivery_id) WHERE d.fence = f.fence
           ORDER BY d.delivery_id FOR UPDATE OF d""",
        (list(fences), list(fences.values())),
    )
    return {row.delivery_id: row for row in found}


def lock(tx: TenantTx, delivery_id: UUID) -> DeliveryRow | None:
    """Return a delivery, locked until the transaction ends."""
    return tx.one(
        DeliveryRow,
        """SELECT delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until, fence,
             created_at, settled_at, event_type, notice_id, by_value, order_key, turn
           FROM heldtrue.deliveries WHERE delivery_id = %s FOR UPDATE""",
        (delivery_id,),
    )


def deliveries(
    tx: TenantTx,
    *,
    payload_id: UUID | None,
    endpoint_id: UUID | None,
    state: DeliveryState | None,
    event_type: str | None,
    created_from: datetime | None,
    created_to: datetime | None,
    after: UUID | None,
    limit: int,
) -> list[DeliveryRow]:
    """Return deliveries, newest first."""
    return tx.many(
        DeliveryRow,
        """SELECT delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until, fence,
             created_at, settled_at, event_type, notice_id, by_value, order_key, turn FROM heldtrue.deliveries
           WHERE (%s::uuid IS NULL OR payload_id = %s) AND (%s::uuid IS NULL OR endpoint_id = %s)
             AND (%s::text IS NULL OR state = %s) AND (%s::text IS NULL OR event_type = %s)
             AND (%s::timestamptz IS NULL OR created_at >= %s) AND (%s::timestamptz IS NULL OR created_at < %s)
             AND (%s::uuid IS NULL OR delivery_id < %s)
           ORDER BY delivery_id DESC LIMIT %s""",
        (
            payload_id, payload_id, endpoint_id, endpoint_id, state, state, event_type, event_type, created_from,
            created_from, created_to, created_to, after, after, limit,
        ),
    )  # fmt: skip


def attempts(tx: TenantTx, delivery_id: UUID) -> list[AttemptRow]:
    """Return the attempts of a delivery in order."""
    return tx.many(
        AttemptRow,
        """SELECT attempt_id, number, started_at, latency_ms, status, failure, excerpt_sealed FROM heldtrue.attempts
           WHERE delivery_id = %s ORDER BY number""",
        (delivery_id,),
    )


def last_failures(tx: TenantTx, delivery_id: UUID, count: int) -> list[str | None]:
    """Return what the newest *count* attempts failed by, newest first."""
    found = tx.value(
        """SELECT array_agg(failure ORDER BY number DESC) FROM (
             SELECT failure, number FROM heldtrue.attempts WHERE delivery_id = %s
             ORDER BY number DESC LIMIT %s) AS last""",
        (delivery_id, count),
    )
    return list(found or ())
