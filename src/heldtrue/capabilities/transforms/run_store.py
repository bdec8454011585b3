"""Runs and their steps in the database: the queue that the flow engine works through.

Whoever locks a run and its payload locks the payload first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.transforms.flow_model import Outcome, RunState
from heldtrue.db.tx import SystemTx, TenantTx


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of `heldtrue.runs`."""

    run_id: UUID
    flow_id: UUID
    payload_id: UUID
    state: RunState
    step: int
    steps: int
    revision: int
    tries: int
    outcome: Outcome | None
    outputs: int
    due_at: datetime | None
    lease_until: datetime | None
    fence: int
    created_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A run that this worker holds until its lease ends; nobody else's word counts while the fence stands."""

    tenant_id: UUID
    environment: str
    run_id: UUID
    payload_id: UUID
    fence: int


@dataclass(frozen=True, slots=True)
class StepRow:
    """A row of `heldtrue.run_steps`: the newest try of a step."""

    run_id: UUID
    position: int
    payload_id: UUID
    transform_id: UUID
    version: int
    digest: bytes
    outcome: Outcome
    sandbox: str | None
    inputs: int
    outputs: int
    tries: int
    wall_ms: int
    cpu_ms: int
    peak_bytes: int | None
    result_sealed: bytes | None = field(repr=False)
    logs_sealed: bytes | None = field(repr=False)
    error_sealed: bytes | None = field(repr=False)
    finished_at: datetime


# ---------------------------------------------------------------- across organisations: queue columns only


def claim(tx: SystemTx, now: datetime, *, lease_until: datetime, limit: int, each: int) -> list[ClaimRow]:
    """Claim runs that are due, at most *each* of an organisation, so that the backlog of one costs the others nothing.

    A run whose lease ran out was interrupted: it is claimed again, and goes on with the step that was not done.
    """
    return tx.many(
        ClaimRow,
        """WITH RECURSIVE
             queue AS (
               (SELECT tenant_id FROM heldtrue.runs WHERE state IN ('queued', 'running') ORDER BY tenant_id LIMIT 1)
               UNION ALL
               SELECT n.tenant_id FROM queue q, LATERAL (
                 SELECT r.tenant_id FROM heldtrue.runs r
                 WHERE r.state IN ('queued', 'running') AND r.tenant_id > q.tenant_id
                 ORDER BY r.tenant_id LIMIT 1) n),
             due AS (
               SELECT r.tenant_id, r.run_id, r.due_at FROM queue q, LATERAL (
                 SELECT tenant_id, run_id, due_at FROM heldtrue.runs
                 WHERE tenant_id = q.tenant_id AND state IN ('queued', 'running') AND due_at <= %s
                   AND (lease_until IS NULL OR lease_until <= %s)
                 ORDER BY due_at LIMIT %s) r
               ORDER BY r.due_at LIMIT %s),
             picked AS (
               SELECT r.tenant_id, r.run_id FROM heldtrue.runs r JOIN due USING (tenant_id, run_id)
               WHERE r.state IN ('queued', 'running') AND r.due_at <= %s
                 AND (r.lease_until IS NULL OR r.lease_until <= %s)
               FOR UPDATE OF r SKIP LOCKED)
           UPDATE heldtrue.runs r SET state = 'running', lease_until = %s, fence = r.fence + 1
           FROM picked p WHERE r.tenant_id = p.tenant_id AND r.run_id = p.run_id
           RETURNING r.tenant_id, r.environment, r.run_id, r.payload_id, r.fence""",
        (now, now, each, limit, now, now, lease_until),
    )


# ---------------------------------------------------------------- within one organisation


def insert(tx: TenantTx, tenant: UUID, environment: str, rows: Sequence[RunRow]) -> None:
    """Insert runs; the database refuses a second one of the same payload and flow."""
    tx.batch(
        """INSERT INTO heldtrue.runs (tenant_id, environment, run_id, flow_id, payload_id, state, steps, revision,
             due_at, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            (
                tenant,
                environment,
                row.run_id,
                row.flow_id,
                row.payload_id,
                row.state,
                row.steps,
                row.revision,
                row.due_at,
                row.created_at,
            )
            for row in rows
        ],
    )


def run(tx: TenantTx, run_id: UUID) -> RunRow | None:
    """Return a run."""
    return tx.one(
        RunRow,
        """SELECT run_id, flow_id, payload_id, state, step, steps, revision, tries, outcome, outputs, due_at,
             lease_until, fence, created_at, settled_at FROM heldtrue.runs WHERE run_id = %s""",
        (run_id,),
    )


def lock(tx: TenantTx, run_id: UUID) -> RunRow | None:
    """Return a run, locked until the transaction ends."""
    return tx.one(
        RunRow,
        """SELECT run_id, flow_id, payload_id, state, step, steps, revision, tries, outcome, outputs, due_at,
             lease_until, fence, created_at, settled_at FROM heldtrue.runs WHERE run_id = %s FOR UPDATE""",
        (run_id,),
    )


def fenced(tx: TenantTx, run_id: UUID, fence: int) -> RunRow | None:
    """Return the run, locked, if it is under way and nobody claimed it after *fence* was given out; None otherwise."""
    return tx.one(
        RunRow,
        """SELECT run_id, flow_id, payload_id, state, step, steps, revision, tries, outcome, outputs, due_at,
             lease_until, fence, created_at, settled_at FROM heldtrue.runs
           WHERE run_id = %s AND fence = %s AND state = 'running' FOR UPDATE""",
        (run_id, fence),
    )


def runs(
    tx: TenantTx,
    *,
    flow_id: UUID | None,
    payload_id: UUID | None,
    state: RunState | None,
    after: UUID | None,
    limit: int,
) -> list[RunRow]:
    """Return runs, newest first."""
    return tx.many(
        RunRow,
        """SELECT run_id, flow_id, payload_id, state, step, steps, revision, tries, outcome, outputs, due_at,
             lease_until, fence, created_at, settled_at FROM heldtrue.runs
           WHERE (%s::uuid IS NULL OR flow_id = %s) AND (%s::uuid IS NULL OR payload_id = %s)
             AND (%s::text IS NULL OR state = %s) AND (%s::uuid IS NULL OR run_id < %s)
           ORDER BY run_id DESC LIMIT %s""",
        (flow_id, flow_id, payload_id, payload_id, state, state, after, after, limit),
    )


def cancel_for_flow(tx: TenantTx, flow_id: UUID, now: datetime) -> list[UUID]:
    """Cancel the runs of a flow that are not done; return their payloads, which are locked first."""
    found = tx.value(
        """SELECT array_agg(payload_id) FROM (
             SELECT p.payload_id FROM heldtrue.payloads p WHERE p.payload_id IN (
               SELECT payload_id FROM heldtrue.runs WHERE flow_id = %s AND state NOT IN ('done', 'cancelled'))
             ORDER BY p.payload_id FOR UPDATE) AS locked""",
        (flow_id,),
    )
    tx.execute(
        """UPDATE heldtrue.runs SET state = 'cancelled', outcome = 'cancelled', due_at = NULL, lease_until = NULL,
             fence = fence + 1, settled_at = %s WHERE flow_id = %s AND state NOT IN ('done', 'cancelled')""",
        (now, flow_id),
    )
    return list(found or ())


def all_settled(tx: TenantTx, payload_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of the payloads that have no run left to be done."""
    found = tx.value(
        """SELECT array_agg(named) FROM unnest(%s::uuid[]) named WHERE NOT EXISTS (
             SELECT FROM heldtrue.runs r WHERE r.payload_id = named AND r.state NOT IN ('done', 'cancelled'))""",
        (list(payload_ids),),
    )
    return list(found or ())


def open_for_payload(tx: TenantTx, payload_id: UUID) -> int:
    """Return how many runs of a payload are neither done nor cancelled."""
    return tx.value(
        "SELECT count(*) FROM heldtrue.runs WHERE payload_id = %s AND state NOT IN ('done', 'cancelled')",
        (payload_id,),
    )


def write(tx: TenantTx, row: RunRow) -> None:
    """Write what became of a run that is locked."""
    tx.execute(
        """UPDATE heldtrue.runs SET state = %s, step = %s, steps = %s, revision = %s, tries = %s, outcome = %s,
             outputs = %s, due_at = %s, lease_until = %s, fence = %s, settled_at = %s WHERE run_id = %s""",
        (
            row.state,
            row.step,
            row.steps,
            row.revision,
            row.tries,
            row.outcome,
            row.outputs,
            row.due_at,
            row.lease_until,
            row.fence,
            row.settled_at,
            row.run_id,
        ),
    )


def renew(tx: TenantTx, run_id: UUID, fence: int, lease_until: datetime) -> bool:
    """Hold a run for longer; return whether it is still ours."""
    return bool(
        tx.execute(
            "UPDATE heldtrue.runs SET lease_until = %s WHERE run_id = %s AND fence = %s AND state = 'running'",
            (lease_until, run_id, fence),
        )
    )


# ---------------------------------------------------------------- steps


def put_step(tx: TenantTx, tenant: UUID, environment: str, row: StepRow) -> None:
    """Write the newest try of a step, in place of the one before."""
    tx.execute(
        """INSERT INTO heldtrue.run_steps (tenant_id, environment, run_id, position, payload_id, transform_id, version,
             digest, outcome, sandbox, inputs, outputs, tries, wall_ms, cpu_ms, peak_bytes, result_sealed, logs_sealed,
             error_sealed, finished_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (tenant_id, run_id, position) DO UPDATE SET transform_id = EXCLUDED.transform_id,
             version = EXCLUDED.version, digest = EXCLUDED.digest, outcome = EXCLUDED.outcome,
             sandbox = EXCLUDED.sandbox, inputs = EXCLUDED.inputs, outputs = EXCLUDED.outputs, tries = EXCLUDED.tries,
             wall_ms = EXCLUDED.wall_ms, cpu_ms = EXCLUDED.cpu_ms, peak_bytes = EXCLUDED.peak_bytes,
             result_sealed = EXCLUDED.result_sealed, logs_sealed = EXCLUDED.logs_sealed,
             error_sealed = EXCLUDED.error_sealed, finished_at = EXCLUDED.finished_at""",
        (
            tenant,
            environment,
            row.run_id,
            row.position,
            row.payload_id,
            row.transform_id,
            row.version,
            row.digest,
            row.outcome,
            row.sandbox,
            row.inputs,
            row.outputs,
            row.tries,
            row.wall_ms,
            row.cpu_ms,
            row.peak_bytes,
            row.result_sealed,
            row.logs_sealed,
            row.error_sealed,
            row.finished_at,
        ),
    )


def steps(tx: TenantTx, run_id: UUID) -> list[StepRow]:
    """Return the newest try of each step, in order."""
    return tx.many(
        StepRow,
        """SELECT run_id, position, payload_id, transform_id, version, digest, outcome, sandbox, inputs, outputs, tries,
             wall_ms, cpu_ms, peak_bytes, result_sealed, logs_sealed, error_sealed, finished_at
           FROM heldtrue.run_steps WHERE run_id = %s ORDER BY position""",
        (run_id,),
    )


def forget_results(tx: TenantTx, run_id: UUID) -> None:
    """Forget what steps handed on, because the run is done."""
    tx.execute("UPDATE heldtrue.run_steps SET result_sealed = NULL WHERE run_id = %s", (run_id,))


def forget(tx: TenantTx, payload_id: UUID, now: datetime) -> None:
    """Cancel what runs on a payload that is erased, and forget everything sealed of its steps."""
    tx.execute(
        """UPDATE heldtrue.runs SET state = 'cancelled', outcome = 'cancelled', due_at = NULL, lease_until = NULL,
             fence = fence + 1, settled_at = %s WHERE payload_id = %s AND state NOT IN ('done', 'cancelled')""",
        (now, payload_id),
    )
    tx.execute(
        """UPDATE heldtrue.run_steps SET result_sealed = NULL, logs_sealed = NULL, error_sealed = NULL
           WHERE payload_id = %s""",
        (payload_id,),
    )
