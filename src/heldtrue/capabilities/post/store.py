"""The rows of mails: waiting, claimed under a lease with a fence, settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.post.model import State
from heldtrue.db.tx import SystemTx


@dataclass(frozen=True, slots=True)
class MailRow:
    """A mail as it lies there."""

    mail_id: UUID
    about: str
    state: State
    draft_sealed: bytes
    reply_sealed: bytes | None
    created_at: datetime
    due_at: datetime | None
    attempts: int
    settled_at: datetime | None
    failure: str | None
    status: int | None


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """A mail that this worker holds until its lease ends."""

    mail_id: UUID
    fence: int
    tries: int
    draft_sealed: bytes
    wire_sealed: bytes | None
    created_at: datetime


def insert(tx: SystemTx, mail_id: UUID, about: str, to_hash: bytes, draft_sealed: bytes, now: datetime) -> None:
    """Add a mail that is due at once."""
    tx.execute(
        """INSERT INTO heldtrue.post_mails (mail_id, about, to_hash, draft_sealed, created_at, due_at)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        (mail_id, about, to_hash, draft_sealed, now, now),
    )


def sent_since(tx: SystemTx, to_hash: bytes, about: str, since: datetime) -> int:
    """Return how many mails about *about* or what begins with it one recipient was given since then."""
    return tx.value(
        """SELECT count(*) FROM heldtrue.post_mails
           WHERE to_hash = %s AND created_at >= %s AND starts_with(about, %s)""",
        (to_hash, since, about),
    )


def claim(tx: SystemTx, now: datetime, lease_until: datetime, limit: int) -> list[ClaimedRow]:
    """Claim mails that are due, the oldest first; one whose lease ran out among them."""
    return tx.many(
        ClaimedRow,
        """WITH due AS (
             SELECT mail_id FROM heldtrue.post_mails
             WHERE state = 'waiting' AND due_at <= %s AND (lease_until IS NULL OR lease_until <= %s)
             ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)
           UPDATE heldtrue.post_mails m
           SET lease_until = %s, fence = m.fence + 1, attempts = m.attempts + 1, tries = m.tries + 1
           FROM due WHERE m.mail_id = due.mail_id
           RETURNING m.mail_id, m.fence, m.tries, m.draft_sealed, m.wire_sealed, m.created_at""",
        (now, now, limit, lease_until),
    )


def keep_wire(tx: SystemTx, mail_id: UUID, fence: int, wire_sealed: bytes) -> None:
    """Keep the message as it is about to be sent, for every further attempt."""
    tx.execute(
        "UPDATE heldtrue.post_mails SET wire_sealed = %s WHERE mail_id = %s AND fence = %s",
        (wire_sealed, mail_id, fence),
    )


def settle(
    tx: SystemTx,
    claimed: ClaimedRow,
    state: State,
    *,
    due_at: datetime | None,
    settled_at: datetime | None,
    failure: str | None,
    status: int | None,
    reply_sealed: bytes | None,
    draft_sealed: bytes | None,
) -> bool:
    """Write what came of an attempt; False where the fence has moved on. *draft_sealed*: what is kept from now on."""
    return (
        tx.execute(
            """UPDATE heldtrue.post_mails SET state = %s, due_at = %s, settled_at = %s, failure = %s, status = %s,
                 reply_sealed = %s, lease_until = NULL, draft_sealed = coalesce(%s, draft_sealed),
                 wire_sealed = CASE WHEN %s THEN NULL ELSE wire_sealed END
               WHERE mail_id = %s AND fence = %s AND state = 'waiting'""",
            (
                state, due_at, settled_at, failure, status, reply_sealed, draft_sealed, state == "sent",
                claimed.mail_id, claimed.fence,
            ),
        )
        == 1
    )  # fmt: skip


def retry(tx: SystemTx, mail_id: UUID, now: datetime) -> bool:
    """Make a failed mail due again, composed anew with the settings of now; False where none failed by this id."""
    return (
        tx.execute(
            """UPDATE heldtrue.post_mails SET state = 'waiting', due_at = %s, settled_at = NULL, tries = 0,
                 wire_sealed = NULL, lease_until = NULL WHERE mail_id = %s AND state = 'failed'""",
            (now, mail_id),
        )
        == 1
    )


def get(tx: SystemTx, mail_id: UUID) -> MailRow | None:
    """Return one mail."""
    return tx.one(
        MailRow,
        """SELECT mail_id, about, state, draft_sealed, reply_sealed, created_at, due_at, attempts, settled_at, failure,
             status FROM heldtrue.post_mails WHERE mail_id = %s""",
        (mail_id,),
    )


def page(tx: SystemTx, after: UUID | None, state: State | None, limit: int) -> list[MailRow]:
    """Return up to *limit* mails older than *after*, the newest first."""
    return tx.many(
        MailRow,
        """SELECT mail_id, about, state, draft_sealed, reply_sealed, created_at, due_at, attempts, settled_at, failure,
             status FROM heldtrue.post_mails
           WHERE (%s::uuid IS NULL OR mail_id < %s::uuid) AND (%s::text IS NULL OR state = %s::text)
           ORDER BY mail_id DESC LIMIT %s""",
        (after, after, state, state, limit),
    )


def forget(tx: SystemTx, before: datetime) -> int:
    """Delete what was settled before then; return how many."""
    return tx.execute("DELETE FROM heldtrue.post_mails WHERE settled_at < %s", (before,))


@dataclass(frozen=True, slots=True)
class Counts:
    """How mails stand."""

    waiting: int
    failed: int
    oldest: datetime | None


def counts(tx: SystemTx) -> Counts:
    """Return how many wait since when, and how many failed for good."""
    rows: Sequence[Counts] = tx.many(
        Counts,
        """SELECT count(*) FILTER (WHERE state = 'waiting')::int AS waiting,
             count(*) FILTER (WHERE state = 'failed')::int AS failed,
             min(created_at) FILTER (WHERE state = 'waiting') AS oldest FROM heldtrue.post_mails
           WHERE state IN ('waiting', 'failed')""",
    )
    return rows[0]
