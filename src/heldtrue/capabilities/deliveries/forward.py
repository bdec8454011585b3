"""T2: make receipts and deliveries of an accepted payload, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from heldtrue.capabilities.deliveries import queue, store
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


def forward(op: Operation, payloads: Sequence[PayloadId], signer: Signer, origin: str, plan: Plan | None = None) -> int:
    """Forward those of *payloads* that still wait and that nobody else holds; return how many (T2).

    To each endpoint that is not deleted goes one receipt and one delivery; where it is disabled, the delivery is held.
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
        _forward_whole(op, whole, signer, origin)
    return len(waiting)


def forward_outputs(
    op: Operation,
    payload: intake.Stored,
    outputs: Sequence[tuple[Output, frozenset[EndpointId] | None]],
    signer: Signer,
    origin: str,
) -> int:
    """Make receipts and deliveries of *outputs*, each for the endpoints named with it, or for all; return how many.

    An endpoint that was deleted meanwhile is left out.
    """
    endpoints = store.receiving(op.tx)
    pairs = [
        (output, endpoint)
        for output, wanted in outputs
        for endpoint in endpoints
        if wanted is None or EndpointId(endpoint.endpoint_id) in wanted
    ]
    if pairs:
        whats = [(_forwarded(op, payload, endpoint, output), payload.key) for output, endpoint in pairs]
        issued = receipts.issue(op, whats, signer(op), origin)
        rows = [_delivery(op, receipt, endpoint) for receipt, (_, endpoint) in zip(issued, pairs, strict=True)]
        queue.insert(op.tx, op.tenant.value, op.environment, rows)
    return len(pairs)


def _forward_whole(op: Operation, waiting: Sequence[intake.Stored], signer: Signer, origin: str) -> None:
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


def _forwarded(
    op: Operation, payload: intake.Stored, endpoint: store.EndpointRow, output: Output | None = None
) -> Forwarded:
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
        endpoint=EndpointId(endpoint.endpoint_id),
        output=output,
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
