"""Begin runs: of the payloads that flows take, as part of T2, and of schedules that are due."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from heldtrue.capabilities.deliveries.forward import Plan
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.actions import Stored
from heldtrue.capabilities.intake.model import Limits, Origin, Taken, stamp
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.intake.stream import PartSink
from heldtrue.capabilities.transforms import filters, flow_store, run_store, schedule
from heldtrue.capabilities.transforms.flow_actions import config_of
from heldtrue.capabilities.transforms.flow_model import FlowConfig
from heldtrue.crypto.sealing import DataKey
from heldtrue.kernel.ids import FlowId, PayloadId, RunId
from heldtrue.op import AuditEvent, Operation

STARTED = "flow.started"
SCHEDULED = "flow.scheduled"
_log = structlog.get_logger("heldtrue.flows")


def planner(objects: ObjectStore) -> Plan:
    """Return what begins a run of each flow that takes a payload."""

    def plan(op: Operation, payloads: Sequence[Stored]) -> frozenset[PayloadId]:
        flows = [(row, config_of(op, row)) for row in flow_store.taking(op.tx)]
        if not flows:
            return frozenset()
        taken: list[PayloadId] = []
        for payload in payloads:
            read = functools.cache(functools.partial(_read, op, objects, payload.id))
            wanting = [(row, config) for row, config in flows if filters.takes(config.filters, payload, read)]
            if wanting:
                _begin(op, payload.id, wanting)
                taken.append(payload.id)
        intake.mark_processing(op, taken)
        return frozenset(taken)

    return plan


@dataclass(frozen=True, slots=True)
class Fired:
    """A scheduled flow whose time had come."""

    payload: PayloadId
    missed: int


def fire(op: Operation, flow: UUID, objects: ObjectStore) -> Fired | None:
    """Store the payload of a schedule that is due, begin its run, and note when it is due next, in one transaction.

    None when somebody else did it, or it is due no more. After a pause only the latest due time is kept.
    """
    row = flow_store.lock(op.tx, flow)
    if row is None or row.state != "enabled" or row.next_at is None or row.next_at > op.now:
        return None
    config = config_of(op, row)
    if config.schedule is None:
        return None
    due, missed = schedule.latest(config.schedule, row.next_at, op.now)
    body = json.dumps({"scheduled_for": stamp(due), "flow": str(FlowId(flow)), "missed": missed}).encode()
    key, payload = DataKey.generate(op.entropy, op.now), PayloadId.new(op.now, op.entropy)
    origin = Origin(op.tenant, op.environment, payload)
    sink = PartSink(
        objects, key, origin.body(0), Limits(), entropy=op.entropy, content_type="application/json"
    )  # small enough to stay in its row
    sink.write(body)
    intake.accept(op, payload, key, Taken(body=sink.finish()), tls=None, source="schedule")
    _begin(op, payload, [(row, config)])
    intake.mark_processing(op, [payload])
    flow_store.set_next(op.tx, flow, schedule.next_after(config.schedule, op.now))
    op.record(
        AuditEvent(
            event=SCHEDULED,
            subject=str(FlowId(flow)),
            detail={"payload": str(payload), "scheduled_for": stamp(due), "missed": missed},
        )
    )
    if missed:
        _log.warning("scheduled times were missed, the latest is run", flow=str(FlowId(flow)), missed=missed)
    return Fired(payload, missed)


def _begin(op: Operation, payload: PayloadId, flows: Sequence[tuple[flow_store.FlowRow, FlowConfig]]) -> None:
    rows = [
        run_store.RunRow(
            run_id=RunId.new(op.now, op.entropy).value,
            flow_id=row.flow_id,
            payload_id=payload.value,
            state="queued",
            step=0,
            steps=len(config.steps),
            revision=row.revision,
            tries=0,
            outcome=None,
            outputs=0,
            due_at=op.now,
            lease_until=None,
            fence=0,
            created_at=op.now,
            settled_at=None,
        )
        for row, config in flows
    ]
    run_store.insert(op.tx, op.tenant.value, op.environment, rows)
    runs = [str(RunId(row.run_id)) for row in rows]
    op.record(AuditEvent(event=STARTED, subject=str(payload), detail={"runs": runs}))


def _read(op: Operation, objects: ObjectStore, payload: PayloadId) -> bytes:
    return b"".join(intake.content(op, payload).pieces(objects))
