"""What can be done with deliveries: look at them, replay them, end them with their payload."""

from __future__ import annotations

from datetime import datetime

from heldtrue.capabilities.deliveries import endpoints, health, queue, settling, store
from heldtrue.capabilities.deliveries.model import (
    AttemptView,
    DeliveryBusyError,
    DeliverySummary,
    DeliveryView,
    EndpointDisabledError,
    ListDeliveries,
    NoSuchDeliveryError,
    TheDelivery,
)
from heldtrue.capabilities.receipts import actions as receipts
from heldtrue.crypto.keyring import KeyDestroyedError
from heldtrue.crypto.sealing import key_id_of
from heldtrue.db.tx import SystemTx
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.ids import AttemptId, DeliveryId, EndpointId, PayloadId, ReceiptId
from heldtrue.op import Operation


def list_deliveries(op: Operation, asked: ListDeliveries) -> Listing[DeliverySummary]:
    """List the environment's deliveries, newest first."""
    rows = queue.deliveries(
        op.tx,
        payload_id=asked.of_payload(),
        endpoint_id=asked.of_endpoint(),
        state=asked.state,
        event_type=asked.event_type,
        created_from=asked.created_from,
        created_to=asked.created_to,
        after=asked.after(),
        limit=asked.limit + 1,
    )
    return listing(rows, asked, _summary, lambda row: row.delivery_id)


def get_delivery(op: Operation, asked: TheDelivery) -> DeliveryView:
    """Tell what is known of a delivery, each attempt included."""
    row = queue.delivery(op.tx, DeliveryId.parse(asked.delivery_id).value)
    if row is None:
        raise NoSuchDeliveryError
    return DeliveryView(
        id=str(DeliveryId(row.delivery_id)),
        event_type=row.event_type,
        payload_id=row.payload_id and str(PayloadId(row.payload_id)),
        endpoint_id=str(EndpointId(row.endpoint_id)),
        receipt_id=row.receipt_id and str(ReceiptId(row.receipt_id)),
        state=row.state,
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
        settled_at=row.settled_at,
        tries=[
            _attempt(op, found, of_notice=row.notice_id is not None) for found in queue.attempts(op.tx, row.delivery_id)
        ],
    )


def replay_delivery(op: Operation, asked: TheDelivery) -> DeliverySummary:
    """Send a delivery again from the start of the schedule: the same id, the same bytes, a new timestamp."""
    delivery = DeliveryId.parse(asked.delivery_id).value
    row = queue.lock(op.tx, delivery)
    if row is None:
        raise NoSuchDeliveryError
    if row.lease_until is not None and row.lease_until > op.now:
        raise DeliveryBusyError
    endpoint = store.endpoint(op.tx, row.endpoint_id)
    if endpoint is None or endpoint.state != "enabled":
        raise EndpointDisabledError
    if row.receipt_id is not None:
        receipts.issued(op, ReceiptId(row.receipt_id))  # refused here when the payload was erased
    settling.settle(
        op.tx,
        delivery,
        "pending",
        attempts=row.attempts,
        tries=0,
        due_at=op.now,
        settled_at=None,
        lease_until=row.lease_until,
    )
    again = queue.delivery(op.tx, delivery)
    return _summary(again or row)


def end_deliveries(op: Operation, payload: PayloadId) -> None:
    """End what waits of a payload that is erased."""
    settling.end_for_payload(op.tx, payload.value, op.now)


def circuits(tx: SystemTx, now: datetime) -> tuple[int, int, int]:
    """Return how many endpoints' circuits are open and half open, and how many endpoints fail at all."""
    return health.circuits(tx, now)


def _summary(row: queue.DeliveryRow) -> DeliverySummary:
    return DeliverySummary(
        id=str(DeliveryId(row.delivery_id)),
        event_type=row.event_type,
        payload_id=row.payload_id and str(PayloadId(row.payload_id)),
        endpoint_id=str(EndpointId(row.endpoint_id)),
        receipt_id=row.receipt_id and str(ReceiptId(row.receipt_id)),
        state=row.state,
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
        settled_at=row.settled_at,
    )


def _attempt(op: Operation, row: queue.AttemptRow, *, of_notice: bool) -> AttemptView:
    return AttemptView(
        id=str(AttemptId(row.attempt_id)),
        number=row.number,
        started_at=row.started_at,
        latency_ms=row.latency_ms,
        status=row.status,
        failure=row.failure,
        excerpt=_excerpt(op, row, of_notice=of_notice),
    )


def _excerpt(op: Operation, row: queue.AttemptRow, *, of_notice: bool) -> str | None:
    """Open an excerpt; that of a payload is sealed under its key, because a receiver may echo the payload."""
    if row.excerpt_sealed is None:
        return None
    name = str(row.attempt_id)
    if of_notice:
        plain = op.keys.open(endpoints.PURPOSE, "attempts", "excerpt", name, row.excerpt_sealed)
        return plain.decode("utf-8", "replace")
    try:
        key = op.keys.object_key(key_id_of(row.excerpt_sealed))
    except KeyDestroyedError:
        return None
    return op.keys.open_object(key, "attempts", "excerpt", name, row.excerpt_sealed).decode("utf-8", "replace")
