"""What the annexes of the processing agreement list, read from the register when they are made."""

from __future__ import annotations

from heldtrue.capabilities.agreements.dpa import AnnexEntry
from heldtrue.capabilities.registers import actions
from heldtrue.capabilities.registers.kinds import SUB_PROCESSORS
from heldtrue.capabilities.registers.model import Entry
from heldtrue.capabilities.registers.subprocessors import SubProcessor
from heldtrue.db.tx import SystemTx


def sub_processors(tx: SystemTx) -> list[AnnexEntry]:
    """Return the sub-processors that stand, by name."""
    return [listed(entry) for entry in actions.current(tx, SUB_PROCESSORS)]


def listed(entry: Entry[SubProcessor]) -> AnnexEntry:
    """Return a sub-processor of the register as the annex lists it."""
    found, terms = entry.document, entry.document.terms
    return AnnexEntry(
        item=entry.item, version=entry.version, name=found.name, address=found.address, contact=found.contact,
        purpose=terms.purpose, location=list(terms.location), transfer_basis=str(terms.transfer_basis),
        data=list(terms.data), optional=terms.optional, state=str(found.state),
    )  # fmt: skip
