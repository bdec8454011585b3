"""T3: claim deliveries under a fenced lease and prepare them; `recording` writes what came of the attempts (T4).

Between T3 and T4 lies the only effect outside the database. The lease is its durable intent; whoever finds one that ran
out records that the outcome is unknown, and tries again at once: the receiver tells repetitions by `webhook-id`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from heldtrue.capabilities.deliveries import claiming, notices, queue, settling, store
from heldtrue.capabilities.deliveries.book import Book
from heldtrue.capabilities.deliveries.claiming import ClaimRow
from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.deliveries.message import Urls, build
from heldtrue.capabilities.deliveries.model import DeliveryState
from heldtrue.capabilities.deliveries.recording import record_interruption, settled_at
from heldtrue.capabilities.deliveries.signatures import Ready
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.model import NoSuchAttachmentError, PayloadErasedError
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.outputs import actions as outputs
from heldtrue.capabilities.outputs.model import NoSuchOutputError
from heldtrue.capabilities.receipts import actions as receipts
from heldtrue.crypto.keyring import KeyDestroyedError
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.ids import CryptoKeyId, DeliveryId, PayloadId, ReceiptId
from heldtrue.op import Operation

LEASE = timedelta(seconds=30)
"""Twice the time that an attempt may take."""
EACH = 8
"""Deliveries of one endpoint that are claimed at once where nothing is known of it."""

_ERASED = (PayloadErasedError, KeyDestroyedError, NoSuchAttachmentError, NoSuchOutputError)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A delivery that is ready to be sent by whoever holds the fence."""

    claim: ClaimRow
    object_key: CryptoKeyId | None
    """What the answer's excerpt is sealed under; None for an event that is about no payload."""
    url: str
    body: bytes
    secrets: Ready

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

    @property
    def freed(self) -> bool:
        """Whether its slot is another's before this is recorded: what a circuit and a schedule learn of it is not."""
        return self.response.delivered and not self.prepared.claim.probe


@dataclass(frozen=True, slots=True)
class _Stock:
    """What the bodies of one batch are made of."""

    issued: Mapping[ReceiptId, receipts.Issued]
    contents: Mapping[PayloadId, intake.Bytes]
    notices: Mapping[UUID, bytes]


def claim(
    tx: SystemTx,
    now: datetime,
    limit: int,
    room: Mapping[UUID, int] | None = None,
    *,
    lease: timedelta = LEASE,
    each: int = EACH,
) -> list[ClaimRow]:
    """Claim what is due, for the length of the lease (T3)."""
    return claiming.claim(tx, now, lease_until=now + lease, limit=limit, room=room or {}, each=each)


def prepare(op: Operation, claims: Sequence[ClaimRow], objects: ObjectStore, urls: Urls, book: Book) -> list[Prepared]:
    """Return what is to be sent of *claims*, of one place, in a handful of round trips.

    What is not to be sent any more is settled, and an interrupted attempt recorded as one whose outcome is unknown:
    both under a lock, in the order of the deliveries' ids.
    """
    claims = sorted(claims, key=lambda claimed: claimed.delivery_id)
    rows = queue.of(op.tx, {claimed.delivery_id: claimed.fence for claimed in claims})
    endpoints = store.endpoints_of(op.tx, list({row.endpoint_id for row in rows.values()}))
    stock = _stock(op, list(rows.values()))
    ready: list[Prepared] = []
    for claimed in claims:
        row = rows.get(claimed.delivery_id)
        if row is None:
            continue
        endpoint = endpoints.get(row.endpoint_id)
        if row.state != "pending" or endpoint is None or endpoint.state != "enabled":
            _put_back(op, claimed, endpoint)
            continue
        if claimed.interrupted and not _interrupted(op, claimed):
            continue
        config, secrets = book.open(op, endpoint)
        made = _body(op, row, stock, objects, urls)
        if made is None:
            _end(op, claimed)
        else:
            ready.append(Prepared(claimed, made[1], config.url, made[0], secrets))
    return ready


def _stock(op: Operation, rows: Sequence[queue.DeliveryRow]) -> _Stock:
    receipt_ids = [ReceiptId(row.receipt_id) for row in rows if row.receipt_id is not None]
    payloads = {PayloadId(row.payload_id) for row in rows if row.payload_id is not None}
    told = {row.notice_id for row in rows if row.notice_id is not None}
    return _Stock(
        receipts.issued_many(op, receipt_ids) if receipt_ids else {},
        intake.contents(op, list(payloads)) if payloads else {},
        notices.bodies(op, list(told)) if told else {},
    )


def _body(
    op: Operation, row: queue.DeliveryRow, stock: _Stock, objects: ObjectStore, urls: Urls
) -> tuple[bytes, CryptoKeyId | None] | None:
    """Return the body and the key of its payload; None when that was erased."""
    if row.notice_id is not None:
        return stock.notices[row.notice_id], None
    if row.receipt_id is None or row.payload_id is None:
        return None
    issued = stock.issued.get(ReceiptId(row.receipt_id))
    whole = stock.contents.get(PayloadId(row.payload_id))
    if issued is None or whole is None:
        return None

    try:
        output = None if issued.output is None else outputs.content(op, issued.output)

        def read(ordinal: int) -> bytes:
            if ordinal and output is not None:
                return outputs.file_bytes(op, output, objects, ordinal)
            content = intake.content(op, issued.payload, ordinal) if ordinal else output or whole
            return b"".join(content.pieces(objects))

        return build(issued, urls, read, row.by_value), whole.key.id
    except _ERASED:
        return None


def _put_back(op: Operation, claimed: ClaimRow, endpoint: store.EndpointRow | None) -> None:
    row = queue.fenced(op.tx, claimed.delivery_id, claimed.fence)
    if row is None:
        return
    state: DeliveryState = row.state if row.state != "pending" else "failed" if endpoint is None else "held"
    _settle(op, row, state)


def _end(op: Operation, claimed: ClaimRow) -> None:
    row = queue.fenced(op.tx, claimed.delivery_id, claimed.fence)
    if row is not None:
        _settle(op, row, "failed")


def _settle(op: Operation, row: queue.DeliveryRow, state: DeliveryState) -> None:
    settling.settle(
        op.tx, row.delivery_id, state, attempts=row.attempts, tries=row.tries, due_at=None,
        settled_at=settled_at(state, op.now, row),
    )  # fmt: skip
    if row.order_key is not None:
        queue.advance(op.tx, [(row.endpoint_id, row.order_key)], op.now)


def _interrupted(op: Operation, claimed: ClaimRow) -> bool:
    row = queue.fenced(op.tx, claimed.delivery_id, claimed.fence)
    return row is not None and record_interruption(op, row)
