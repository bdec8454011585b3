"""What can be done with documents: take a file in, list it, withdraw it, read a public one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from heldtrue.capabilities.registers import actions as registers
from heldtrue.capabilities.registers.model import Entry, UnknownItemError
from heldtrue.capabilities.room import files, grant_store, store
from heldtrue.capabilities.room.kinds import DOCUMENTS, Document, judge_name
from heldtrue.capabilities.room.model import (
    Marking,
    MarkingError,
    NoFileError,
    NoSuchDocumentError,
    NotReadableError,
)
from heldtrue.capabilities.room.services import RoomServices, keyring, operator
from heldtrue.capabilities.room.wire import DocumentList, DocumentView, Publish, Withdraw
from heldtrue.crypto.sealing import DataKey
from heldtrue.db.tx import SystemTx
from heldtrue.http.exchange import Answer, Exchange
from heldtrue.kernel.ids import CryptoKeyId, TenantId
from heldtrue.op import SystemOperation

EXTENSIONS = {
    "application/pdf": "pdf",
    "application/zip": "zip",
    "text/plain": "txt",
    "text/csv": "csv",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
"""What the name of a fetched file ends in; anything else travels as `bin`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Bytes for a reader."""

    content: bytes
    content_type: str
    name: str


async def add_file(services: RoomServices, exchange: Exchange) -> Answer:
    """Take a file in, sealed as it comes; it is listed by nothing until the document is published."""
    item = judge_name(exchange.path["document"])
    content_type = exchange.content_type.partition(";")[0].strip().lower()
    if content_type not in EXTENSIONS:
        content_type = "application/octet-stream"
    owner = await exchange.in_thread(_owner, exchange)
    key = DataKey.generate(exchange.entropy, exchange.clock.now())
    into = files.sink(services.objects, key, owner, exchange.entropy)
    try:
        async for piece in exchange.body(files.LIMITS.body):
            await exchange.in_thread(into.write, piece)
        part = await exchange.in_thread(into.finish)
        plain = await exchange.in_thread(
            files.opened, services.objects, key, files.place(owner, key), part.sealed, part.object
        )
        pages = await exchange.in_thread(files.pages, plain, content_type)

        def act(op: object) -> Answer:
            if not isinstance(op, SystemOperation):
                raise TypeError("documents are the operator's")
            added = files.keep(op, item, key, part, content_type, pages)
            return Answer(body=added, subject=item, detail={"version": added.version, "sha256": added.sha256})

        return await exchange.transact(act)
    except BaseException:
        await exchange.in_thread(into.discard)
        raise


def _owner(exchange: Exchange) -> TenantId:
    with exchange.ports.database.system() as tx:
        return operator(tx)


def publish(op: SystemOperation, asked: Publish) -> Answer:
    """List a document with the file that was sent last; each change of what is listed is an entry in the log."""
    item = judge_name(asked.document)
    past = store.files(op.tx, item)
    if not past or (past[0].body_sealed is None and past[0].body_object is None):
        raise NoFileError
    newest = past[0]
    document = Document(
        title=asked.title, summary=asked.summary, level=asked.level, kind=asked.kind, access=asked.access,
        marking=marking_of(asked, newest), dated=asked.dated, expires=asked.expires, version=newest.version,
        content_type=newest.content_type, size=newest.size, sha256=newest.sha256.hex(),
    )  # fmt: skip
    entry = registers.put(op, DOCUMENTS, item, document)
    return Answer(body=view(entry), detail={"version": newest.version, "level": asked.level})


def marking_of(asked: Publish, newest: store.FileRow) -> Marking:
    """Return how copies are marked; raise `MarkingError` where they cannot be and nobody chose the cover note."""
    if asked.level == "public":
        return "none"
    if newest.pages is not None:
        return "watermark"
    if asked.cover_note:
        return "cover-note"
    raise MarkingError(
        "A document that is given on request carries its reader's name, and this file is no PDF that can be marked.",
        advice="Send a PDF without encryption, or ask for the cover note.",
    )


def withdraw(op: SystemOperation, asked: Withdraw) -> Answer:
    """Take a document out: it is listed no more, its grants are revoked, and its file's keys are destroyed.

    What lies in the object store is removed by the sweep, and opens for nobody until then.
    """
    item = judge_name(asked.document)
    past = registers.history(op.tx, DOCUMENTS, item)
    entry = registers.withdraw(op, DOCUMENTS, item, asked.reason)
    revoked = grant_store.revoke_all(op.tx, item, op.now)
    ring = keyring(op)
    for row in store.files(op.tx, item):
        ring.destroy(CryptoKeyId(row.object_key_id))
    store.empty_files(op.tx, item)
    return Answer(body=view(entry), detail={"revoked": revoked, "versions": len(past)})


def list_documents(op: SystemOperation) -> DocumentList:
    """List the documents that stand."""
    return DocumentList(data=[view(entry) for entry in registers.current(op.tx, DOCUMENTS)])


def listed(tx: SystemTx, item: str) -> Entry[Document]:
    """Return a document that stands; raise `NoSuchDocumentError`."""
    try:
        return registers.one(tx, DOCUMENTS, item)
    except UnknownItemError as error:
        raise NoSuchDocumentError(f"There is no document {item[:60]!r}.") from error


def over(document: Document, now: datetime) -> bool:
    """Return whether a document has expired."""
    if document.expires is None:
        return False
    return now >= datetime(document.expires.year, document.expires.month, document.expires.day, tzinfo=UTC)


def read_public(services: RoomServices, op: SystemOperation, item: str) -> Fetched:
    """Return a document that is for everybody; raise `NotReadableError` for any other, whoever asks."""
    document = listed(op.tx, item).document
    if document.level != "public":
        raise NotReadableError
    if over(document, op.now):
        raise NoSuchDocumentError(f"The document {item!r} has expired.")
    return Fetched(
        content=newest_content(services, op, item, document), content_type=document.content_type,
        name=file_name(item, document),
    )  # fmt: skip


def newest_content(services: RoomServices, op: SystemOperation, item: str, document: Document) -> bytes:
    """Return the file of the version that is listed."""
    row = store.file(op.tx, item, document.version)
    if row is None:
        raise NoFileError
    return files.content(op, services.objects, row)


def file_name(item: str, document: Document) -> str:
    """Return what a fetched file is called."""
    return f"{item}-v{document.version}.{EXTENSIONS.get(document.content_type, 'bin')}"


def view(entry: Entry[Document]) -> DocumentView:
    """Return a document as the operator sees it."""
    document = entry.document
    return DocumentView(
        id=entry.item, title=document.title, level=document.level, kind=document.kind, access=document.access,
        marking=document.marking, version=document.version, size=document.size, sha256=document.sha256,
        expires=document.expires, listed_at=entry.recorded_at,
    )  # fmt: skip
