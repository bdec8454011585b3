"""The rows of API keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from heldtrue.capabilities.access.model import ApiKey, Credential
from heldtrue.crypto.tokens import KeyType
from heldtrue.db.tx import EdgeTx, SystemTx, TenantTx
from heldtrue.kernel.ids import KeyId, TenantId
from heldtrue.policy.permissions import Permission, Role


@dataclass(frozen=True, slots=True)
class _CredentialRow:
    key_id: UUID
    tenant_id: UUID
    environment: str
    type: str
    role: str
    scopes: list[str] | None
    state: str
    organisation_state: str
    expires_at: datetime | None


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

    def key(self) -> ApiKey:
        """Return the key."""
        return ApiKey(
            KeyId(self.key_id), TenantId(self.tenant_id), self.environment, cast("KeyType", self.type), Role(self.role),
            _scopes(self.scopes), self.digest, self.last4, self.state, self.created_at, self.expires_at,
            self.revoked_at, self.rolled_to,
        )  # fmt: skip


def find(tx: EdgeTx, digest: bytes) -> Credential | None:
    """Return what is known of the key of this digest."""
    row = tx.one(
        _CredentialRow,
        """SELECT k.key_id, k.tenant_id, k.environment, k.type, k.role, k.scopes, k.state,
                  o.state AS organisation_state, k.expires_at
           FROM heldtrue.api_keys k JOIN heldtrue.organisations o USING (tenant_id) WHERE k.digest = %s""",
        [digest],
    )
    if row is None:
        return None
    return Credential(
        KeyId(row.key_id), TenantId(row.tenant_id), row.environment, cast("KeyType", row.type), Role(row.role),
        _scopes(row.scopes), row.state, row.organisation_state, row.expires_at,
    )  # fmt: skip


def insert(tx: TenantTx | SystemTx, key: ApiKey, name_sealed: bytes) -> None:
    """Add a key."""
    tx.execute(
        """INSERT INTO heldtrue.api_keys (tenant_id, environment, key_id, type, role, scopes, digest, last4,
             name_sealed, state, created_at, expires_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            key.tenant.value, key.environment, key.id.value, key.type, key.role.value,
            None if key.scopes is None else sorted(key.scopes), key.digest, key.last4, name_sealed, key.state,
            key.created_at, key.expires_at,
        ],
    )  # fmt: skip


def get_locked(tx: TenantTx, tenant: TenantId, environment: str, key: KeyId) -> KeyRow | None:
    """Return a key, locked until the transaction ends."""
    return tx.one(
        KeyRow,
        """SELECT key_id, tenant_id, environment, type, role, scopes, digest, last4, name_sealed, state, created_at,
                  expires_at, revoked_at, rolled_to
           FROM heldtrue.api_keys WHERE tenant_id = %s AND environment = %s AND key_id = %s FOR UPDATE""",
        [tenant.value, environment, key.value],
    )


def predecessors(tx: TenantTx, tenant: TenantId, environment: str, key: KeyId) -> list[KeyRow]:
    """Return the keys that were rolled to *key*."""
    return tx.many(
        KeyRow,
        """SELECT key_id, tenant_id, environment, type, role, scopes, digest, last4, name_sealed, state, created_at,
                  expires_at, revoked_at, rolled_to
           FROM heldtrue.api_keys WHERE tenant_id = %s AND environment = %s AND rolled_to = %s""",
        [tenant.value, environment, key.value],
    )


def page(tx: TenantTx, tenant: TenantId, environment: str, after: UUID | None, limit: int) -> list[KeyRow]:
    """Return up to *limit* keys older than *after*, the newest first."""
    return tx.many(
        KeyRow,
        """SELECT key_id, tenant_id, environment, type, role, scopes, digest, last4, name_sealed, state, created_at,
                  expires_at, revoked_at, rolled_to
           FROM heldtrue.api_keys
           WHERE tenant_id = %s AND environment = %s AND (%s::uuid IS NULL OR key_id < %s::uuid)
           ORDER BY key_id DESC LIMIT %s""",
        [tenant.value, environment, after, after, limit],
    )


def update(tx: TenantTx, key: ApiKey) -> None:
    """Store what may change of a key: its state, its end and its successor."""
    tx.execute(
        """UPDATE heldtrue.api_keys SET state = %s, expires_at = %s, revoked_at = %s, rolled_to = %s
           WHERE tenant_id = %s AND environment = %s AND key_id = %s""",
        [
            key.state, key.expires_at, key.revoked_at, key.rolled_to,
            key.tenant.value, key.environment, key.id.value,
        ],
    )  # fmt: skip


def _scopes(scopes: list[str] | None) -> frozenset[Permission] | None:
    return None if scopes is None else frozenset(Permission(scope) for scope in scopes)
