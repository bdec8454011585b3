"""T2: make receipts and deliveries of an accepted payload, all in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from heldtrue.capabilities.deliveries import queue, store
from heldtrue.capabilities.deliveries.selecting import Item, ReadJson, Selected, select
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.outputs.model import Output
from heldtrue.capabilities.receipts import actions as receipts
from heldtrue.capabilities.receipts.model import Forwarded
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.ids import DeliveryId, EndpointId, PayloadId
from heldtrue.op import AuditEvent, Operation

EVENT = "payload.forwarded"

Signer = Callable[[Operation], SigningKey]
"""Return the receipt key that may sign now."""

Plan = Callable[[Operation, Sequence[intake.Stored]], frozenset[PayloadId]]
"""Begin a run of each flow that takes one of these payloads; return the payloads that a flow took."""


def forward(
    op: Operation,
    payloads: Sequence[PayloadId],
    signer: Signer,
    origin: str,
    read: ReadJson,
    plan: Plan | None = None,
) -> int:
    """Forward those of *payloads* that still wait and that nobody else holds; return how many (T2).

    To each endpoint that asks for it goes one receipt and one delivery; where it is disabled, the delivery is held.
    What a flow takes is not forwarded as it is: its outputs are, once its runs have made them (`forward_outputs`).
    A crash before the commit leaves the payload waiting and no receipt; after it, nothing is done twice, because the
    payload waits no more and a second receipt for the same endpoint is refused.
    """
    waiting = intake.claim_accepted(op, payloads)
    if not waiting:
        return 0
    taken = plan(op, waiting) if plan is not None else frozenset[PayloadId]()
    whole = [payload for payload in waiting if payload.id not in taken]
    if whole:
        selected = _send(op, [Item(payload) for payload in whole], signer, origin, read)
        intake.mark_forwarded(op, [payload.id for payload in whole])
        counts = Counter(one.item.payload.id for one in selected)
        for payload in whole:
            op.record(AuditEvent(event=EVENT, subject=str(payload.id), detail={"deliveries": counts[payload.id]}))
    return len(waiting)


def forward_outputs(
    op: Operation,
    payload: intake.Stored,
    outputs: Sequence[tuple[Output, frozenset[EndpointId] | None]],
    signer: Signer,
    origin: str,
    read: ReadJson,
) -> int:
    """Make receipts and deliveries of *outputs*; return how many.

    An output goes to the endpoints named with it, whatever these ask for, or else to all that ask for it. An endpoint
    that was deleted meanwhile is left out.
    """
    items = [Item(payload, output, wanted) for output, wanted in outputs]
    return len(_send(op, items, signer, origin, read))


def _send(op: Operation, items: Sequence[Item], signer: Signer, origin: str, read: ReadJson) -> list[Selected]:
    selected = select(op, items, store.receiving(op.tx), read)
    if selected:
        whats = [(_forwarded(op, one), one.item.payload.key) for one in selected]
        issued = receipts.issue(op, whats, signer(op), origin)
        rows = [_delivery(op, receipt, one) for receipt, one in zip(issued, selected, strict=True)]
        queue.insert(op.tx, op.tenant.value, op.environment, rows)
    return selected


def _forwarded(op: Operation, one: Selected) -> Forwarded:
    payload, output = one.item.payload, one.item.output
    return Forwarded(
        tenant=op.tenant,
        environment=op.environment,
        payload=payload.id,
        received_at=payload.received_at,
        source=payload.source,
        size=payload.size,
        meta=payload.meta,
        attachments=payload.attachments,
        ordinal=0 if output is None else output.ordinal,
        endpoint=EndpointId(one.endpoint.endpoint_id),
        output=output,
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
