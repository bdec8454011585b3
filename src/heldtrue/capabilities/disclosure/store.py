"""Reports, their messages and the published key in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.disclosure.model import Report
from heldtrue.db.tx import SystemTx


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message of a report."""

    number: int
    author: str
    encrypted: bool
    text_sealed: bytes
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An OpenPGP key that was published."""

    fingerprint: str
    public_key: str
    secret_sealed: bytes | None
    made_at: datetime
    expires_at: datetime
    retired_at: datetime | None


def insert(tx: SystemTx, report: Report, link_digest: bytes, reporter_sealed: bytes) -> None:
    """Keep a report that came in."""
    tx.execute(
        """INSERT INTO heldtrue.reports
           (report_id, state, link_digest, encrypted, calendar, zone, received_at, due_at, reporter_sealed)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (report.report_id, report.state, link_digest, report.encrypted, report.calendar, report.zone,
         report.received_at, report.due_at, reporter_sealed),
    )  # fmt: skip


def update(tx: SystemTx, report: Report) -> None:
    """Keep where a report stands now."""
    tx.execute(
        """UPDATE heldtrue.reports SET state = %s, acknowledged_at = %s, vector = %s, score_tenths = %s, severity = %s,
           duplicate_of = %s, award_cents = %s, awarded_at = %s, thanked_at = %s, closed_at = %s
           WHERE report_id = %s""",
        (report.state, report.acknowledged_at, report.vector, report.score_tenths, report.severity,
         report.duplicate_of, report.award_cents, report.awarded_at, report.thanked_at, report.closed_at,
         report.report_id),
    )  # fmt: skip


def get(tx: SystemTx, report: UUID) -> Report | None:
    """Return a report, and let nobody else change it until the transaction ends."""
    return tx.one(
        Report,
        """SELECT report_id, state, encrypted, calendar, zone, received_at, due_at, acknowledged_at, vector,
             score_tenths, severity, duplicate_of, award_cents, awarded_at, closed_at, thanked_at
           FROM heldtrue.reports WHERE report_id = %s FOR UPDATE""",
        (report,),
    )


def by_link(tx: SystemTx, digest: bytes) -> Report | None:
    """Return the report that a link leads to, locked."""
    found = tx.value("SELECT report_id FROM heldtrue.reports WHERE link_digest = %s", (digest,))
    return None if found is None else get(tx, found)


def page(tx: SystemTx, after: UUID | None, limit: int) -> list[Report]:
    """Return reports older than *after*, the newest first."""
    return tx.many(
        Report,
        """SELECT report_id, state, encrypted, calendar, zone, received_at, due_at, acknowledged_at, vector,
             score_tenths, severity, duplicate_of, award_cents, awarded_at, closed_at, thanked_at
           FROM heldtrue.reports WHERE %s::uuid IS NULL OR report_id < %s ORDER BY report_id DESC LIMIT %s""",
        (after, after, limit),
    )


def since(tx: SystemTx, at: datetime) -> list[Report]:
    """Return the reports that came since *at*, and any older one that still waits to be acknowledged."""
    return tx.many(
        Report,
        """SELECT report_id, state, encrypted, calendar, zone, received_at, due_at, acknowledged_at, vector,
             score_tenths, severity, duplicate_of, award_cents, awarded_at, closed_at, thanked_at
           FROM heldtrue.reports WHERE received_at >= %s OR acknowledged_at IS NULL ORDER BY report_id""",
        (at,),
    )


def count_since(tx: SystemTx, at: datetime) -> int:
    """Return how many reports came since *at*."""
    return tx.value("SELECT count(*) FROM heldtrue.reports WHERE received_at >= %s", (at,))


def reporter(tx: SystemTx, report: UUID) -> bytes:
    """Return what is sealed of who reported."""
    return tx.value("SELECT reporter_sealed FROM heldtrue.reports WHERE report_id = %s", (report,))


def add_message(
    tx: SystemTx, report: UUID, number: int, author: str, *, encrypted: bool, sealed: bytes, at: datetime
) -> None:
    """Keep a message."""
    tx.execute(
        """INSERT INTO heldtrue.report_messages (report_id, number, author, encrypted, text_sealed, sent_at)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        (report, number, author, encrypted, sealed, at),
    )


def messages(tx: SystemTx, report: UUID) -> list[MessageRow]:
    """Return a report's messages, the first first."""
    return tx.many(
        MessageRow,
        """SELECT number, author, encrypted, text_sealed, sent_at FROM heldtrue.report_messages
           WHERE report_id = %s ORDER BY number""",
        (report,),
    )


def active_key(tx: SystemTx) -> KeyRow | None:
    """Return the key that is published now."""
    return tx.one(
        KeyRow,
        """SELECT fingerprint, public_key, secret_sealed, made_at, expires_at, retired_at
           FROM heldtrue.disclosure_keys WHERE retired_at IS NULL""",
    )


def keys(tx: SystemTx) -> list[KeyRow]:
    """Return every key that was ever published, the newest first."""
    return tx.many(
        KeyRow,
        """SELECT fingerprint, public_key, secret_sealed, made_at, expires_at, retired_at
           FROM heldtrue.disclosure_keys ORDER BY made_at DESC""",
    )


def publish_key(tx: SystemTx, row: KeyRow) -> None:
    """Publish a key in place of the one before."""
    tx.execute(
        "UPDATE heldtrue.disclosure_keys SET retired_at = %s WHERE retired_at IS NULL", (row.made_at,)
    )  # fmt: skip
    tx.execute(
        """INSERT INTO heldtrue.disclosure_keys (fingerprint, public_key, secret_sealed, made_at, expires_at)
           VALUES (%s, %s, %s, %s, %s)""",
        (row.fingerprint, row.public_key, row.secret_sealed, row.made_at, row.expires_at),
    )
