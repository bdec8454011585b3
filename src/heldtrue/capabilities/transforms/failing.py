"""What becomes of a run whose step failed: tried again by the schedule, or failed for good, which is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from heldtrue.capabilities.deliveries.forward import Signer, forward_outputs
from heldtrue.capabilities.deliveries.selecting import reader
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.model import stamp
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.outputs import actions as outputs
from heldtrue.capabilities.transforms import run_store
from heldtrue.capabilities.transforms.schedule import next_try
from heldtrue.capabilities.transforms.steps import Tried, Work, put_tried
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import TransformId
from heldtrue.op import AuditEvent, Operation

FAILED = "flow.failed"
"""The audit event, and the type of the webhook that tells it."""


def fail(
    op: Operation, work: Work, tried: Tried, signer: Signer, origin: str, objects: ObjectStore, clock: Clock
) -> bool:
    """Write a try that failed and when the next one is due; after the last one, tell it. False: ours no more."""
    intake.lock(op, work.payload.id)
    row = run_store.fenced(op.tx, work.claim.run_id, work.claim.fence)
    if row is None:
        return False
    tries = row.tries + 1
    put_tried(op, work, tried, tries)
    due_at = next_try(tried.outcome, tries, op.now, op.entropy)
    row = replace(row, tries=tries, outcome=tried.outcome, due_at=due_at, lease_until=None)
    if due_at is not None:
        run_store.write(op.tx, replace(row, state="queued"))
        return True
    run_store.write(op.tx, replace(row, state="failed", settled_at=op.now))
    op.record(
        AuditEvent(
            event=FAILED,
            subject=str(work.run),
            detail={
                "flow": str(work.flow),
                "payload": str(work.payload.id),
                "step": work.position,
                "transform": str(TransformId(work.version.transform_id)),
                "version": work.version.number,
                "outcome": tried.outcome,
                "tries": tries,
            },
        )
    )
    if work.config.alerts:
        _tell(op, work, tried, tries, signer, origin, objects, clock)
    return True


def wait(op: Operation, claim: run_store.ClaimRow, due_at: datetime, outcome: str | None = None) -> bool:
    """Give a run back that could not be tried, which counts as no try; False when it is ours no more."""
    row = run_store.fenced(op.tx, claim.run_id, claim.fence)
    if row is None:
        return False
    said = "unavailable" if outcome == "unavailable" else row.outcome
    run_store.write(op.tx, replace(row, state="queued", outcome=said, due_at=due_at, lease_until=None))
    return True


def _tell(
    op: Operation,
    work: Work,
    tried: Tried,
    tries: int,
    signer: Signer,
    origin: str,
    objects: ObjectStore,
    clock: Clock,
) -> None:
    """Send a notice to the endpoints that the flow names; it has a receipt as everything that is sent."""
    notice = {
        "flow": str(work.flow),
        "name": work.config.name,
        "run": str(work.run),
        "payload": str(work.payload.id),
        "step": work.position,
        "transform": str(TransformId(work.version.transform_id)),
        "version": work.version.number,
        "outcome": tried.outcome,
        "error": tried.error,
        "tries": tries,
        "failed_at": stamp(op.now),
    }
    drafts = outputs.Drafts(
        op.tenant, op.environment, work.flow, work.run, work.payload.key, objects, clock, op.entropy
    )
    drafts.add(json.dumps(notice).encode(), FAILED, (), None)
    [output] = outputs.keep(op, work.payload.id, work.payload.key, work.run, drafts.made)
    forward_outputs(op, work.payload, [(output, work.config.alerts)], signer, origin, reader(objects))
