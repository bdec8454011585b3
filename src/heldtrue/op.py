"""The operation: everything an action may know of the world, passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.tx import SystemTx, TenantTx
from heldtrue.kernel.ids import CryptoKeyId, Entropy, KeyId, LeafId, RequestId, TenantId
from heldtrue.policy.permissions import Permission, Role


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a key of an organisation, the operator, or the system itself."""

    kind: str
    """`key`, `link` (holder of an unguessable link), or `system` (a job)."""
    tenant: TenantId
    environment: str
    key: KeyId | None = None
    role: Role | None = None
    permissions: frozenset[Permission] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One thing that happened, as it is recorded: closed words and ids, no free text of a customer."""

    event: str
    subject: str | None = None
    detail: Mapping[str, Any] | None = None
    object_key: CryptoKeyId | None = None
    """Seal the document under this object's key, so that it goes when the object is erased."""


Record = Callable[[AuditEvent], LeafId]
"""Append an audit event to the ledger, in the operation's own transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation on one organisation's environment; its transaction sees nothing else."""

    actor: Actor
    tenant: TenantId
    environment: str
    now: datetime
    entropy: Entropy
    tx: TenantTx
    keys: TenantKeyring
    record: Record
    request: RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemOperation:
    """An operation of the operator over organisations; it sees no organisation's payloads, only their registers."""

    actor: Actor
    now: datetime
    entropy: Entropy
    tx: SystemTx
    keys_of: Callable[[TenantId, str], TenantKeyring]
    """The keyring of an organisation's environment; `""` for what belongs to the organisation as a whole."""
    record_for: Callable[[TenantId, str, AuditEvent], LeafId]
    """Append an audit event to the ledger of that organisation and environment."""
    request: RequestId
