"""What the routes of registers take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from heldtrue.capabilities.registers.model import Entry, Kind

MOST = 2000
"""Entries that one import may bring."""

_ItemName = Annotated[str, msgspec.Meta(max_length=80, description="a-z, 0-9, dot and hyphen.")]
_Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="Why; everybody reads it.")]


class AskRegister(msgspec.Struct, frozen=True, kw_only=True):
    """Which register, and as it stood when."""

    register: str
    as_of: Annotated[datetime, msgspec.Meta(tz=True, description="As the register stood then.")] | None = None


class AskItem(msgspec.Struct, frozen=True, kw_only=True):
    """Which item of which register."""

    register: str
    item: _ItemName


class PutItem(msgspec.Struct, frozen=True, kw_only=True):
    """What an item shall be from now on."""

    register: str
    item: _ItemName
    document: Annotated[dict[str, Any], msgspec.Meta(description="As the register's schema wants it.")]


class WithdrawItem(msgspec.Struct, frozen=True, kw_only=True):
    """Which item is taken out, and why."""

    register: str
    item: _ItemName
    reason: _Reason = "No reason was given."


class Proposed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One item of an import."""

    register: str
    item: _ItemName
    document: dict[str, Any]


class ImportItems(msgspec.Struct, frozen=True, kw_only=True):
    """Items to record together: all of them, or none."""

    entries: Annotated[list[Proposed], msgspec.Meta(min_length=1, max_length=MOST)]
    dry_run: Annotated[bool, msgspec.Meta(description="Say what would happen; record nothing.")] = False


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one item of an import."""

    register: str
    item: str
    outcome: str
    """`new`, `changed`, `unchanged` or `refused`."""
    version: int | None = None
    refusal: str | None = None
    """Why it was refused, and what to do."""


class ImportOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an import."""

    recorded: bool
    """False for a dry run."""
    data: list[Imported]


class EntryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one item."""

    register: str
    item: str
    version: int
    document: dict[str, Any]
    recorded_at: datetime
    withdrawn: str | None
    """Why it was taken out; null while it stands."""
    leaf_id: str
    """Its entry in the log."""


class EntryList(msgspec.Struct, frozen=True, kw_only=True):
    """Items of a register, by name; or versions of an item, the oldest first."""

    data: list[EntryRecord]


class RegisterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A register there is."""

    register: str
    title: str
    public: bool
    """Whether its entries stand in the log in clear; otherwise the log has commitments to them."""
    items: int
    schema: dict[str, Any]
    """JSON schema of its documents."""


class RegisterList(msgspec.Struct, frozen=True, kw_only=True):
    """Every register, by name."""

    data: list[RegisterRecord]


def record_of(kind: Kind[Any], entry: Entry[Any]) -> EntryRecord:
    """Return *entry* as it is answered."""
    return EntryRecord(
        register=entry.register, item=entry.item, version=entry.version, document=kind.write(entry.document),
        recorded_at=entry.recorded_at, withdrawn=entry.withdrawn, leaf_id=str(entry.leaf),
    )  # fmt: skip
