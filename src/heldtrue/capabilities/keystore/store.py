"""Rows of `keystore.signing_keys`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.keystore.model import StoredKey
from heldtrue.db.tx import SystemTx, TenantTx

LOCK = 0x48544B4559  # "HTKEY"


def lock(tx: SystemTx) -> None:
    """Wait to be the only one that makes or retires signing keys, until this transaction ends."""
    tx.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def active(tx: TenantTx | SystemTx, purpose: str) -> StoredKey | None:
    """Return the key that signs for *purpose*."""
    return tx.one(
        StoredKey,
        """SELECT key_id, purpose, state, public, wrapped, not_before, sign_until, accept_until, leaf_id, compromised_at
           FROM keystore.signing_keys WHERE purpose = %s AND state = 'active'""",
        [purpose],
    )


def announced(tx: TenantTx | SystemTx, purpose: str) -> StoredKey | None:
    """Return the key that will sign for *purpose* and does not yet."""
    return tx.one(
        StoredKey,
        """SELECT key_id, purpose, state, public, wrapped, not_before, sign_until, accept_until, leaf_id, compromised_at
           FROM keystore.signing_keys WHERE purpose = %s AND state = 'pre-activation' ORDER BY not_before, key_id""",
        [purpose],
    )


def by_id(tx: TenantTx | SystemTx, key_id: UUID) -> StoredKey | None:
    """Return a key in whatever state it is."""
    return tx.one(
        StoredKey,
        """SELECT key_id, purpose, state, public, wrapped, not_before, sign_until, accept_until, leaf_id, compromised_at
           FROM keystore.signing_keys WHERE key_id = %s""",
        [key_id],
    )


def all_of(tx: TenantTx | SystemTx, purpose: str) -> list[StoredKey]:
    """Return every key that ever signed for *purpose*, the newest first."""
    return tx.many(
        StoredKey,
        """SELECT key_id, purpose, state, public, wrapped, not_before, sign_until, accept_until, leaf_id, compromised_at
           FROM keystore.signing_keys WHERE purpose = %s ORDER BY not_before DESC, key_id DESC""",
        [purpose],
    )


def add(tx: SystemTx, key: StoredKey) -> None:
    """Store a key."""
    tx.execute(
        """INSERT INTO keystore.signing_keys
           (key_id, purpose, state, public, wrapped, not_before, sign_until, accept_until, leaf_id, compromised_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [key.key_id, key.purpose, key.state, key.public, key.wrapped, key.not_before, key.sign_until, key.accept_until,
         key.leaf_id, key.compromised_at],
    )  # fmt: skip


def activate(tx: SystemTx, key: StoredKey) -> None:
    """Let an announced key sign."""
    tx.execute(
        "UPDATE keystore.signing_keys SET state = %s, leaf_id = %s WHERE key_id = %s",
        [key.state, key.leaf_id, key.key_id],
    )


def change(
    tx: SystemTx,
    key: StoredKey,
    state: str,
    sign_until: datetime | None,
    accept_until: datetime | None,
    compromised_at: datetime | None,
) -> None:
    """Move *key* to another state."""
    tx.execute(
        """UPDATE keystore.signing_keys SET state = %s, sign_until = %s, accept_until = %s, compromised_at = %s
           WHERE key_id = %s""",
        [state, sign_until, accept_until, compromised_at, key.key_id],
    )
