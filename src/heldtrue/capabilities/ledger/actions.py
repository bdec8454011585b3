"""What other capabilities append to the ledger and read from it, each within the caller's own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from heldtrue.capabilities.ledger import model, store
from heldtrue.capabilities.ledger.model import DocumentKind, Kind
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.crypto.sealing import DataKey
from heldtrue.db.tx import SystemTx, TenantTx
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import CryptoKeyId, Entropy, LeafId, RequestId, TenantId
from heldtrue.op import Actor, AuditEvent, Operation

PURPOSE = "ledger"
_TABLE, _COLUMN = "ledger_documents", "sealed"


class DocumentErasedError(NotFoundError):
    """The document was erased; its commitment stays in the log, and nothing leads from it back to the content."""

    code = "document-erased"


def append_clear(
    tx: TenantTx | SystemTx, kind: str, document: Mapping[str, Any], now: datetime, entropy: Entropy
) -> LeafId:
    """Append an entry that everybody may read: `key`, `schedule`, `intent`, `evidence`, `anonymous`."""
    leaf = LeafId.new(now, entropy)
    store.add_pending(tx, leaf, model.clear_entry(kind, document), now)
    return leaf


def append_tenant(
    tx: TenantTx | SystemTx,
    keys: TenantKeyring,
    tenant: TenantId,
    environment: str,
    kind: str,
    event: str,
    document: Mapping[str, Any],
    now: datetime,
    entropy: Entropy,
    object_key: CryptoKeyId | None = None,
) -> LeafId:
    """Append a commitment to an organisation's *document*, and keep the document, sealed, in its own rows.

    With *object_key* the document is sealed under that object's key and goes with it; else under the organisation's
    ledger key.
    """
    leaf, salt = LeafId.new(now, entropy), entropy(model.SALT_SIZE)
    written = model.canonical(document)
    packed = model.pack(salt, written)
    if object_key is None:
        sealed = keys.seal(PURPOSE, _TABLE, _COLUMN, str(leaf.value), packed)
    else:
        sealed = keys.seal_object(keys.object_key(object_key), _TABLE, _COLUMN, str(leaf.value), packed)
    store.add_document(tx, tenant, environment, leaf, DocumentKind(kind), event, object_key, sealed, now)
    store.add_pending(tx, leaf, model.tenant_entry(model.commitment(salt, written)), now)
    return leaf


def append_committed(
    tx: TenantTx | SystemTx, document: Mapping[str, Any], now: datetime, entropy: Entropy
) -> tuple[LeafId, bytes]:
    """Append a commitment to *document*, which the caller keeps: return the leaf, and salt and document packed."""
    leaf, salt = LeafId.new(now, entropy), entropy(model.SALT_SIZE)
    written = model.canonical(document)
    store.add_pending(tx, leaf, model.tenant_entry(model.commitment(salt, written)), now)
    return leaf, model.pack(salt, written)


@dataclass(frozen=True, slots=True)
class AuditBatch:
    """What happened to one organisation's environment, many times over, as one document."""

    keys: TenantKeyring
    tenant: TenantId
    environment: str
    written: bytes
    """The document, as `write_audit` returns it."""


def write_audit(
    tenant: TenantId, environment: str, actor: Actor, request: RequestId | None, now: datetime, event: AuditEvent
) -> bytes:
    """Return the document of an audit event, canonical."""
    return model.canonical(model.audit_document(tenant, environment, actor, request, now, event))


def append_batches(
    tx: SystemTx, event: str, batches: Sequence[AuditBatch], now: datetime, entropy: Entropy
) -> list[LeafId]:
    """Append one document and one commitment for each of *batches*, all of them audit documents of *event*.

    Costs one round trip, however many they are; each is sealed under its organisation's ledger key.
    """
    leaves: list[LeafId] = []
    rows: list[tuple[TenantId, str, LeafId, bytes, bytes]] = []
    for batch in batches:
        leaf, salt = LeafId.new(now, entropy), entropy(model.SALT_SIZE)
        packed = model.pack(salt, batch.written)
        sealed = batch.keys.seal(PURPOSE, _TABLE, _COLUMN, str(leaf.value), packed)
        entry = model.tenant_entry(model.commitment(salt, batch.written))
        rows.append((batch.tenant, batch.environment, leaf, sealed, entry))
        leaves.append(leaf)
    store.add_documents(tx, DocumentKind.AUDIT, event, rows, now)
    return leaves


def append_audit(
    tx: TenantTx | SystemTx,
    keys: TenantKeyring,
    tenant: TenantId,
    environment: str,
    actor: Actor,
    request: RequestId | None,
    now: datetime,
    entropy: Entropy,
    event: AuditEvent,
) -> LeafId:
    """Append what happened to the ledger of *tenant*: one document, one commitment."""
    document = model.audit_document(tenant, environment, actor, request, now, event)
    return append_tenant(
        tx, keys, tenant, environment, DocumentKind.AUDIT, event.event, document, now, entropy, event.object_key
    )


class Appender:
    """What one operation appends to its organisation's ledger, collected and written in one round trip by `flush`.

    Nothing of it is there before: flush before the transaction ends.
    """

    __slots__ = ("_entropy", "_environment", "_keys", "_now", "_rows", "_tenant", "_tx")

    def __init__(
        self, tx: TenantTx, keys: TenantKeyring, tenant: TenantId, environment: str, now: datetime, entropy: Entropy
    ) -> None:
        self._tx, self._keys, self._tenant, self._environment = tx, keys, tenant, environment
        self._now, self._entropy = now, entropy
        self._rows: list[tuple[LeafId, str, str, CryptoKeyId | None, bytes, bytes]] = []

    def append(self, kind: str, event: str, document: Mapping[str, Any], object_key: DataKey | None = None) -> LeafId:
        """Collect a *document* and the commitment to it; with *object_key* it goes when that object is erased."""
        leaf, salt = LeafId.new(self._now, self._entropy), self._entropy(model.SALT_SIZE)
        written = model.canonical(document)
        packed, name = model.pack(salt, written), str(leaf.value)
        if object_key is None:
            sealed = self._keys.seal(PURPOSE, _TABLE, _COLUMN, name, packed)
        else:
            sealed = self._keys.seal_object(object_key, _TABLE, _COLUMN, name, packed)
        entry = model.tenant_entry(model.commitment(salt, written))
        self._rows.append((leaf, DocumentKind(kind), event, object_key and object_key.id, sealed, entry))
        return leaf

    def audit(self, actor: Actor, request: RequestId | None, event: AuditEvent) -> LeafId:
        """Collect what happened."""
        key = None if event.object_key is None else self._keys.object_key(event.object_key)
        document = model.audit_document(self._tenant, self._environment, actor, request, self._now, event)
        return self.append(DocumentKind.AUDIT, event.event, document, key)

    def flush(self) -> None:
        """Write what was collected."""
        if self._rows:
            store.add_many(self._tx, self._tenant, self._environment, self._rows, self._now)
            self._rows.clear()


def append_refused(
    tx: SystemTx,
    minute: datetime,
    count: int,
    reasons: Mapping[str, int],
    sources: int,
    now: datetime,
    entropy: Entropy,
) -> LeafId:
    """Append one minute's count of refused anonymous requests, in clear and without any address."""
    return append_clear(tx, Kind.ANONYMOUS, model.anonymous_document(minute, count, reasons, sources), now, entropy)


def read_document(op: Operation, leaf: LeafId) -> tuple[dict[str, Any], bytes]:
    """Return the document that *leaf* commits to, and the salt of the commitment.

    Raise `NotFoundError` where the organisation has no such entry, `DocumentErasedError` once it was erased, and
    `KeyDestroyedError` once the object it was sealed with was.
    """
    row = store.document(op.tx, leaf)
    if row is None:
        raise NotFoundError(f"the ledger has no entry {leaf} of this organisation and environment")
    return open_document(op.keys, row)


def open_document(keys: TenantKeyring, row: store.DocumentRow) -> tuple[dict[str, Any], bytes]:
    """Return document and salt of a stored row."""
    if row.sealed is None:
        raise DocumentErasedError
    name = str(row.leaf_id)
    if row.object_key_id is None:
        packed = keys.open(PURPOSE, _TABLE, _COLUMN, name, row.sealed)
    else:
        packed = keys.open_object(keys.object_key(CryptoKeyId(row.object_key_id)), _TABLE, _COLUMN, name, row.sealed)
    salt, written = model.unpack(packed)
    return model.parse_entry(written), salt


def erase(op: Operation, leaf: LeafId) -> None:
    """Forget a document of the caller's organisation; every proof over its commitment stays valid."""
    if store.erase(op.tx, leaf) == 0:
        raise NotFoundError(f"the ledger has no entry {leaf} of this organisation and environment")
