"""What the operator does with registers over the API: read, record, withdraw, import all or nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from heldtrue.capabilities.registers import actions, model
from heldtrue.capabilities.registers.model import Kind, Kinds
from heldtrue.capabilities.registers.wire import (
    AskItem,
    AskRegister,
    EntryList,
    Imported,
    ImportItems,
    ImportOutcome,
    Proposed,
    PutItem,
    RegisterList,
    RegisterRecord,
    WithdrawItem,
    record_of,
)
from heldtrue.http.exchange import Answer
from heldtrue.kernel.errors import BadInputError, ConflictError, HeldtrueError, NotFoundError
from heldtrue.op import SystemOperation


class ImportRefusedError(BadInputError):
    """Some entries of the import may not be recorded, so none was; the message names them. Try a dry run first."""

    code = "import-refused"


def list_registers(kinds: Kinds, op: SystemOperation) -> RegisterList:
    """List every register with the schema of its documents and how many items stand."""
    return RegisterList(data=[_summary(op, kinds[name]) for name in sorted(kinds)])


def list_items(kinds: Kinds, op: SystemOperation, asked: AskRegister) -> Answer:
    """List the items that stand, or stood at a time, by name."""
    kind = model.named(kinds, asked.register)
    keys = actions.keyring(op, kind)
    found = actions.standing(op.tx, kind, asked.as_of, keys)
    return Answer(body=EntryList(data=[record_of(kind, entry) for entry in found]), subject=kind.name)


def show_item(kinds: Kinds, op: SystemOperation, asked: AskItem) -> Answer:
    """Return what stands of an item."""
    kind = model.named(kinds, asked.register)
    found = actions.one(op.tx, kind, asked.item, actions.keyring(op, kind))
    return Answer(body=record_of(kind, found), subject=_subject(kind, asked.item))


def show_history(kinds: Kinds, op: SystemOperation, asked: AskItem) -> Answer:
    """Return every version of an item, the oldest first."""
    kind = model.named(kinds, asked.register)
    found = actions.history(op.tx, kind, asked.item, actions.keyring(op, kind))
    if not found:
        raise model.UnknownItemError(f"The register {kind.name} never had an item {asked.item[:80]!r}.")
    return Answer(body=EntryList(data=[record_of(kind, entry) for entry in found]), subject=_subject(kind, asked.item))


def put_item(kinds: Kinds, op: SystemOperation, asked: PutItem) -> Answer:
    """Record the next version of an item; nothing is recorded where nothing would change."""
    kind = model.named(kinds, asked.register)
    entry = actions.put(op, kind, asked.item, kind.read(asked.document))
    return Answer(
        body=record_of(kind, entry), subject=_subject(kind, asked.item), detail={"version": entry.version}
    )  # fmt: skip


def withdraw_item(kinds: Kinds, op: SystemOperation, asked: WithdrawItem) -> Answer:
    """Take an item out of its register."""
    kind = model.named(kinds, asked.register)
    entry = actions.withdraw(op, kind, asked.item, asked.reason)
    return Answer(
        body=record_of(kind, entry), subject=_subject(kind, asked.item), detail={"version": entry.version}
    )  # fmt: skip


def import_items(kinds: Kinds, op: SystemOperation, asked: ImportItems) -> Answer:
    """Record many items at one time: all of them, or none. A dry run says what would become of each."""
    twice = [name for name, count in Counter((one.register, one.item) for one in asked.entries).items() if count > 1]
    if twice:
        raise ImportRefusedError(f"{'/'.join(twice[0])} stands twice in the import; send it once.")
    op.tx.execute("SAVEPOINT import_items")
    found = [_import_one(kinds, op, one) for one in asked.entries]
    refused = [one for one in found if one.refusal is not None]
    if refused and not asked.dry_run:
        told = "; ".join(f"{one.register}/{one.item}: {one.refusal}" for one in refused[:10])
        raise ImportRefusedError(f"{len(refused)} of {len(found)} entries may not be recorded, so none was. {told}")
    if asked.dry_run:
        op.tx.execute("ROLLBACK TO SAVEPOINT import_items")
    counts = Counter(one.outcome for one in found)
    return Answer(
        body=ImportOutcome(recorded=not asked.dry_run, data=found), detail={"dry_run": asked.dry_run, **counts}
    )  # fmt: skip


def _import_one(kinds: Kinds, op: SystemOperation, one: Proposed) -> Imported:
    try:
        kind = model.named(kinds, one.register)
        document = kind.read(one.document)
        model.judge_item(one.item)
        past = actions.history(op.tx, kind, one.item, actions.keyring(op, kind))
        entry = actions.put(op, kind, one.item, document)
    except (BadInputError, ConflictError, NotFoundError) as error:
        refusal = _sentence(error)
        return Imported(register=one.register, item=one.item, outcome="refused", refusal=refusal)
    outcome = "unchanged" if entry.version == len(past) else "changed" if past else "new"
    return Imported(register=one.register, item=one.item, outcome=outcome, version=entry.version)


def _summary(op: SystemOperation, kind: Kind[Any]) -> RegisterRecord:
    return RegisterRecord(
        register=kind.name, title=kind.title, public=kind.public,
        items=len(actions.current(op.tx, kind, actions.keyring(op, kind))),
        schema=msgspec.json.schema(kind.type),
    )  # fmt: skip


def _subject(kind: Kind[Any], item: str) -> str:
    return f"{kind.name}/{item}"


def _sentence(error: HeldtrueError) -> str:
    return f"{error.message} {error.advice}".strip()
