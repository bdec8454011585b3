"""What can be done with payloads: accept, look at, open, forward (mark), erase, sweep."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

import msgspec

from heldtrue.capabilities.intake import store
from heldtrue.capabilities.intake.model import (
    Body,
    ListPayloads,
    Meta,
    NoSuchAttachmentError,
    NoSuchPayloadError,
    Origin,
    Part,
    PayloadAccepted,
    PayloadErased,
    PayloadErasedError,
    PayloadSummary,
    PayloadView,
    Source,
    Taken,
    ThePayload,
    Tls,
    attachment_view,
    row_of,
)
from heldtrue.capabilities.intake.multipart import content_type_of
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.intake.stream import opened
from heldtrue.crypto.sealing import DataKey
from heldtrue.db.tx import Database
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.ids import CryptoKeyId, PayloadId
from heldtrue.op import Operation

ORPHAN_AGE = timedelta(hours=24)
ACTIVE = frozenset({"text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"})
"""Types that may carry scripts."""

Erasure = Callable[[Operation, PayloadId], Sequence[str] | None]
"""What another capability forgets when a payload is erased, in the same transaction; it returns its objects' names."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A payload with its attachments, as those who forward it need it."""

    id: PayloadId
    key: DataKey
    source: Source
    size: int
    received_at: datetime
    meta: Meta
    attachments: Sequence[tuple[int, int, Meta]]
    """Ordinal, size and meta of each."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """The bytes of a payload or an attachment, still sealed."""

    part: Body
    key: DataKey
    origin: Origin
    ordinal: int

    def pieces(self, objects: ObjectStore) -> Iterator[bytes]:
        """Yield the plaintext."""
        return opened(objects, self.part, self.key, self.origin.body(self.ordinal))


@dataclass(frozen=True, slots=True)
class Content(Bytes):
    """The same with what is known of them."""

    part: Part


def accept(
    op: Operation, payload: PayloadId, key: DataKey, taken: Taken, *, tls: Tls | None, source: Source
) -> PayloadAccepted:
    """Write the payload whose bytes are sealed already; with the transaction's commit it is accepted (T1)."""
    op.keys.adopt(key)
    meta = msgspec.structs.replace(taken.body.meta, tls=tls, request=str(op.request))
    row = store.PayloadRow(
        payload_id=payload.value,
        object_key_id=key.id.value,
        source=source,
        state="accepted",
        size=taken.body.size,
        meta_sealed=_seal_meta(op, key, payload, 0, meta),
        body_object=taken.body.object,
        received_at=op.now,
        forwarded_at=None,
        erased_at=None,
    )
    store.insert_payload(op.tx, op.tenant.value, op.environment, row, taken.body.sealed)
    parts = list(enumerate(taken.attachments, start=1))
    if parts:
        store.insert_attachments(
            op.tx,
            op.tenant.value,
            op.environment,
            [
                (
                    store.AttachmentRow(
                        payload.value, n, part.size, _seal_meta(op, key, payload, n, part.meta), part.object
                    ),
                    part.sealed,
                )
                for n, part in parts
            ],
        )
    return PayloadAccepted(
        id=str(payload),
        state="accepted",
        received_at=op.now,
        size=taken.body.size,
        sha256=meta.sha256,
        jcs_sha256=meta.jcs_sha256,
        attachments=[attachment_view(n, part.size, part.meta) for n, part in parts],
    )


def list_payloads(op: Operation, asked: ListPayloads) -> Listing[PayloadSummary]:
    """List the environment's payloads, newest first."""
    rows = store.payloads(op.tx, asked.after(), asked.state, asked.limit + 1)
    return listing(rows, asked, _summary, lambda row: row.payload_id)


def get_payload(op: Operation, asked: ThePayload) -> PayloadView:
    """Tell what is known of a payload; of an erased one only what is not content."""
    payload = PayloadId.parse(asked.payload_id)
    row = store.payload(op.tx, payload.value)
    if row is None:
        raise NoSuchPayloadError
    summary = _summary(row)
    meta, attachments = None, []
    if row.meta_sealed is not None:
        key = op.keys.object_key(CryptoKeyId(row.object_key_id))
        meta = _open_meta(op, key, payload, 0, row.meta_sealed)
        attachments = [
            attachment_view(found.ordinal, found.size, _open_meta(op, key, payload, found.ordinal, found.meta_sealed))
            for found in store.attachments(op.tx, [payload.value])
            if found.meta_sealed is not None
        ]
    return PayloadView(
        **msgspec.structs.asdict(summary),
        content_type=meta and meta.content_type,
        sha256=meta and meta.sha256,
        jcs_sha256=meta and meta.jcs_sha256,
        tls=meta and meta.tls,
        scan=meta and meta.scan,
        attachments=attachments,
        mail=meta and meta.mail,
    )


def content(op: Operation, payload: PayloadId, ordinal: int = 0) -> Content:
    """Return the sealed bytes of a payload (ordinal 0) or attachment, with what opens them."""
    row = store.body(op.tx, payload.value, ordinal)
    if row is None:
        raise NoSuchPayloadError if ordinal == 0 else NoSuchAttachmentError
    if row.meta_sealed is None:
        raise PayloadErasedError
    key = op.keys.object_key(CryptoKeyId(row.object_key_id))
    meta = _open_meta(op, key, payload, ordinal, row.meta_sealed)
    part = Part(meta=meta, size=row.size, sealed=row.body_sealed, object=row.body_object)
    return Content(part, key, Origin(op.tenant, op.environment, payload), ordinal)


def contents(op: Operation, payloads: Sequence[PayloadId]) -> dict[PayloadId, Bytes]:
    """Return the sealed bytes of many payloads in two round trips; those that were erased are left out."""
    rows = store.bodies(op.tx, [payload.value for payload in payloads])
    keys = op.keys.object_keys(CryptoKeyId(row.object_key_id) for row in rows)
    found: dict[PayloadId, Bytes] = {}
    for row in rows:
        payload, key = PayloadId(row.payload_id), keys.get(CryptoKeyId(row.object_key_id))
        if key is not None:
            body = Body(size=row.size, sealed=row.body_sealed, object=row.body_object)
            found[payload] = Bytes(body, key, Origin(op.tenant, op.environment, payload), 0)
    return found


def answer_content(op: Operation, objects: ObjectStore, payload: PayloadId, ordinal: int = 0) -> Answer:
    """Answer with the bytes: a small body at once, a large one as it is opened."""
    found = content(op, payload, ordinal)
    pieces = found.pieces(objects)
    inline = found.part.sealed is not None
    return Answer(
        content=b"".join(pieces) if inline else None,
        chunks=None if inline else _in_threads(pieces),
        content_type=inert(found.part.meta.content_type),
        headers={
            "content-disposition": "attachment",
            "content-digest": f"sha-256=:{_base64(found.part.meta.sha256)}:",
        },
        subject=str(payload),
        detail={"ordinal": ordinal},
    )


def claim_accepted(op: Operation, payloads: Sequence[PayloadId]) -> list[Stored]:
    """Return those of *payloads* that wait to be forwarded, locked for this transaction; others are left out."""
    return _stored(op, store.claim_accepted(op.tx, [payload.value for payload in payloads]))


def get_stored(op: Operation, payload: PayloadId) -> Stored:
    """Return a payload with its attachments; raise `PayloadErasedError` when it was erased."""
    row = store.payload(op.tx, payload.value)
    if row is None:
        raise NoSuchPayloadError
    [stored] = _stored(op, [row])
    return stored


def mark_forwarded(op: Operation, payloads: Sequence[PayloadId]) -> None:
    """Note that receipts and deliveries of the payloads exist."""
    store.mark_forwarded(op.tx, [payload.value for payload in payloads], op.now)


def mark_processing(op: Operation, payloads: Sequence[PayloadId]) -> None:
    """Note that flows run on the payloads, so that nobody forwards them as they are."""
    store.mark_processing(op.tx, [payload.value for payload in payloads])


def known(op: Operation, payload: PayloadId) -> None:
    """Return when there is such a payload, erased or not; raise `NoSuchPayloadError` otherwise."""
    if store.payload(op.tx, payload.value) is None:
        raise NoSuchPayloadError


def lock(op: Operation, payload: PayloadId) -> None:
    """Hold a payload until the transaction ends; whoever locks runs of it locks it first. Raise if it was erased."""
    row = store.lock_payload(op.tx, payload.value)
    if row is None:
        raise NoSuchPayloadError
    if row.erased_at is not None:
        raise PayloadErasedError


def erase(op: Operation, payload: PayloadId, also: Sequence[Erasure]) -> tuple[PayloadErased, list[str]]:
    """Destroy the payload's key and forget what it sealed; return the objects to delete once this is committed.

    A crash after the commit leaves objects that nothing opens; the sweep removes them.
    """
    row = store.lock_payload(op.tx, payload.value)
    if row is None:
        raise NoSuchPayloadError
    if row.erased_at is not None:
        return PayloadErased(id=str(payload), state="erased", erased_at=row.erased_at), []
    named = [row.body_object, *(found.body_object for found in store.attachments(op.tx, [payload.value]))]
    for forget in also:
        named += forget(op, payload) or ()
    store.erase(op.tx, payload.value, op.now)
    op.keys.destroy(CryptoKeyId(row.object_key_id))
    return PayloadErased(id=str(payload), state="erased", erased_at=op.now), [name for name in named if name]


def sweep(database: Database, objects: ObjectStore, now: datetime) -> int:
    """Remove objects older than 24 hours that no row names, and unfinished ones; return how many. Blocking.

    They are what a crash before T1 leaves, or one after an erasure's commit.
    """
    before = now - ORPHAN_AGE
    removed = objects.remove_unfinished(before)
    names = objects.older_than(before)
    while batch := list(islice(names, 500)):
        with database.system() as tx:
            known = store.known_objects(tx, batch)
        for name in batch:
            if name not in known:
                objects.delete(name)
                removed += 1
    return removed


def _stored(op: Operation, rows: Sequence[store.PayloadRow]) -> list[Stored]:
    attachments: dict[UUID, list[store.AttachmentRow]] = {}
    for found in store.attachments(op.tx, [row.payload_id for row in rows]):
        attachments.setdefault(found.payload_id, []).append(found)
    keys = op.keys.object_keys(CryptoKeyId(row.object_key_id) for row in rows)
    return [
        _opened(op, row, keys.get(CryptoKeyId(row.object_key_id)), attachments.get(row.payload_id, [])) for row in rows
    ]


def _opened(
    op: Operation, row: store.PayloadRow, key: DataKey | None, attachments: Sequence[store.AttachmentRow]
) -> Stored:
    if row.meta_sealed is None or key is None:
        raise PayloadErasedError
    payload = PayloadId(row.payload_id)
    return Stored(
        id=payload,
        key=key,
        source=row.source,
        size=row.size,
        received_at=row.received_at,
        meta=_open_meta(op, key, payload, 0, row.meta_sealed),
        attachments=[
            (found.ordinal, found.size, _open_meta(op, key, payload, found.ordinal, found.meta_sealed))
            for found in attachments
            if found.meta_sealed is not None
        ],
    )


def _summary(row: store.PayloadRow) -> PayloadSummary:
    return PayloadSummary(
        id=str(PayloadId(row.payload_id)),
        state=row.state,
        source=row.source,
        size=row.size,
        received_at=row.received_at,
        forwarded_at=row.forwarded_at,
        erased_at=row.erased_at,
    )


def _seal_meta(op: Operation, key: DataKey, payload: PayloadId, ordinal: int, meta: Meta) -> bytes:
    table = "attachments" if ordinal else "payloads"
    return op.keys.seal_object(key, table, "meta", row_of(payload, ordinal), msgspec.json.encode(meta))


def _open_meta(op: Operation, key: DataKey, payload: PayloadId, ordinal: int, sealed: bytes) -> Meta:
    table = "attachments" if ordinal else "payloads"
    plain = op.keys.open_object(key, table, "meta", row_of(payload, ordinal), sealed)
    return msgspec.json.decode(plain, type=Meta)


def inert(content_type: str) -> str:
    """Return the type that bytes of a stranger are served as: never one that a browser would run as a page of ours."""
    media, _ = content_type_of(content_type)
    return "application/octet-stream" if media in ACTIVE else content_type


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield *pieces*, each opened in a worker thread."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
