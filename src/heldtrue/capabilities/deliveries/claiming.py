"""Find and claim work across organisations, by queue columns only: the sender's way into the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from heldtrue.db.tx import SystemTx


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
    concurrency: int
    rate: float | None
    probe: bool
    """The endpoint's circuit is half open: this is the one attempt that tells."""


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A payload that waits to be forwarded."""

    tenant_id: UUID
    environment: str
    payload_id: UUID


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
    """Claim deliveries that are due: of an endpoint as many as its *room*, or *each* where none is given (T3).

    Never more than the endpoint's own concurrency; one where its circuit is half open, none while it is open; of an
    order key only the one whose turn it is. Walks from endpoint to endpoint through the index, so that the backlog of
    one costs the others nothing, and takes turns between them where there are fewer slots than work. What was found is
    locked by its key alone and judged again then: a planner that heard of no backlog would walk through all of it.
    """
    return tx.many(
        ClaimRow,
        """WITH RECURSIVE
             room AS (SELECT * FROM unnest(%b::uuid[], %b::int[]) AS r (endpoint_id, slots)),
             queue AS (
               (SELECT tenant_id, endpoint_id FROM heldtrue.deliveries WHERE state = 'pending'
                ORDER BY tenant_id, endpoint_id LIMIT 1)
               UNION ALL
               SELECT n.tenant_id, n.endpoint_id FROM queue q, LATERAL (
                 SELECT d.tenant_id, d.endpoint_id FROM heldtrue.deliveries d
                 WHERE d.state = 'pending' AND (d.tenant_id, d.endpoint_id) > (q.tenant_id, q.endpoint_id)
                 ORDER BY d.tenant_id, d.endpoint_id LIMIT 1) n),
             lanes AS (
               SELECT q.tenant_id, q.endpoint_id, e.concurrency, e.rate, h.open_until IS NOT NULL AS probe,
                 least(coalesce(room.slots, %b), e.concurrency, CASE WHEN h.open_until IS NULL THEN 64 ELSE 1 END)
                   AS slots
               FROM queue q LEFT JOIN room USING (endpoint_id)
                 JOIN heldtrue.endpoints e USING (tenant_id, endpoint_id)
                 LEFT JOIN heldtrue.endpoint_health h USING (tenant_id, endpoint_id)
               WHERE h.open_until IS NULL OR h.open_until <= %b),
             due AS (
               SELECT d.tenant_id, d.delivery_id, l.concurrency, l.rate, l.probe
               FROM lanes l, LATERAL (
                 SELECT o.tenant_id, o.delivery_id, o.due_at, row_number() OVER (ORDER BY o.due_at) AS place
                 FROM heldtrue.deliveries o
                 WHERE o.tenant_id = l.tenant_id AND o.endpoint_id = l.endpoint_id AND o.state = 'pending'
                   AND o.due_at <= %b AND (o.lease_until IS NULL OR o.lease_until <= %b)
                   AND (o.order_key IS NULL OR NOT EXISTS (
                     SELECT FROM heldtrue.deliveries b
                     WHERE b.tenant_id = o.tenant_id AND b.endpoint_id = o.endpoint_id AND b.order_key = o.order_key
                       AND b.turn < o.turn AND b.state IN ('pending', 'held')))
                 ORDER BY o.due_at LIMIT l.slots) d
               WHERE l.slots > 0
               ORDER BY d.place, d.due_at LIMIT %b),
             picked AS (
               SELECT d.tenant_id, d.delivery_id, d.lease_until IS NOT NULL AS interrupted, due.concurrency, due.rate,
                 due.probe
               FROM due, LATERAL (
                 SELECT o.tenant_id, o.delivery_id, o.state, o.due_at, o.lease_until FROM heldtrue.deliveries o
                 WHERE o.tenant_id = due.tenant_id AND o.delivery_id = due.delivery_id
                 LIMIT 1 FOR UPDATE SKIP LOCKED) d
               WHERE d.state = 'pending' AND d.due_at <= %b AND (d.lease_until IS NULL OR d.lease_until <= %b))
           UPDATE heldtrue.deliveries d SET lease_until = %b, fence = d.fence + 1
           FROM picked p WHERE d.tenant_id = p.tenant_id AND d.delivery_id = p.delivery_id
           RETURNING d.tenant_id, d.environment, d.delivery_id, d.endpoint_id, d.fence, p.interrupted, p.concurrency,
             p.rate, p.probe""",
        (list(room), list(room.values()), each, now, now, now, limit, now, now, lease_until),
    )
