"""What the worker does beside forwarding and sending: bulk replays, and endpoints that fail for days."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from heldtrue.capabilities.deliveries import endpoints, fanout, health, notices, replay_store, replays, store
from heldtrue.capabilities.deliveries.worker import Worker, WorkerServices
from heldtrue.capabilities.intake.model import stamp
from heldtrue.kernel.ids import EndpointId, ReplayId
from heldtrue.op import AuditEvent, Operation

WARN_BEFORE = timedelta(days=1)
LOOK = timedelta(seconds=30)
AT_ONCE = 100
WARNED = "endpoint.disabling"


class Upkeep:
    """One a process; each step is safe to repeat and to run in several processes."""

    def __init__(self, worker: Worker, services: WorkerServices) -> None:
        self._worker = worker
        self._database = services.database
        self._clock = services.clock
        self._after = services.disable_after
        self._looked: datetime | None = None

    def replay(self) -> int:
        """Carry each unfinished replay on by one batch; return how many deliveries are on their way again."""
        with self._database.system() as tx:
            rows = replay_store.unfinished(tx, AT_ONCE)
        done = 0
        for row in rows:
            with self._worker.operation((row.tenant_id, row.environment)) as op:
                done += replays.carry_on(op, ReplayId(row.replay_id))
        return done

    def watch(self) -> int:
        """Warn of endpoints that will be disabled within a day, disable those whose time has come; return how many."""
        now = self._clock.now()
        if self._looked is not None and timedelta() <= now - self._looked < LOOK:
            return 0
        self._looked = now
        with self._database.system() as tx:
            rows = health.failing(tx, now - self._after + WARN_BEFORE, AT_ONCE)
        acted = 0
        for row in rows:
            over = now - row.failing_since >= self._after
            if over or row.warned_at is None:
                with self._worker.operation((row.tenant_id, row.environment)) as op:
                    acted += (
                        _disable(op, row.endpoint_id, self._after) if over else _warn(op, row.endpoint_id, self._after)
                    )
        return acted


def _warn(op: Operation, endpoint_id: UUID, after: timedelta) -> int:
    """Tell that an endpoint is about to be disabled: in the audit trail, on itself, and to the other endpoints."""
    found = health.lock(op.tx, [endpoint_id]).get(endpoint_id)
    if found is None or found.failing_since is None or found.warned_at is not None:
        return 0
    health.keep(op.tx, op.tenant.value, op.environment, {endpoint_id: replace(found, warned_at=op.now)})
    endpoint, when = EndpointId(endpoint_id), found.failing_since + after
    data = {"endpoint": str(endpoint), "failing_since": stamp(found.failing_since), "disabling_at": stamp(when)}
    op.record(AuditEvent(event=WARNED, subject=str(endpoint), detail=data))
    notices.tell(op, fanout.ENDPOINT_DISABLING, data, but=endpoint)
    return 1


def _disable(op: Operation, endpoint_id: UUID, after: timedelta) -> int:
    """Disable an endpoint that has had nothing but failures for too long, and tell; what waits for it is held."""
    row = store.lock(op.tx, endpoint_id)
    found = health.of(op.tx, [endpoint_id]).get(endpoint_id)
    still = found is not None and found.failing_since is not None and op.now - found.failing_since >= after
    if row is None or row.state != "enabled" or found is None or found.failing_since is None or not still:
        return 0
    endpoint = EndpointId(endpoint_id)
    held = endpoints.disable(op, endpoint, endpoints.FAILING)
    data = {"endpoint": str(endpoint), "failing_since": stamp(found.failing_since), "held": held}
    notices.tell(op, fanout.ENDPOINT_DISABLED, data, but=endpoint)
    return 1
