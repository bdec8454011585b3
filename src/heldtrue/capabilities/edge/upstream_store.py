"""Rows of `keystore.upstream_keys`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.db.tx import SystemTx

LOCK = 0x485455504B  # "HTUPK"


@dataclass(frozen=True, slots=True)
class UpstreamKeyRow:
    """A key as stored; `wrapped` under the platform key, None once it is destroyed."""

    key_id: UUID
    upstream: str
    state: str
    wrapped: bytes | None = field(repr=False)
    created_at: datetime
    accept_until: datetime | None


def lock(tx: SystemTx) -> None:
    """Wait to be the only one that makes or ends upstream keys, until this transaction ends."""
    tx.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def insert(tx: SystemTx, row: UpstreamKeyRow) -> None:
    """Store a key."""
    tx.execute(
        """INSERT INTO keystore.upstream_keys (key_id, upstream, state, wrapped, created_at, accept_until)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        [row.key_id, row.upstream, row.state, row.wrapped, row.created_at, row.accept_until],
    )


def live(tx: SystemTx, upstream: str, now: datetime) -> list[UpstreamKeyRow]:
    """Return the keys that *upstream* may be stamped with at *now*, the active one first."""
    return tx.many(
        UpstreamKeyRow,
        """SELECT key_id, upstream, state, wrapped, created_at, accept_until FROM keystore.upstream_keys
           WHERE upstream = %s AND wrapped IS NOT NULL AND (state = 'active' OR accept_until > %s)
           ORDER BY state = 'active' DESC, created_at DESC""",
        [upstream, now],
    )


def get(tx: SystemTx, key_id: UUID) -> UpstreamKeyRow | None:
    """Return one key."""
    return tx.one(
        UpstreamKeyRow,
        """SELECT key_id, upstream, state, wrapped, created_at, accept_until FROM keystore.upstream_keys
           WHERE key_id = %s""",
        [key_id],
    )


def page(tx: SystemTx, after: UUID | None, limit: int) -> list[UpstreamKeyRow]:
    """Return keys older than *after*, the newest first."""
    return tx.many(
        UpstreamKeyRow,
        """SELECT key_id, upstream, state, wrapped, created_at, accept_until FROM keystore.upstream_keys
           WHERE (%s::uuid IS NULL OR key_id < %s) ORDER BY key_id DESC LIMIT %s""",
        [after, after, limit],
    )


def deactivate(tx: SystemTx, key_id: UUID, accept_until: datetime) -> None:
    """Let a key be followed by another, and be accepted until then."""
    tx.execute(
        "UPDATE keystore.upstream_keys SET state = 'deactivated', accept_until = %s WHERE key_id = %s",
        [accept_until, key_id],
    )


def destroy(tx: SystemTx, key_id: UUID) -> None:
    """Destroy a key; its record stays."""
    tx.execute("UPDATE keystore.upstream_keys SET state = 'destroyed', wrapped = NULL WHERE key_id = %s", [key_id])


def destroy_ended(tx: SystemTx, now: datetime) -> None:
    """Destroy every key whose overlap is over."""
    tx.execute(
        """UPDATE keystore.upstream_keys SET state = 'destroyed', wrapped = NULL
           WHERE state = 'deactivated' AND accept_until <= %s""",
        [now],
    )
