"""Files of documents: taken in sealed, as payloads are, and opened for one reader at a time."""

from __future__ import annotations

from collections.abc import Iterator

from heldtrue.capabilities.intake.model import Limits, Part
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.intake.stream import PartSink
from heldtrue.capabilities.room import marking, store
from heldtrue.capabilities.room.model import LARGEST, PDF, MarkingError, NoFileError
from heldtrue.capabilities.room.services import keyring, operator
from heldtrue.capabilities.room.wire import FileAdded
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT
from heldtrue.crypto.keyring import OBJECT, KeyDestroyedError
from heldtrue.crypto.sealing import Context, DataKey, Opener
from heldtrue.kernel.ids import CryptoKeyId, Entropy, TenantId
from heldtrue.op import SystemOperation

LIMITS = Limits(body=LARGEST, json=LARGEST)
_PLAIN = "application/octet-stream"


def place(owner: TenantId, key: DataKey) -> Context:
    """Return the one place where the bytes sealed under *key* open: each file has a key of its own."""
    return Context(OPERATOR_ENVIRONMENT, owner.value, "room_files", "body", str(key.id.value), OBJECT)


def sink(objects: ObjectStore, key: DataKey, owner: TenantId, entropy: Entropy) -> PartSink:
    """Return where the bytes of a file go as they come."""
    return PartSink(objects, key, place(owner, key), LIMITS, entropy=entropy, content_type=_PLAIN)


def keep(op: SystemOperation, item: str, key: DataKey, part: Part, content_type: str, pages: int | None) -> FileAdded:
    """Keep a file that was taken in as the next version of *item*."""
    store.lock_item(op.tx, item)
    past = store.files(op.tx, item)
    version = past[0].version + 1 if past else 1
    keyring(op).adopt(key)
    digest = bytes.fromhex(part.meta.sha256)
    store.add_file(
        op.tx,
        store.FileRow(
            item=item, version=version, object_key_id=key.id.value, body_sealed=part.sealed, body_object=part.object,
            content_type=content_type, size=part.size, sha256=digest, pages=pages, added_at=op.now,
        ),
    )  # fmt: skip
    return FileAdded(
        id=item, version=version, size=part.size, sha256=part.meta.sha256, content_type=content_type, pages=pages
    )


def put(op: SystemOperation, objects: ObjectStore, item: str, content: bytes, content_type: str) -> FileAdded:
    """Keep *content*, made here, as the next version of *item*."""
    key = DataKey.generate(op.entropy, op.now)
    into = sink(objects, key, operator(op.tx), op.entropy)
    into.write(content)
    return keep(op, item, key, into.finish(), content_type, pages(content, content_type))


def pages(content: bytes, content_type: str) -> int | None:
    """Return how many pages a PDF has that can be marked; None for anything else."""
    if content_type != PDF:
        return None
    try:
        return marking.pages_of(content)
    except MarkingError:
        return None


def content(op: SystemOperation, objects: ObjectStore, row: store.FileRow) -> bytes:
    """Return the bytes of a file; raise `NoFileError` once they were destroyed."""
    ring = keyring(op)
    try:
        key = ring.object_key(CryptoKeyId(row.object_key_id))
    except KeyDestroyedError as error:
        raise NoFileError("The file was destroyed when its document was withdrawn.") from error
    return opened(objects, key, place(operator(op.tx), key), row.body_sealed, row.body_object)


def opened(objects: ObjectStore, key: DataKey, context: Context, sealed: bytes | None, name: str | None) -> bytes:
    """Return what was sealed; raise `SealBrokenError` where it was altered, moved or cut short."""
    opener = Opener(key, context)
    found: Iterator[bytes] = iter([sealed]) if sealed is not None else objects.read(name or "")
    return b"".join([*(opener.update(one) for one in found), opener.finish()])
