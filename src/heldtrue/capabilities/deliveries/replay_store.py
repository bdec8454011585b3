"""Replays of many deliveries in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.deliveries.replay_model import ReplayOf
from heldtrue.db.tx import SystemTx, TenantTx


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """A row of `heldtrue.replays`."""

    replay_id: UUID
    endpoint_id: UUID | None
    payload_id: UUID | None
    state: ReplayOf
    event_type: str | None
    created_from: datetime | None
    created_to: datetime
    matched: int
    done: int
    skipped: int
    reached: UUID | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenRow:
    """A replay that is not finished."""

    tenant_id: UUID
    environment: str
    replay_id: UUID


@dataclass(frozen=True, slots=True)
class StepRow:
    """What one batch of a replay did."""

    seen: int
    done: int
    reached: UUID | None


def insert(tx: TenantTx, tenant: UUID, environment: str, row: ReplayRow) -> None:
    """Insert a replay."""
    tx.execute(
        """INSERT INTO heldtrue.replays (tenant_id, environment, replay_id, endpoint_id, payload_id, state, event_type,
             created_from, created_to, matched, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            tenant, environment, row.replay_id, row.endpoint_id, row.payload_id, row.state, row.event_type,
            row.created_from, row.created_to, row.matched, row.created_at,
        ),
    )  # fmt: skip


def count(tx: TenantTx, row: ReplayRow) -> int:
    """Return how many deliveries a replay is about."""
    return tx.value(
        """SELECT count(*) FROM heldtrue.deliveries WHERE state = %s AND (%s::uuid IS NULL OR endpoint_id = %s)
             AND (%s::uuid IS NULL OR payload_id = %s) AND (%s::text IS NULL OR event_type = %s)
             AND (%s::timestamptz IS NULL OR created_at >= %s) AND created_at < %s""",
        (
            row.state, row.endpoint_id, row.endpoint_id, row.payload_id, row.payload_id, row.event_type, row.event_type,
            row.created_from, row.created_from, row.created_to,
        ),
    )  # fmt: skip


def step(tx: TenantTx, row: ReplayRow, now: datetime, limit: int) -> StepRow:
    """Make the next *limit* deliveries of a replay due, oldest first, and return what was done.

    The same id, the same bytes, the secrets of the time of sending; its place in the schedule begins anew.
    """
    found = tx.one(
        StepRow,
        """WITH picked AS MATERIALIZED (
             SELECT delivery_id FROM heldtrue.deliveries WHERE state = %s AND (%s::uuid IS NULL OR endpoint_id = %s)
               AND (%s::uuid IS NULL OR payload_id = %s) AND (%s::text IS NULL OR event_type = %s)
               AND (%s::timestamptz IS NULL OR created_at >= %s) AND created_at < %s
               AND (%s::uuid IS NULL OR delivery_id > %s)
             ORDER BY delivery_id LIMIT %s FOR UPDATE),
           sent AS (
             UPDATE heldtrue.deliveries d SET state = 'pending', tries = 0, due_at = %s, settled_at = NULL
             FROM picked p, heldtrue.endpoints e
             WHERE d.delivery_id = p.delivery_id AND e.endpoint_id = d.endpoint_id AND e.state = 'enabled'
               AND (d.lease_until IS NULL OR d.lease_until <= %s) RETURNING d.delivery_id)
           SELECT (SELECT count(*) FROM picked)::int AS seen, (SELECT count(*) FROM sent)::int AS done,
             (SELECT delivery_id FROM picked ORDER BY delivery_id DESC LIMIT 1) AS reached""",
        (
            row.state, row.endpoint_id, row.endpoint_id, row.payload_id, row.payload_id, row.event_type, row.event_type,
            row.created_from, row.created_from, row.created_to, row.reached, row.reached, limit, now, now,
        ),
    )  # fmt: skip
    return found or StepRow(0, 0, None)


def reached(tx: TenantTx, replay_id: UUID, made: StepRow, finished_at: datetime | None) -> None:
    """Note how far a replay is."""
    tx.execute(
        """UPDATE heldtrue.replays SET done = done + %s, skipped = skipped + %s, reached = coalesce(%s, reached),
             finished_at = %s WHERE replay_id = %s""",
        (made.done, made.seen - made.done, made.reached, finished_at, replay_id),
    )


def replay(tx: TenantTx, replay_id: UUID) -> ReplayRow | None:
    """Return a replay."""
    return tx.one(
        ReplayRow,
        """SELECT replay_id, endpoint_id, payload_id, state, event_type, created_from, created_to, matched, done,
             skipped, reached, created_at, finished_at FROM heldtrue.replays WHERE replay_id = %s""",
        (replay_id,),
    )


def lock(tx: TenantTx, replay_id: UUID) -> ReplayRow | None:
    """Return a replay that is not finished, locked; None when another worker holds it or it is finished."""
    return tx.one(
        ReplayRow,
        """SELECT replay_id, endpoint_id, payload_id, state, event_type, created_from, created_to, matched, done,
             skipped, reached, created_at, finished_at
           FROM heldtrue.replays WHERE replay_id = %s AND finished_at IS NULL FOR UPDATE SKIP LOCKED""",
        (replay_id,),
    )


def replays(tx: TenantTx, after: UUID | None, limit: int) -> list[ReplayRow]:
    """Return replays, newest first."""
    return tx.many(
        ReplayRow,
        """SELECT replay_id, endpoint_id, payload_id, state, event_type, created_from, created_to, matched, done,
             skipped, reached, created_at, finished_at FROM heldtrue.replays
           WHERE (%s::uuid IS NULL OR replay_id < %s) ORDER BY replay_id DESC LIMIT %s""",
        (after, after, limit),
    )


def unfinished(tx: SystemTx, limit: int) -> list[OpenRow]:
    """Return replays of all organisations that are not finished, oldest first."""
    return tx.many(
        OpenRow,
        """SELECT tenant_id, environment, replay_id FROM heldtrue.replays WHERE finished_at IS NULL
           ORDER BY created_at LIMIT %s""",
        (limit,),
    )
