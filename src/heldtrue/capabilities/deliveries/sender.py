"""T3 and T4: claim a delivery under a fenced lease, prepare it, and record what came of the attempt.

Between T3 and T4 lies the only effect outside the database. The lease is its durable intent; whoever finds one that ran
out records that the outcome is unknown, and tries again at once: the receiver tells repetitions by `webhook-id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from heldtrue.capabilities.deliveries import endpoints, queue, store
from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.deliveries.message import Urls, build
from heldtrue.capabilities.deliveries.model import DeliveryState
from heldtrue.capabilities.deliveries.schedule import next_try
from heldtrue.capabilities.deliveries.signatures import Secrets
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.model import NoSuchAttachmentError, NoSuchPayloadError, PayloadErasedError
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.outputs import actions as outputs
from heldtrue.capabilities.outputs.model import NoSuchOutputError
from heldtrue.capabilities.receipts import actions as receipts
from heldtrue.capabilities.receipts.model import NoSuchReceiptError, ReceiptErasedError
from heldtrue.crypto.keyring import KeyDestroyedError
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.ids import AttemptId, CryptoKeyId, DeliveryId, EndpointId, PayloadId, ReceiptId
from heldtrue.op import AuditEvent, Operation

LEASE = timedelta(seconds=30)
"""Twice the time that an attempt may take."""
EACH = 8
"""Deliveries of one endpoint that may be on their way at once."""
ATTEMPTED = "delivery.attempted"
GONE_STATUS = 410
UNKNOWN_IN_A_ROW = 3
"""After so many attempts without an outcome a delivery waits before it is tried again: it may be what kills us."""
UNKNOWN_WAIT = timedelta(minutes=5)

_ERASED = (
    ReceiptErasedError,
    PayloadErasedError,
    KeyDestroyedError,
    NoSuchReceiptError,
    NoSuchPayloadError,
    NoSuchAttachmentError,
    NoSuchOutputError,
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A delivery that is ready to be sent by whoever holds the fence."""

    claim: queue.ClaimRow
    object_key: CryptoKeyId
    url: str
    body: bytes
    secrets: Secrets

    @property
    def id(self) -> str:
        """The `webhook-id`."""
        return str(DeliveryId(self.claim.delivery_id))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt."""

    prepared: Prepared
    started_at: datetime
    response: Response


def claim(
    tx: SystemTx,
    now: datetime,
    limit: int,
    room: Mapping[UUID, int] | None = None,
    *,
    lease: timedelta = LEASE,
    each: int = EACH,
) -> list[queue.ClaimRow]:
    """Claim what is due, for the length of the lease (T3)."""
    return queue.claim(tx, now, lease_until=now + lease, limit=limit, room=room or {}, each=each)


def prepare(op: Operation, claimed: queue.ClaimRow, objects: ObjectStore, urls: Urls) -> Prepared | None:
    """Return what is to be sent; None when there is nothing to send any more, which is recorded.

    An interrupted attempt is recorded first, as one whose outcome is unknown.
    """
    row = queue.fenced(op.tx, claimed.delivery_id, claimed.fence)
    if row is None:
        return None
    endpoint = store.endpoint(op.tx, row.endpoint_id)
    if row.state != "pending" or endpoint is None or endpoint.state != "enabled":
        state: DeliveryState = row.state if row.state != "pending" else "failed" if endpoint is None else "held"
        queue.settle(
            op.tx,
            row.delivery_id,
            state,
            attempts=row.attempts,
            tries=row.tries,
            due_at=None,
            settled_at=_settled(state, op, row),
        )
        return None
    if claimed.interrupted and not _record_interruption(op, row):
        return None
    payload = PayloadId(row.payload_id)
    try:
        issued = receipts.issued(op, ReceiptId(row.receipt_id))
        whole = outputs.content(op, issued.output) if issued.output else intake.content(op, payload)
        body = build(issued, urls, lambda n: b"".join((intake.content(op, payload, n) if n else whole).pieces(objects)))
    except _ERASED:
        queue.settle(
            op.tx, row.delivery_id, "failed", attempts=row.attempts, tries=row.tries, due_at=None, settled_at=op.now
        )
        return None
    return Prepared(
        claimed, whole.key.id, endpoints.config_of(op, endpoint).url, body, endpoints.secrets_of(op, endpoint)
    )


def record(op: Operation, outcome: Outcome) -> bool:
    """Write what came of the attempt, and when the next is due (T4); False when another worker holds the fence."""
    claimed, response = outcome.prepared.claim, outcome.response
    gone = response.status == GONE_STATUS
    endpoint = store.lock(op.tx, claimed.endpoint_id) if gone else None  # before the delivery: the order of all locks
    row = queue.fenced(op.tx, claimed.delivery_id, claimed.fence)
    if row is None:
        return False
    attempt = AttemptId.new(op.now, op.entropy)
    _insert(op, row, attempt, outcome)
    if endpoint is not None and endpoint.state == "enabled":
        endpoints.disable(op, EndpointId(claimed.endpoint_id), endpoints.GONE)
    state, due_at = _decide(op, row, response)
    tries = row.tries + 1
    queue.settle(
        op.tx,
        row.delivery_id,
        state,
        attempts=row.attempts + 1,
        tries=tries,
        due_at=due_at,
        settled_at=_settled(state, op, row),
    )
    op.record(
        AuditEvent(
            event=ATTEMPTED,
            subject=str(DeliveryId(row.delivery_id)),
            detail={
                "number": row.attempts + 1,
                "status": response.status,
                "failure": response.failure,
                "state": state,
                "endpoint": str(EndpointId(row.endpoint_id)),
            },
        )
    )
    return True


def _decide(op: Operation, row: queue.DeliveryRow, response: Response) -> tuple[DeliveryState, datetime | None]:
    if response.delivered:
        return "delivered", None
    if response.status == GONE_STATUS or row.state == "held":
        return "held", None
    if row.state != "pending":
        return row.state, None
    due_at = next_try(row.tries + 1, op.now, op.entropy, response.retry_after)
    return ("pending", due_at) if due_at is not None else ("failed", None)


def _insert(op: Operation, row: queue.DeliveryRow, attempt: AttemptId, outcome: Outcome) -> None:
    sealed = None
    if outcome.response.excerpt:
        try:
            key = op.keys.object_key(outcome.prepared.object_key)
            sealed = op.keys.seal_object(key, "attempts", "excerpt", str(attempt.value), outcome.response.excerpt)
        except KeyDestroyedError:
            sealed = None  # erased while it was on its way: what the receiver said of it is not kept either
    queue.insert_attempt(
        op.tx,
        op.tenant.value,
        op.environment,
        row.delivery_id,
        queue.AttemptRow(
            attempt_id=attempt.value,
            number=row.attempts + 1,
            started_at=outcome.started_at,
            latency_ms=outcome.response.latency_ms,
            status=outcome.response.status,
            failure=outcome.response.failure,
            excerpt_sealed=sealed,
        ),
    )


def _record_interruption(op: Operation, row: queue.DeliveryRow) -> bool:
    """Record that an earlier worker never told the outcome; return whether to try again at once."""
    attempt = AttemptId.new(op.now, op.entropy)
    unknown = queue.AttemptRow(
        attempt_id=attempt.value,
        number=row.attempts + 1,
        started_at=op.now,
        latency_ms=0,
        status=None,
        failure="unknown-outcome",
        excerpt_sealed=None,
    )
    queue.insert_attempt(op.tx, op.tenant.value, op.environment, row.delivery_id, unknown)
    op.record(
        AuditEvent(
            event=ATTEMPTED,
            subject=str(DeliveryId(row.delivery_id)),
            detail={
                "number": row.attempts + 1,
                "status": None,
                "failure": "unknown-outcome",
                "state": "pending",
                "endpoint": str(EndpointId(row.endpoint_id)),
            },
        )
    )
    last = queue.last_failures(op.tx, row.delivery_id, UNKNOWN_IN_A_ROW)
    again = len(last) < UNKNOWN_IN_A_ROW or any(failure != "unknown-outcome" for failure in last)
    due_at = row.due_at if again else op.now + UNKNOWN_WAIT
    lease = row.lease_until if again else None
    queue.settle(
        op.tx,
        row.delivery_id,
        "pending",
        attempts=row.attempts + 1,
        tries=row.tries,
        due_at=due_at,
        settled_at=None,
        lease_until=lease,
    )
    return again


def _settled(state: DeliveryState, op: Operation, row: queue.DeliveryRow) -> datetime | None:
    if state in {"delivered", "failed"}:
        return row.settled_at or op.now
    return None
