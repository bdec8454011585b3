"""Events that are about no payload: made once, sealed, and sent to the endpoints that ask for their type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from heldtrue.capabilities.deliveries import endpoints, fanout, queue, store
from heldtrue.capabilities.intake.model import stamp
from heldtrue.crypto.canonical import canonicalize
from heldtrue.db.tx import TenantTx
from heldtrue.kernel.ids import DeliveryId, EndpointId, NoticeId
from heldtrue.op import Operation


def tell(op: Operation, event_type: str, data: Mapping[str, Any], *, but: EndpointId | None = None) -> int:
    """Make deliveries of an event to every endpoint that asks for its type, except *but*; return how many.

    They are sent, retried and replayed like any other; an endpoint that is disabled has them held.
    """
    rows = [row for row in store.receiving(op.tx) if but is None or row.endpoint_id != but.value]
    chosen = fanout.choose(fanout.Event(event_type), [endpoints.config_of(op, row).rules() for row in rows])
    if not chosen:
        return 0
    notice = keep(op, body(op, event_type, data))
    made = [delivery(op, notice, event_type, rows[choice.position]) for choice in chosen]
    queue.insert(op.tx, op.tenant.value, op.environment, made)
    return len(made)


def body(op: Operation, event_type: str, data: Mapping[str, Any]) -> bytes:
    """Return the body as it is sent: the same three members as a payload's."""
    return canonicalize({"type": event_type, "timestamp": stamp(op.now), "data": dict(data)})


def keep(op: Operation, content: bytes) -> NoticeId:
    """Keep an event's body, sealed."""
    notice = NoticeId.new(op.now, op.entropy)
    sealed = op.keys.seal(endpoints.PURPOSE, "notices", "body", str(notice.value), content)
    op.tx.execute(
        """INSERT INTO heldtrue.notices (tenant_id, environment, notice_id, body_sealed, created_at)
           VALUES (%s, %s, %s, %s, %s)""",
        (op.tenant.value, op.environment, notice.value, sealed, op.now),
    )
    return notice


def delivery(
    op: Operation,
    notice: NoticeId,
    event_type: str,
    endpoint: store.EndpointRow,
    id: DeliveryId | None = None,  # noqa: A002
) -> queue.DeliveryRow:
    """Return a delivery of an event to one endpoint, due at once."""
    enabled = endpoint.state == "enabled"
    return queue.DeliveryRow(
        delivery_id=(id or DeliveryId.new(op.now, op.entropy)).value,
        receipt_id=None,
        payload_id=None,
        endpoint_id=endpoint.endpoint_id,
        state="pending" if enabled else "held",
        attempts=0,
        tries=0,
        due_at=op.now if enabled else None,
        lease_until=None,
        fence=0,
        created_at=op.now,
        settled_at=None,
        event_type=event_type,
        notice_id=notice.value,
    )


def bodies(op: Operation, notices: Sequence[UUID]) -> dict[UUID, bytes]:
    """Return the bodies of events, opened."""
    return {
        notice: op.keys.open(endpoints.PURPOSE, "notices", "body", str(notice), sealed)
        for notice, sealed in _sealed(op.tx, notices).items()
    }


@dataclass(frozen=True, slots=True)
class _NoticeRow:
    notice_id: UUID
    body_sealed: bytes = field(repr=False)


def _sealed(tx: TenantTx, notices: Sequence[UUID]) -> dict[UUID, bytes]:
    rows = tx.many(
        _NoticeRow,
        "SELECT notice_id, body_sealed FROM heldtrue.notices WHERE notice_id = ANY(%s)",
        (list(notices),),
    )
    return {row.notice_id: row.body_sealed for row in rows}
