"""Deliveries and attempts in the database: the queue that the sender works through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.deliveries.model import DeliveryState, Failure
from heldtrue.db.tx import SystemTx, TenantTx


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A row of `heldtrue.deliveries`."""

    delivery_id: UUID
    receipt_id: UUID
    payload_id: UUID
    endpoint_id: UUID
    state: DeliveryState
    attempts: int
    tries: int
    due_at: datetime | None
    lease_until: datetime | None
    fence: int
    created_at: datetime
    settled_at: datetime | None


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
class ClaimRow:
    """A delivery that this worker holds until its lease ends; nobody else's outcome counts while the fence stands."""

    tenant_id: UUID
    environment: str
    delivery_id: UUID
    endpoint_id: UUID
    fence: int
    interrupted: bool
    """An earlier worker held it and never told the outcome."""


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A payload that waits to be forwarded."""

    tenant_id: UUID
    environment: str
    payload_id: UUID


# ---------------------------------------------------------------- across organisations: queue columns only


def waiting(tx: SystemTx, passed_over: Sequence[UUID], limit: int) -> list[WaitingRow]:
    """Return payloads that wait to be forwarded, oldest first."""
    return tx.many(
        WaitingRow,
        """SELECT tenant_id, environment, payload_id FROM heldtrue.payloads
           WHERE state = 'accepted' AND payload_id <> ALL(%s) ORDER BY received_at LIMIT %s""",
        (list(passed_over), limit),
    )


def claim(
    tx: SystemTx, now: datetime, *, lease_until: datetime, limit: int, room: Mapping[UUID, int], each: int
) -> list[ClaimRow]:
    """Claim deliveries that are due: at most *each* of an endpoint, or its *room* where that is less (T3).

    Walks from endpoint to endpoint through the index, so that the backlog of one costs the others nothing.
    """
    return tx.many(
        ClaimRow,
        """WITH RECURSIVE
             room AS (SELECT * FROM unnest(%s::uuid[], %s::int[]) AS r (endpoint_id, slots)),
             queue AS (
               (SELECT tenant_id, endpoint_id FROM heldtrue.deliveries WHERE state = 'pending'
                ORDER BY tenant_id, endpoint_id LIMIT 1)
               UNION ALL
               SELECT n.tenant_id, n.endpoint_id FROM queue q, LATERAL (
                 SELECT d.tenant_id, d.endpoint_id FROM heldtrue.deliveries d
                 WHERE d.state = 'pending' AND (d.tenant_id, d.endpoint_id) > (q.tenant_id, q.endpoint_id)
                 ORDER BY d.tenant_id, d.endpoint_id LIMIT 1) n),
             due AS (
               SELECT d.tenant_id, d.delivery_id, d.due_at
               FROM queue q LEFT JOIN room USING (endpoint_id), LATERAL (
                 SELECT tenant_id, delivery_id, due_at FROM heldtrue.deliveries
                 WHERE tenant_id = q.tenant_id AND endpoint_id = q.endpoint_id AND state = 'pending'
                   AND due_at <= %s AND (lease_until IS NULL OR lease_until <= %s)
                 ORDER BY due_at LIMIT coalesce(room.slots, %s)) d
               ORDER BY d.due_at LIMIT %s),
             picked AS (
               SELECT d.tenant_id, d.delivery_id, d.lease_until IS NOT NULL AS interrupted
               FROM heldtrue.deliveries d JOIN due USING (tenant_id, delivery_id)
               WHERE d.state = 'pending' AND d.due_at <= %s AND (d.lease_until IS NULL OR d.lease_until <= %s)
               FOR UPDATE OF d SKIP LOCKED)
           UPDATE heldtrue.deliveries d SET lease_until = %s, fence = d.fence + 1
           FROM picked p WHERE d.tenant_id = p.tenant_id AND d.delivery_id = p.delivery_id
           RETURNING d.tenant_id, d.environment, d.delivery_id, d.endpoint_id, d.fence, p.interrupted""",
        (list(room), list(room.values()), now, now, each, limit, now, now, lease_until),
    )


# ---------------------------------------------------------------- within one organisation
# Whoever locks several deliveries locks them in the order of their ids, after their endpoint or payload.


def insert(tx: TenantTx, tenant: UUID, environment: str, rows: Sequence[DeliveryRow]) -> None:
    """Insert deliveries."""
    tx.batch(
        """INSERT INTO heldtrue.deliveries (tenant_id, environment, delivery_id, receipt_id, payload_id, endpoint_id,
             state, due_at, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            (
                tenant,
                environment,
                row.delivery_id,
                row.receipt_id,
                row.payload_id,
                row.endpoint_id,
                row.state,
                row.due_at,
                row.created_at,
            )
            for row in rows
        ],
    )


def delivery(tx: TenantTx, delivery_id: UUID) -> DeliveryRow | None:
    """Return a delivery."""
    return tx.one(
        DeliveryRow,
        """SELECT delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until, fence,
             created_at, settled_at FROM heldtrue.deliveries WHERE delivery_id = %s""",
        (delivery_id,),
    )


def fenced(tx: TenantTx, delivery_id: UUID, fence: int) -> DeliveryRow | None:
    """Return the delivery, locked, if nobody claimed it after *fence* was given out; None otherwise."""
    return tx.one(
        DeliveryRow,
        """SELECT delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until, fence,
             created_at, settled_at FROM heldtrue.deliveries WHERE delivery_id = %s AND fence = %s FOR UPDATE""",
        (delivery_id, fence),
    )


def lock(tx: TenantTx, delivery_id: UUID) -> DeliveryRow | None:
    """Return a delivery, locked until the transaction ends."""
    return tx.one(
        DeliveryRow,
        """SELECT delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until, fence,
             created_at, settled_at FROM heldtrue.deliveries WHERE delivery_id = %s FOR UPDATE""",
        (delivery_id,),
    )


def deliveries(
    tx: TenantTx,
    *,
    payload_id: UUID | None,
    endpoint_id: UUID | None,
    state: DeliveryState | None,
    after: UUID | None,
    limit: int,
) -> list[DeliveryRow]:
    """Return deliveries, newest first."""
    return tx.many(
        DeliveryRow,
        """SELECT delivery_id, receipt_id, payload_id, endpoint_id, state, attempts, tries, due_at, lease_until, fence,
             created_at, settled_at FROM heldtrue.deliveries
           WHERE (%s::uuid IS NULL OR payload_id = %s) AND (%s::uuid IS NULL OR endpoint_id = %s)
             AND (%s::text IS NULL OR state = %s) AND (%s::uuid IS NULL OR delivery_id < %s)
           ORDER BY delivery_id DESC LIMIT %s""",
        (payload_id, payload_id, endpoint_id, endpoint_id, state, state, after, after, limit),
    )


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
    """End everything that waits of a payload; return how many deliveries that are."""
    return tx.execute(
        """UPDATE heldtrue.deliveries SET state = 'failed', due_at = NULL, settled_at = %s
           WHERE delivery_id IN (
             SELECT delivery_id FROM heldtrue.deliveries WHERE payload_id = %s AND state IN ('pending', 'held')
             ORDER BY delivery_id FOR UPDATE)""",
        (now, payload_id),
    )
