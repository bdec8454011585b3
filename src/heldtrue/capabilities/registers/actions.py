"""Record and read versions of items; each version is an entry in the log, in the same transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.ledger import model as log
from heldtrue.capabilities.registers import model, store
from heldtrue.capabilities.registers.model import Change, Entry, Kind, NothingToWithdrawError, UnknownItemError
from heldtrue.capabilities.tenants import actions as tenants
from heldtrue.capabilities.tenants.model import WHOLE
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.tx import SystemTx, TenantTx
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import LeafId
from heldtrue.op import SystemOperation

T = TypeVar("T", bound=msgspec.Struct)

ReadTx = SystemTx | TenantTx
"""Whoever reads public registers; private ones are the system's."""
PURPOSE = "registers"
_TABLE, _COLUMN = "register_sealed", "document_sealed"


class NoOperatorError(UnavailableError):
    """The operator's organisation does not exist yet; start the instance once, then try again."""

    code = "no-operator"


def put(op: SystemOperation, kind: Kind[T], item: str, document: T) -> Entry[T]:
    """Record *document* as the next version of *item*; return the version that stands where nothing would change.

    Raise what the kind's guard raises for a change that may not be made.
    """
    model.judge_item(item)
    store.lock(op.tx, kind.name)
    past = history(op.tx, kind, item, keyring(op, kind))
    change = Change(
        item=item, document=document, history=past, now=op.now,
        opened_at=store.opened_at(op.tx, kind.name, public=kind.public),
    )  # fmt: skip
    before = change.before
    if before is not None and kind.write(before.document) == kind.write(document):
        return before
    kind.guard(change)
    return _record(op, kind, item, len(past) + 1, document, None)


def withdraw(op: SystemOperation, kind: Kind[T], item: str, reason: str) -> Entry[T]:
    """Take *item* out of the register; what was recorded of it stays to be read."""
    store.lock(op.tx, kind.name)
    past = history(op.tx, kind, item, keyring(op, kind))
    change = Change(
        item=item, document=None, history=past, now=op.now,
        opened_at=store.opened_at(op.tx, kind.name, public=kind.public),
    )  # fmt: skip
    if change.before is None:
        raise NothingToWithdrawError(f"The register {kind.name} has no item {item[:80]!r}.")
    kind.guard(change)
    return _record(op, kind, item, len(past) + 1, change.before.document, reason)


def current(tx: ReadTx, kind: Kind[T], keys: TenantKeyring | None = None) -> list[Entry[T]]:
    """Return the items that stand, by name; a private register needs the operator's keys (`keyring`)."""
    return standing(tx, kind, None, keys)


def as_of(tx: ReadTx, kind: Kind[T], at: datetime, keys: TenantKeyring | None = None) -> list[Entry[T]]:
    """Return the items that stood at *at*, by name."""
    return standing(tx, kind, at, keys)


def standing(tx: ReadTx, kind: Kind[T], at: datetime | None, keys: TenantKeyring | None = None) -> list[Entry[T]]:
    """Return the items that stand, or stood at *at*, by name."""
    rows = store.newest(tx, kind.name, at, public=kind.public)
    return [_opened(kind, row, keys) for row in rows if row.withdrawn is None]


def history(tx: ReadTx, kind: Kind[T], item: str, keys: TenantKeyring | None = None) -> list[Entry[T]]:
    """Return every version of *item*, the oldest first; none where there never was one."""
    rows = sorted(store.versions(tx, kind.name, item, public=kind.public), key=lambda row: row.version)
    return [_opened(kind, row, keys) for row in rows]


def changes(tx: ReadTx, kind: Kind[T], keys: TenantKeyring | None = None) -> list[Entry[T]]:
    """Return every version of every item, the oldest first."""
    return [_opened(kind, row, keys) for row in store.versions(tx, kind.name, None, public=kind.public)]


def one(tx: ReadTx, kind: Kind[T], item: str, keys: TenantKeyring | None = None) -> Entry[T]:
    """Return what stands of *item*; raise `UnknownItemError`."""
    past = history(tx, kind, item, keys)
    if not past or past[-1].withdrawn is not None:
        raise UnknownItemError(f"The register {kind.name} has no item {item[:80]!r}.")
    return past[-1]


def keyring(op: SystemOperation, kind: Kind[Any]) -> TenantKeyring | None:
    """Return what opens the documents of *kind*: nothing where everybody reads them, else the operator's own keys."""
    if kind.public:
        return None
    operator = tenants.operator(op)
    if operator is None:
        raise NoOperatorError
    return op.keys_of(operator, WHOLE)


def _record(
    op: SystemOperation, kind: Kind[T], item: str, version: int, document: T, withdrawn: str | None
) -> Entry[T]:
    written = kind.write(document)
    full = model.entry_document(kind.name, item, version, written, withdrawn, op.now)
    keys = keyring(op, kind)
    if keys is None:
        leaf = ledger.append_clear(op.tx, log.Kind.REGISTER, full, op.now, op.entropy)
        row = store.Row(kind.name, item, version, None, withdrawn, leaf.value, op.now)
        store.insert_public(op.tx, row, written)
    else:
        leaf, packed = ledger.append_committed(op.tx, {"v": 1, "kind": "register", **full}, op.now, op.entropy)
        row = store.Row(kind.name, item, version, None, withdrawn, leaf.value, op.now)
        store.insert_private(op.tx, row, keys.seal(PURPOSE, _TABLE, _COLUMN, _place(row), packed))
    return Entry(
        register=kind.name, item=item, version=version, document=document, recorded_at=op.now, withdrawn=withdrawn,
        leaf=leaf,
    )  # fmt: skip


def _opened(kind: Kind[T], row: store.Row, keys: TenantKeyring | None) -> Entry[T]:
    if kind.public:
        written = row.document
    elif keys is None:
        raise TypeError(f"the register {kind.name} is private: pass the operator's keys")
    else:
        _, packed = log.unpack(keys.open(PURPOSE, _TABLE, _COLUMN, _place(row), row.document))
        written = log.parse_entry(packed)["document"]
    return Entry(
        register=row.register, item=row.item, version=row.version, document=kind.read(written),
        recorded_at=row.recorded_at, withdrawn=row.withdrawn, leaf=LeafId(row.leaf_id),
    )  # fmt: skip


def _place(row: store.Row) -> str:
    return f"{row.register}/{row.item}/{row.version}"
