"""Write what became of deliveries: one, a batch of attempts, or everything of an endpoint or payload.

Whoever locks several deliveries locks them in the order of their ids, after their endpoint or payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.deliveries import queue
from heldtrue.capabilities.deliveries.model import DeliveryState
from heldtrue.capabilities.deliveries.queue import AttemptRow
from heldtrue.db.tx import TenantTx


@dataclass(frozen=True, slots=True)
class Settled:
    """An attempt, and what became of its delivery."""

    delivery_id: UUID
    attempt: AttemptRow
    state: DeliveryState
    tries: int
    due_at: datetime | None
    settled_at: datetime | None


def record(tx: TenantTx, tenant: UUID, environment: str, rows: Sequence[Settled]) -> None:
    """Insert attempts and settle their deliveries, which nobody holds any more, in one statement."""
    tx.execute(
        """WITH tried AS (
             SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::int[], %b::timestamptz[], %b::int[], %b::int[],
               %s::text[], %b::bytea[], %s::text[], %b::int[], %b::timestamptz[], %b::timestamptz[])
             AS t (attempt_id, delivery_id, number, started_at, latency_ms, status, failure, excerpt_sealed, state,
               tries, due_at, settled_at)),
           kept AS (
             INSERT INTO heldtrue.attempts (tenant_id, environment, attempt_id, delivery_id, number, started_at,
               latency_ms, status, failure, excerpt_sealed)
             SELECT %s, %s, attempt_id, delivery_id, number, started_at, latency_ms, status, failure, excerpt_sealed
             FROM tried)
           UPDATE heldtrue.deliveries d SET state = t.state, attempts = t.number, tries = t.tries, due_at = t.due_at,
             settled_at = t.settled_at, lease_until = NULL
           FROM tried t WHERE d.delivery_id = t.delivery_id""",
        (
            [row.attempt.attempt_id for row in rows], [row.delivery_id for row in rows],
            [row.attempt.number for row in rows], [row.attempt.started_at for row in rows],
            [row.attempt.latency_ms for row in rows], [row.attempt.status for row in rows],
            [row.attempt.failure for row in rows], [row.attempt.excerpt_sealed for row in rows],
            [row.state for row in rows], [row.tries for row in rows], [row.due_at for row in rows],
            [row.settled_at for row in rows], tenant, environment,
        ),
    )  # fmt: skip


def insert_attempt(tx: TenantTx, tenant: UUID, environment: str, delivery_id: UUID, row: AttemptRow) -> None:
    """Insert an attempt."""
    tx.execute(
        """INSERT INTO heldtrue.attempts (tenant_id, environment, attempt_id, delivery_id, number, started_at,
             latency_ms, status, failure, excerpt_sealed) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            tenant,
            environment,
            row.attempt_id,
            delivery_id,
            row.number,
            row.started_at,
            row.latency_ms,
            row.status,
            row.failure,
            row.excerpt_sealed,
        ),
    )


def settle(
    tx: TenantTx,
    delivery_id: UUID,
    state: DeliveryState,
    *,
    attempts: int,
    tries: int,
    due_at: datetime | None,
    settled_at: datetime | None,
    lease_until: datetime | None = None,
) -> None:
    """Write what became of a delivery; without *lease_until* it is nobody's any more."""
    tx.execute(
        """UPDATE heldtrue.deliveries SET state = %s, attempts = %s, tries = %s, due_at = %s, settled_at = %s,
             lease_until = %s WHERE delivery_id = %s""",
        (state, attempts, tries, due_at, settled_at, lease_until, delivery_id),
    )


def hold(tx: TenantTx, endpoint_id: UUID) -> int:
    """Hold everything that waits for an endpoint; return how many deliveries that are."""
    return tx.execute(
        """UPDATE heldtrue.deliveries SET state = 'held', due_at = NULL WHERE delivery_id IN (
             SELECT delivery_id FROM heldtrue.deliveries WHERE endpoint_id = %s AND state = 'pending'
             ORDER BY delivery_id FOR UPDATE)""",
        (endpoint_id,),
    )


def release(tx: TenantTx, endpoint_id: UUID, now: datetime) -> int:
    """Make everything due that was held for an endpoint; return how many deliveries that are."""
    return tx.execute(
        """UPDATE heldtrue.deliveries SET state = 'pending', tries = 0, due_at = %s, settled_at = NULL
           WHERE delivery_id IN (
             SELECT delivery_id FROM heldtrue.deliveries WHERE endpoint_id = %s AND state = 'held'
             ORDER BY delivery_id FOR UPDATE)""",
        (now, endpoint_id),
    )


def end_for_endpoint(tx: TenantTx, endpoint_id: UUID, now: datetime) -> int:
    """End everything that waits for an endpoint; return how many deliveries that are."""
    return tx.execute(
        """UPDATE heldtrue.deliveries SET state = 'failed', due_at = NULL, settled_at = %s
           WHERE delivery_id IN (
             SELECT delivery_id FROM heldtrue.deliveries WHERE endpoint_id = %s AND state IN ('pending', 'held')
             ORDER BY delivery_id FOR UPDATE)""",
        (now, endpoint_id),
    )


def end_for_payload(tx: TenantTx, payload_id: UUID, now: datetime) -> int:
    """End everything that waits of a payload, and let what waited behind it have its turn; return how many."""
    keys = tx.many(
        _KeyRow,
        """SELECT endpoint_id, order_key FROM heldtrue.deliveries
           WHERE payload_id = %s AND order_key IS NOT NULL AND state IN ('pending', 'held')""",
        (payload_id,),
    )
    ended = tx.execute(
        """UPDATE heldtrue.deliveries SET state = 'failed', due_at = NULL, settled_at = %s
           WHERE delivery_id IN (
             SELECT delivery_id FROM heldtrue.deliveries WHERE payload_id = %s AND state IN ('pending', 'held')
             ORDER BY delivery_id FOR UPDATE)""",
        (now, payload_id),
    )
    if keys:
        queue.advance(tx, [(row.endpoint_id, row.order_key) for row in keys], now)
    return ended


@dataclass(frozen=True, slots=True)
class _KeyRow:
    endpoint_id: UUID
    order_key: bytes
