"""T4: write what came of attempts, when the next are due, and how their endpoints do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from heldtrue.capabilities.deliveries import breaker, endpoints, health, queue, settling, store
from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.deliveries.model import DeliveryState
from heldtrue.capabilities.deliveries.schedule import next_try
from heldtrue.crypto.sealing import DataKey
from heldtrue.kernel.ids import AttemptId, CryptoKeyId, DeliveryId, EndpointId
from heldtrue.op import AuditEvent, Operation

if TYPE_CHECKING:
    from heldtrue.capabilities.deliveries.sender import Outcome

ATTEMPTED = "delivery.attempted"
GONE_STATUS = 410
UNKNOWN_IN_A_ROW = 3
"""After so many attempts without an outcome a delivery waits before it is tried again: it may be what kills us."""
UNKNOWN_WAIT = timedelta(minutes=5)


def record(op: Operation, outcomes: Sequence[Outcome]) -> int:
    """Write what came of the attempts of one place, in a handful of round trips; return how many counted (T4).

    Those whose fence fell count for nothing: another worker holds the delivery. Outcomes that disable their endpoint
    are recorded one by one, see `record_gone`.
    """
    fences = {outcome.prepared.claim.delivery_id: outcome.prepared.claim.fence for outcome in outcomes}
    rows = queue.fenced_many(op.tx, fences)
    counted = [outcome for outcome in outcomes if outcome.prepared.claim.delivery_id in rows]
    if not counted:
        return 0
    keys = _keys(op, counted)
    written = [_settled(op, rows[outcome.prepared.claim.delivery_id], outcome, keys) for outcome in counted]
    settling.record(op.tx, op.tenant.value, op.environment, written)
    _advance(op, [(rows[one.delivery_id], one.state) for one in written])
    _judge(op, counted)
    return len(counted)


def record_gone(op: Operation, outcome: Outcome) -> int:
    """Record an answer of 410: the endpoint is disabled, and what waits for it is held; return how many counted."""
    endpoint = store.lock(op.tx, outcome.prepared.claim.endpoint_id)  # before the delivery: the order of all locks
    counted = record(op, [outcome])
    if counted and endpoint is not None and endpoint.state == "enabled":
        endpoints.disable(op, EndpointId(endpoint.endpoint_id), endpoints.GONE)
    return counted


def record_interruption(op: Operation, row: queue.DeliveryRow) -> bool:
    """Record that an earlier worker never told the outcome; return whether to try again at once."""
    unknown = queue.AttemptRow(
        attempt_id=AttemptId.new(op.now, op.entropy).value,
        number=row.attempts + 1,
        started_at=op.now,
        latency_ms=0,
        status=None,
        failure="unknown-outcome",
        excerpt_sealed=None,
    )
    settling.insert_attempt(op.tx, op.tenant.value, op.environment, row.delivery_id, unknown)
    _audit(op, row, unknown, "pending")
    last = queue.last_failures(op.tx, row.delivery_id, UNKNOWN_IN_A_ROW)
    again = len(last) < UNKNOWN_IN_A_ROW or any(failure != "unknown-outcome" for failure in last)
    settling.settle(
        op.tx,
        row.delivery_id,
        "pending",
        attempts=row.attempts + 1,
        tries=row.tries,
        due_at=row.due_at if again else op.now + UNKNOWN_WAIT,
        settled_at=None,
        lease_until=row.lease_until if again else None,
    )
    return again


def settled_at(state: DeliveryState, now: datetime, row: queue.DeliveryRow) -> datetime | None:
    """Return when a delivery of *state* was settled: the first time counts."""
    if state in {"delivered", "failed"}:
        return row.settled_at or now
    return None


def _settled(
    op: Operation, row: queue.DeliveryRow, outcome: Outcome, keys: Mapping[CryptoKeyId, DataKey]
) -> settling.Settled:
    attempt_id = AttemptId.new(op.now, op.entropy).value
    attempt = queue.AttemptRow(
        attempt_id=attempt_id,
        number=row.attempts + 1,
        started_at=outcome.started_at,
        latency_ms=outcome.response.latency_ms,
        status=outcome.response.status,
        failure=outcome.response.failure,
        excerpt_sealed=_sealed(op, attempt_id, outcome, keys),
    )
    state, due_at = _decide(op, row, outcome.response)
    _audit(op, row, attempt, state)
    return settling.Settled(row.delivery_id, attempt, state, row.tries + 1, due_at, settled_at(state, op.now, row))


def _decide(op: Operation, row: queue.DeliveryRow, response: Response) -> tuple[DeliveryState, datetime | None]:
    if response.delivered:
        return "delivered", None
    if response.status == GONE_STATUS or row.state == "held":
        return "held", None
    if row.state != "pending":
        return row.state, None
    due_at = next_try(row.tries + 1, op.now, op.entropy, response.retry_after)
    return ("pending", due_at) if due_at is not None else ("failed", None)


def _keys(op: Operation, outcomes: Sequence[Outcome]) -> Mapping[CryptoKeyId, DataKey]:
    wanted = {
        outcome.prepared.object_key
        for outcome in outcomes
        if outcome.response.excerpt and outcome.prepared.object_key is not None
    }
    return op.keys.object_keys(wanted) if wanted else {}


def _sealed(op: Operation, attempt: UUID, outcome: Outcome, keys: Mapping[CryptoKeyId, DataKey]) -> bytes | None:
    """Seal what the receiver said; of a payload that was erased on its way that is not kept either."""
    excerpt, object_key = outcome.response.excerpt, outcome.prepared.object_key
    if not excerpt:
        return None
    if object_key is None:
        return op.keys.seal(endpoints.PURPOSE, "attempts", "excerpt", str(attempt), excerpt)
    key = keys.get(object_key)
    return None if key is None else op.keys.seal_object(key, "attempts", "excerpt", str(attempt), excerpt)


def _advance(op: Operation, settled: Sequence[tuple[queue.DeliveryRow, DeliveryState]]) -> None:
    keys = [
        (row.endpoint_id, row.order_key)
        for row, state in settled
        if row.order_key is not None and state in {"delivered", "failed"}
    ]
    if keys:
        queue.advance(op.tx, keys, op.now)


def _judge(op: Operation, outcomes: Sequence[Outcome]) -> None:
    """Let each endpoint's circuit know; one that answers well and was never amiss costs no write."""
    told: dict[UUID, list[bool]] = {}
    for outcome in outcomes:
        told.setdefault(outcome.prepared.claim.endpoint_id, []).append(outcome.response.delivered)
    known = health.lock(op.tx, list(told))
    changed = {
        endpoint: breaker.after(known.get(endpoint, breaker.Health()), results, op.now, op.entropy)
        for endpoint, results in told.items()
        if endpoint in known or not all(results)
    }
    if changed:
        health.keep(op.tx, op.tenant.value, op.environment, changed)
        _audit_circuits(op, known, changed)


def _audit_circuits(
    op: Operation, before: Mapping[UUID, breaker.Health], now_known: Mapping[UUID, breaker.Health]
) -> None:
    for endpoint, found in now_known.items():
        was = before.get(endpoint, breaker.Health()).open_until is not None
        if was is not (found.open_until is not None):
            word = "closed" if was else "opened"
            op.record(AuditEvent(event=f"endpoint.circuit-{word}", subject=str(EndpointId(endpoint))))


def _audit(op: Operation, row: queue.DeliveryRow, attempt: queue.AttemptRow, state: DeliveryState) -> None:
    op.record(
        AuditEvent(
            event=ATTEMPTED,
            subject=str(DeliveryId(row.delivery_id)),
            detail={
                "number": attempt.number,
                "status": attempt.status,
                "failure": attempt.failure,
                "state": state,
                "endpoint": str(EndpointId(row.endpoint_id)),
            },
        )
    )
