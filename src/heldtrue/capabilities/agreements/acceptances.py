"""Acceptances: which version of a text an organisation accepted, its hash, who and when."""

from __future__ import annotations

from collections.abc import Sequence

from heldtrue.capabilities.agreements import legal, store
from heldtrue.capabilities.agreements.legal import LEGAL, NAMES, LegalText
from heldtrue.capabilities.agreements.wire import AcceptanceRecord, AcceptText, ListAcceptances
from heldtrue.capabilities.registers import actions as registers
from heldtrue.capabilities.registers.model import Entry
from heldtrue.db.tx import Database
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import AcceptanceId
from heldtrue.op import Operation

PURPOSE, _TABLE, _COLUMN = "acceptances", "acceptances", "accepted_by_sealed"


class UnknownTextError(NotFoundError):
    """There is no text of this name; `/trust/legal.json` lists those there are."""

    code = "unknown-text"


def accept_text(database: Database, op: Operation, asked: AcceptText) -> Answer:
    """Accept the version of a text that is in force, or announced, for the caller's organisation."""
    if asked.item not in NAMES:
        raise UnknownTextError
    found = legal.admit(_history(database, asked.item), asked.version, asked.sha256, op.now.date())
    made = AcceptanceId.new(op.now, op.entropy)
    sealed = op.keys.seal(PURPOSE, _TABLE, _COLUMN, str(made.value), asked.accepted_by.encode())
    row = store.AcceptanceRow(made.value, found.item, found.number, found.sha256, sealed, op.now)
    store.insert_acceptance(op.tx, op.tenant.value, op.environment, row)
    return Answer(body=_record(op, row), subject=str(made), detail={"item": found.item, "version": found.number})


def list_acceptances(op: Operation, asked: ListAcceptances) -> Listing[AcceptanceRecord]:
    """List what the organisation accepted, the newest first."""
    rows = store.acceptances(op.tx, op.tenant.value, op.environment, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: _record(op, row), lambda row: row.acceptance_id)


def _history(database: Database, item: str) -> Sequence[Entry[LegalText]]:
    """Return the versions of a text; the register is the operator's, so it is read in a transaction of the system."""
    with database.system() as tx:
        return registers.history(tx, LEGAL, item)


def _record(op: Operation, row: store.AcceptanceRow) -> AcceptanceRecord:
    who = op.keys.open(PURPOSE, _TABLE, _COLUMN, str(row.acceptance_id), row.accepted_by_sealed).decode()
    return AcceptanceRecord(
        id=str(AcceptanceId(row.acceptance_id)), item=row.item, version=row.version, sha256=row.sha256,
        accepted_by=who, accepted_at=row.accepted_at,
    )  # fmt: skip
