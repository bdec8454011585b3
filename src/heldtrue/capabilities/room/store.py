"""The rows of the room: files and requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.room.model import AskKind, AskState, Channel
from heldtrue.db.tx import SystemTx


@dataclass(frozen=True, slots=True)
class FileRow:
    """One version of a document's file."""

    item: str
    version: int
    object_key_id: UUID
    body_sealed: bytes | None
    body_object: str | None
    content_type: str
    size: int
    sha256: bytes
    pages: int | None
    added_at: datetime


@dataclass(frozen=True, slots=True)
class AskRow:
    """A request."""

    ask_id: UUID
    kind: AskKind
    item: str | None
    state: AskState
    channel: Channel
    mail_hash: bytes
    asker_sealed: bytes | None
    decision_sealed: bytes | None
    received_at: datetime
    due_at: datetime
    decided_at: datetime | None


# ---------------------------------------------------------------- files


def add_file(tx: SystemTx, row: FileRow) -> None:
    """Keep a version of a file."""
    tx.execute(
        """INSERT INTO heldtrue.room_files (item, version, object_key_id, body_sealed, body_object, content_type, size,
             sha256, pages, added_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            row.item, row.version, row.object_key_id, row.body_sealed, row.body_object, row.content_type, row.size,
            row.sha256, row.pages, row.added_at,
        ),
    )  # fmt: skip


def files(tx: SystemTx, item: str) -> list[FileRow]:
    """Return every version of a document's file, the newest first."""
    return tx.many(
        FileRow,
        """SELECT item, version, object_key_id, body_sealed, body_object, content_type, size, sha256, pages, added_at
           FROM heldtrue.room_files WHERE item = %s ORDER BY version DESC""",
        (item,),
    )


def file(tx: SystemTx, item: str, version: int) -> FileRow | None:
    """Return one version of a document's file."""
    return tx.one(
        FileRow,
        """SELECT item, version, object_key_id, body_sealed, body_object, content_type, size, sha256, pages, added_at
           FROM heldtrue.room_files WHERE item = %s AND version = %s""",
        (item, version),
    )


def lock_item(tx: SystemTx, item: str) -> None:
    """Wait until nobody else adds to a document, and let nobody else until the transaction ends."""
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('heldtrue.room ' || %s, 0))", (item,))


def empty_files(tx: SystemTx, item: str) -> None:
    """Take the bytes out of every version of a document's file; its hashes stay."""
    tx.execute("UPDATE heldtrue.room_files SET body_sealed = NULL, body_object = NULL WHERE item = %s", (item,))


# ---------------------------------------------------------------- requests


def add_ask(tx: SystemTx, row: AskRow) -> None:
    """Keep a request."""
    tx.execute(
        """INSERT INTO heldtrue.room_requests (ask_id, kind, item, channel, mail_hash, asker_sealed, received_at,
             due_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            row.ask_id, row.kind, row.item, row.channel, row.mail_hash, row.asker_sealed, row.received_at, row.due_at,
        ),
    )  # fmt: skip


def ask(tx: SystemTx, ask_id: UUID, *, lock: bool = False) -> AskRow | None:
    """Return one request; *lock*: until the transaction ends."""
    row = tx.one(
        AskRow,
        """SELECT ask_id, kind, item, state, channel, mail_hash, asker_sealed, decision_sealed, received_at, due_at,
             decided_at FROM heldtrue.room_requests WHERE ask_id = %s""",
        (ask_id,),
    )
    if row is None or not lock:
        return row
    tx.execute("SELECT FROM heldtrue.room_requests WHERE ask_id = %s FOR UPDATE", (ask_id,))
    return ask(tx, ask_id)


def asks(tx: SystemTx, after: UUID | None, state: AskState | None, limit: int) -> list[AskRow]:
    """Return up to *limit* requests older than *after*, the newest first."""
    return tx.many(
        AskRow,
        """SELECT ask_id, kind, item, state, channel, mail_hash, asker_sealed, decision_sealed, received_at, due_at,
             decided_at FROM heldtrue.room_requests
           WHERE (%s::uuid IS NULL OR ask_id < %s::uuid) AND (%s::text IS NULL OR state = %s::text)
           ORDER BY ask_id DESC LIMIT %s""",
        (after, after, state, state, limit),
    )


def asked_since(tx: SystemTx, mail_hash: bytes, since: datetime) -> int:
    """Return how many requests one mail address made by the page since then."""
    return tx.value(
        """SELECT count(*) FROM heldtrue.room_requests
           WHERE mail_hash = %s AND received_at >= %s AND channel = 'page'""",
        (mail_hash, since),
    )


def decide(tx: SystemTx, ask_id: UUID, state: AskState, decision_sealed: bytes, now: datetime) -> None:
    """Write how a request was decided; its clock stopped at the first decision."""
    tx.execute(
        """UPDATE heldtrue.room_requests SET state = %s, decision_sealed = %s, decided_at = coalesce(decided_at, %s)
           WHERE ask_id = %s""",
        (state, decision_sealed, now, ask_id),
    )


@dataclass(frozen=True, slots=True)
class AskCounts:
    """How requests stand."""

    open: int
    overdue: int


def ask_counts(tx: SystemTx, now: datetime) -> AskCounts:
    """Return how many requests wait, and how many of them beyond their time."""
    found = tx.one(
        AskCounts,
        """SELECT count(*)::int AS open, count(*) FILTER (WHERE due_at < %s)::int AS overdue
           FROM heldtrue.room_requests WHERE state = 'open'""",
        (now,),
    )
    return found or AskCounts(0, 0)
