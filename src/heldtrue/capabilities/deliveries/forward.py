"""T2: make receipts and deliveries of an accepted payload, all in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from heldtrue.capabilities.deliveries import queue, store
from heldtrue.capabilities.deliveries.selecting import ReadJson, Selected, select
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.receipts import actions as receipts
from heldtrue.capabilities.receipts.model import Forwarded
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.ids import DeliveryId, EndpointId, PayloadId
from heldtrue.op import AuditEvent, Operation

EVENT = "payload.forwarded"

Signer = Callable[[Operation], SigningKey]
"""Return the receipt key that may sign now."""


def forward(op: Operation, payloads: Sequence[PayloadId], signer: Signer, origin: str, read: ReadJson) -> int:
    """Forward those of *payloads* that still wait and that nobody else holds; return how many (T2).

    To each endpoint that asks for it goes one receipt and one delivery; where it is disabled, the delivery is held.
    A crash before the commit leaves the payload waiting and no receipt; after it, nothing is done twice, because the
    payload waits no more and a second receipt for the same endpoint is refused.
    """
    waiting = intake.claim_accepted(op, payloads)
    if not waiting:
        return 0
    selected = select(op, waiting, store.receiving(op.tx), read)
    if selected:
        whats = [(_forwarded(op, one.payload, one.endpoint), one.payload.key) for one in selected]
        issued = receipts.issue(op, whats, signer(op), origin)
        rows = [_delivery(op, receipt, one) for receipt, one in zip(issued, selected, strict=True)]
        queue.insert(op.tx, op.tenant.value, op.environment, rows)
    intake.mark_forwarded(op, [payload.id for payload in waiting])
    counts = Counter(one.payload.id for one in selected)
    for payload in waiting:
        op.record(AuditEvent(event=EVENT, subject=str(payload.id), detail={"deliveries": counts[payload.id]}))
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


def _delivery(op: Operation, issued: receipts.Issued, one: Selected) -> queue.DeliveryRow:
    enabled = one.endpoint.state == "enabled"
    return queue.DeliveryRow(
        delivery_id=DeliveryId.new(op.now, op.entropy).value,
        receipt_id=issued.id.value,
        payload_id=issued.payload.value,
        endpoint_id=one.endpoint.endpoint_id,
        state="pending" if enabled else "held",
        attempts=0,
        tries=0,
        due_at=op.now if enabled and not one.blocked else None,
        lease_until=None,
        fence=0,
        created_at=op.now,
        settled_at=None,
        by_value=one.by_value,
        order_key=one.order_key,
    )
