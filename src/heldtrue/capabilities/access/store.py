"""The rows of API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, cast
from uuid import UUID

from heldtrue.capabilities.access.model import ApiKey
from heldtrue.capabilities.access.restrictions import Restrictions
from heldtrue.crypto.tokens import KeyType
from heldtrue.db.tx import EdgeTx, SystemTx, TenantTx
from heldtrue.kernel.ids import KeyId, TenantId
from heldtrue.policy.permissions import Permission, Role


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key with its name sealed."""

    key_id: UUID
    tenant_id: UUID
    environment: str
    type: str
    role: str
    scopes: list[str] | None
    digest: bytes
    last4: str
    name_sealed: bytes
    state: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rolled_to: UUID | None
    grants: list[str]
    origins: list[str]
    addresses: list[str]
    leaked_at: datetime | None
    last_used_at: datetime | None

    def key(self) -> ApiKey:
        """Return the key."""
        return ApiKey(
            KeyId(self.key_id), TenantId(self.tenant_id), self.environment, cast("KeyType", self.type), Role(self.role),
            _scopes(self.scopes), self.digest, self.last4, self.state, self.created_at, self.expires_at,
            self.revoked_at, self.rolled_to,
            Restrictions(frozenset(self.grants), tuple(self.origins), tuple(self.addresses)), self.leaked_at,
        )  # fmt: skip


_KEYS: LiteralString = """SELECT k.key_id, k.tenant_id, k.environment, k.type, k.role, k.scopes, k.digest, k.last4,
    k.name_sealed, k.state, k.created_at, k.expires_at, k.revoked_at, k.rolled_to, k.grants, k.origins, k.addresses,
    k.leaked_at, u.last_used_at
  FROM heldtrue.api_keys k LEFT JOIN heldtrue.key_uses u USING (tenant_id, key_id)"""


def insert(tx: TenantTx | SystemTx, key: ApiKey, name_sealed: bytes) -> None:
    """Add a key."""
    tx.execute(
        """INSERT INTO heldtrue.api_keys (tenant_id, environment, key_id, type, role, scopes, digest, last4,
             name_sealed, state, created_at, expires_at, grants, origins, addresses)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            key.tenant.value, key.environment, key.id.value, key.type, key.role.value,
            None if key.scopes is None else sorted(key.scopes), key.digest, key.last4, name_sealed, key.state,
            key.created_at, key.expires_at, sorted(key.restrictions.grants), list(key.restrictions.origins),
            list(key.restrictions.addresses),
        ],
    )  # fmt: skip


def get(tx: TenantTx, tenant: TenantId, environment: str, key: KeyId) -> KeyRow | None:
    """Return a key."""
    return tx.one(
        KeyRow,
        _KEYS + """ WHERE k.tenant_id = %s AND k.environment = %s AND k.key_id = %s""",
        [tenant.value, environment, key.value],
    )


def get_locked(tx: TenantTx, tenant: TenantId, environment: str, key: KeyId) -> KeyRow | None:
    """Return a key, locked until the transaction ends."""
    return tx.one(
        KeyRow,
        _KEYS + """ WHERE k.tenant_id = %s AND k.environment = %s AND k.key_id = %s FOR UPDATE OF k""",
        [tenant.value, environment, key.value],
    )


def predecessors(tx: TenantTx, tenant: TenantId, environment: str, key: KeyId) -> list[KeyRow]:
    """Return the keys that were rolled to *key*."""
    return tx.many(
        KeyRow,
        _KEYS + """ WHERE k.tenant_id = %s AND k.environment = %s AND k.rolled_to = %s""",
        [tenant.value, environment, key.value],
    )


def page(tx: TenantTx, tenant: TenantId, environment: str, after: UUID | None, limit: int) -> list[KeyRow]:
    """Return up to *limit* keys older than *after*, the newest first."""
    return tx.many(
        KeyRow,
        _KEYS
        + """ WHERE k.tenant_id = %s AND k.environment = %s AND (%s::uuid IS NULL OR k.key_id < %s::uuid)
           ORDER BY k.key_id DESC LIMIT %s""",
        [tenant.value, environment, after, after, limit],
    )


def update(tx: TenantTx, key: ApiKey) -> None:
    """Store what may change of a key: its state, its end, its successor, and that it is public."""
    tx.execute(
        """UPDATE heldtrue.api_keys SET state = %s, expires_at = %s, revoked_at = %s, rolled_to = %s, leaked_at = %s
           WHERE tenant_id = %s AND environment = %s AND key_id = %s""",
        [
            key.state, key.expires_at, key.revoked_at, key.rolled_to, key.leaked_at,
            key.tenant.value, key.environment, key.id.value,
        ],
    )  # fmt: skip


def _scopes(scopes: list[str] | None) -> frozenset[Permission] | None:
    return None if scopes is None else frozenset(Permission(scope) for scope in scopes)


def generation(tx: TenantTx, tenant: TenantId, environment: str) -> int:
    """Return the present generation of the environment's session tokens; 0 before the first revocation."""
    found: int | None = tx.value(
        "SELECT generation FROM heldtrue.session_generations WHERE tenant_id = %s AND environment = %s",
        [tenant.value, environment],
    )
    return found or 0


def next_generation(tx: TenantTx, tenant: TenantId, environment: str, now: datetime) -> int:
    """Begin a generation of session tokens and return it; tokens of the ones before are refused from now on."""
    return tx.value(
        """INSERT INTO heldtrue.session_generations AS s (tenant_id, environment, generation, changed_at)
           VALUES (%s, %s, 1, %s)
           ON CONFLICT (tenant_id, environment) DO UPDATE SET generation = s.generation + 1, changed_at = %s
           RETURNING generation""",
        [tenant.value, environment, now, now],
    )


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key has a digest."""

    tenant_id: UUID
    environment: str
    key_id: UUID
    digest: bytes


def holders(tx: EdgeTx, digests: Sequence[bytes]) -> list[Holder]:
    """Return whose keys have *digests*, whatever their state."""
    return tx.many(
        Holder,
        """SELECT tenant_id, environment, key_id, digest FROM heldtrue.api_keys WHERE digest = ANY(%s)
           ORDER BY tenant_id, environment, key_id""",
        [list(digests)],
    )


@dataclass(frozen=True, slots=True)
class Place:
    """An environment of an organisation."""

    tenant_id: UUID
    environment: str


def places_with_old_keys(
    tx: SystemTx, created_before: datetime, now: datetime, reminded_before: datetime
) -> list[Place]:
    """Return where there are keys that work, are older than that, and whose holders were not reminded since."""
    return tx.many(
        Place,
        """SELECT DISTINCT k.tenant_id, k.environment
           FROM heldtrue.api_keys k JOIN heldtrue.organisations o USING (tenant_id)
           WHERE k.state = 'active' AND o.state = 'active' AND k.created_at <= %s
             AND (k.expires_at IS NULL OR k.expires_at > %s)
             AND (k.reminded_at IS NULL OR k.reminded_at <= %s)""",
        [created_before, now, reminded_before],
    )


@dataclass(frozen=True, slots=True)
class Old:
    """A key whose holder is to be reminded."""

    key_id: UUID
    created_at: datetime


def old_keys(
    tx: TenantTx, place: Place, created_before: datetime, now: datetime, reminded_before: datetime, limit: int
) -> list[Old]:
    """Return up to *limit* of those keys that nobody else reminds of now, locked."""
    return tx.many(
        Old,
        """SELECT key_id, created_at FROM heldtrue.api_keys
           WHERE tenant_id = %s AND environment = %s AND state = 'active' AND rolled_to IS NULL AND created_at <= %s
             AND (expires_at IS NULL OR expires_at > %s) AND (reminded_at IS NULL OR reminded_at <= %s)
           ORDER BY key_id LIMIT %s FOR UPDATE SKIP LOCKED""",
        [place.tenant_id, place.environment, created_before, now, reminded_before, limit],
    )


def mark_reminded(tx: TenantTx, place: Place, keys: Sequence[UUID], now: datetime) -> None:
    """Remember that the holders of *keys* were reminded at *now*."""
    tx.execute(
        """UPDATE heldtrue.api_keys SET reminded_at = %s
           WHERE tenant_id = %s AND environment = %s AND key_id = ANY(%s)""",
        [now, place.tenant_id, place.environment, list(keys)],
    )
