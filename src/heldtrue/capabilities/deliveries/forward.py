"""T2: make receipts and deliveries of an accepted payload, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from heldtrue.capabilities.deliveries import queue, store
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.receipts import actions as receipts
from heldtrue.capabilities.receipts.model import Forwarded
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.ids import DeliveryId, EndpointId, PayloadId
from heldtrue.op import AuditEvent, Operation

EVENT = "payload.forwarded"

Signer = Callable[[Operation], SigningKey]
"""Return the receipt key that may sign now."""


def forward(op: Operation, payloads: Sequence[PayloadId], signer: Signer, origin: str) -> int:
    """Forward those of *payloads* that still wait and that nobody else holds; return how many (T2).

    To each endpoint that is not deleted goes one receipt and one delivery; where it is disabled, the delivery is held.
    A crash before the commit leaves the payload waiting and no receipt; after it, nothing is done twice, because the
    payload waits no more and a second receipt for the same endpoint is refused.
    """
    waiting = intake.claim_accepted(op, payloads)
    if not waiting:
        return 0
    endpoints = store.receiving(op.tx)
    if endpoints:
        pairs = [(payload, endpoint) for payload in waiting for endpoint in endpoints]
        whats = [(_forwarded(op, payload, endpoint), payload.key) for payload, endpoint in pairs]
        issued = receipts.issue(op, whats, signer(op), origin)
        rows = [_delivery(op, receipt, endpoint) for receipt, (_, endpoint) in zip(issued, pairs, strict=True)]
        queue.insert(op.tx, op.tenant.value, op.environment, rows)
    intake.mark_forwarded(op, [payload.id for payload in waiting])
    for payload in waiting:
        op.record(AuditEvent(event=EVENT, subject=str(payload.id), detail={"deliveries": len(endpoints)}))
    return len(waiting)


def _forwarded(op: Operation, payload: intake.Stored, endpoint: store.EndpointRow) -> Forwarded:
    return Forwarded(
        tenant=op.tenant,
        environment=op.environment,
        payload=payload.id,
        received_at=payload.received_at,
        source=payload.source,
        size=payload.size,
        meta=payload.meta,
        attachments=payload.attachments,
        ordinal=0,
        endpoint=EndpointId(endpoint.endpoint_id),
    )


def _delivery(op: Operation, issued: receipts.Issued, endpoint: store.EndpointRow) -> queue.DeliveryRow:
    enabled = endpoint.state == "enabled"
    return queue.DeliveryRow(
        delivery_id=DeliveryId.new(op.now, op.entropy).value,
        receipt_id=issued.id.value,
        payload_id=issued.payload.value,
        endpoint_id=endpoint.endpoint_id,
        state="pending" if enabled else "held",
        attempts=0,
        tries=0,
        due_at=op.now if enabled else None,
        lease_until=None,
        fence=0,
        created_at=op.now,
        settled_at=None,
    )
