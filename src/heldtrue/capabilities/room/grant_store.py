"""The rows of the room: grants, acceptances of the agreement, and the copies that were handed out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.room.model import Marking
from heldtrue.db.tx import SystemTx


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant, with what became of it."""

    grant_id: UUID
    ask_id: UUID
    item: str
    needs_agreement: bool
    reader_sealed: bytes | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    refusals: int
    accepted_at: datetime | None
    fetches: int


@dataclass(frozen=True, slots=True)
class DownloadRow:
    """A copy that was handed out."""

    download_id: UUID
    grant_id: UUID
    item: str
    version: int
    marking: Marking
    size: int
    sha256: bytes
    at: datetime


def add_grant(tx: SystemTx, row: GrantRow, link_digest: bytes) -> None:
    """Keep a grant."""
    tx.execute(
        """INSERT INTO heldtrue.room_grants (grant_id, ask_id, item, link_digest, needs_agreement, reader_sealed,
             created_at, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            row.grant_id, row.ask_id, row.item, link_digest, row.needs_agreement, row.reader_sealed, row.created_at,
            row.expires_at,
        ),
    )  # fmt: skip


def grant_of_link(tx: SystemTx, link_digest: bytes, *, lock: bool = False) -> GrantRow | None:
    """Return the grant behind a link; *lock*: until the transaction ends."""
    if lock:
        tx.execute("SELECT FROM heldtrue.room_grants WHERE link_digest = %s FOR UPDATE", (link_digest,))
    found = tx.value("SELECT grant_id FROM heldtrue.room_grants WHERE link_digest = %s", (link_digest,))
    return None if found is None else grant(tx, found)


def grant(tx: SystemTx, grant_id: UUID) -> GrantRow | None:
    """Return one grant."""
    return tx.one(
        GrantRow,
        """SELECT g.grant_id, g.ask_id, g.item, g.needs_agreement, g.reader_sealed, g.created_at, g.expires_at,
             g.revoked_at, g.refusals, a.accepted_at,
             (SELECT count(*)::int FROM heldtrue.room_downloads d WHERE d.grant_id = g.grant_id) AS fetches
           FROM heldtrue.room_grants g LEFT JOIN heldtrue.room_acceptances a USING (grant_id) WHERE g.grant_id = %s""",
        (grant_id,),
    )


def grants(tx: SystemTx, after: UUID | None, limit: int) -> list[GrantRow]:
    """Return up to *limit* grants older than *after*, the newest first."""
    return tx.many(
        GrantRow,
        """SELECT g.grant_id, g.ask_id, g.item, g.needs_agreement, g.reader_sealed, g.created_at, g.expires_at,
             g.revoked_at, g.refusals, a.accepted_at,
             (SELECT count(*)::int FROM heldtrue.room_downloads d WHERE d.grant_id = g.grant_id) AS fetches
           FROM heldtrue.room_grants g LEFT JOIN heldtrue.room_acceptances a USING (grant_id)
           WHERE %s::uuid IS NULL OR g.grant_id < %s::uuid ORDER BY g.grant_id DESC LIMIT %s""",
        (after, after, limit),
    )


def revoke(tx: SystemTx, grant_id: UUID, reason_sealed: bytes, now: datetime) -> None:
    """Revoke a grant; one that was revoked before stays as it is."""
    tx.execute(
        "UPDATE heldtrue.room_grants SET revoked_at = %s, reason_sealed = %s"
        " WHERE grant_id = %s AND revoked_at IS NULL",
        (now, reason_sealed, grant_id),
    )


def revoke_all(tx: SystemTx, item: str, now: datetime) -> int:
    """Revoke every grant of a document that is in force; return how many."""
    return tx.execute(
        "UPDATE heldtrue.room_grants SET revoked_at = %s WHERE item = %s AND revoked_at IS NULL AND expires_at > %s",
        (now, item, now),
    )


def count_refusal(tx: SystemTx, grant_id: UUID) -> None:
    """Count a fetch that was refused."""
    tx.execute(
        "UPDATE heldtrue.room_grants SET refusals = least(refusals, 2000000000) + 1 WHERE grant_id = %s", (grant_id,)
    )


def accept(
    tx: SystemTx, grant_id: UUID, agreement: str, version: int, digest: bytes, sealed: bytes, leaf: UUID, now: datetime
) -> None:
    """Record that an agreement was accepted."""
    tx.execute(
        """INSERT INTO heldtrue.room_acceptances (grant_id, agreement, version, text_sha256, accepted_sealed, leaf_id,
             accepted_at) VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (grant_id, agreement, version, digest, sealed, leaf, now),
    )


# ---------------------------------------------------------------- downloads


def add_download(tx: SystemTx, row: DownloadRow) -> None:
    """Record that a copy was handed out."""
    tx.execute(
        """INSERT INTO heldtrue.room_downloads (download_id, grant_id, item, version, marking, size, sha256, at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (row.download_id, row.grant_id, row.item, row.version, row.marking, row.size, row.sha256, row.at),
    )


def download(tx: SystemTx, download_id: UUID) -> DownloadRow | None:
    """Return one copy."""
    return tx.one(
        DownloadRow,
        """SELECT download_id, grant_id, item, version, marking, size, sha256, at FROM heldtrue.room_downloads
           WHERE download_id = %s""",
        (download_id,),
    )


def downloads(tx: SystemTx, grant_id: UUID) -> list[DownloadRow]:
    """Return every copy that a grant gave, the newest first."""
    return tx.many(
        DownloadRow,
        """SELECT download_id, grant_id, item, version, marking, size, sha256, at FROM heldtrue.room_downloads
           WHERE grant_id = %s ORDER BY download_id DESC""",
        (grant_id,),
    )


def forget(tx: SystemTx, before: datetime) -> int:
    """Forget who asked and who read, where it ended before then and no agreement binds them; return how many."""
    readers = tx.execute(
        """UPDATE heldtrue.room_grants g SET reader_sealed = NULL, reason_sealed = NULL
           WHERE reader_sealed IS NOT NULL AND coalesce(revoked_at, expires_at) < %s AND expires_at < %s
             AND NOT EXISTS (SELECT FROM heldtrue.room_acceptances a WHERE a.grant_id = g.grant_id)""",
        (before, before),
    )
    return readers + tx.execute(
        """UPDATE heldtrue.room_requests r SET asker_sealed = NULL, decision_sealed = NULL
           WHERE asker_sealed IS NOT NULL AND decided_at < %s
             AND NOT EXISTS (SELECT FROM heldtrue.room_grants g
                             WHERE g.ask_id = r.ask_id AND g.reader_sealed IS NOT NULL)""",
        (before,),
    )
