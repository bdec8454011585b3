"""Registers, kinds, entries and changes; how a document is written and read. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar, cast

import msgspec

from heldtrue.capabilities.ledger.model import instant
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError
from heldtrue.kernel.ids import LeafId

T = TypeVar("T", bound=msgspec.Struct)

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""The name of a register."""
ITEM = re.compile(r"[a-z0-9]([a-z0-9.-]{0,78}[a-z0-9])?")
"""The name of an item: letters, digits, dots and hyphens, at most 80."""


class UnknownRegisterError(NotFoundError):
    """There is no register of this name; `GET /v1/registers` lists those there are."""

    code = "unknown-register"


class UnknownItemError(NotFoundError):
    """The register has no such item, or it was withdrawn; list the register to see its items."""

    code = "unknown-item"


class MalformedItemError(BadInputError):
    """The name of an item is 1 to 80 of a-z, 0-9, dot and hyphen, beginning and ending with a letter or digit."""

    code = "malformed-item"


class DocumentRefusedError(BadInputError):
    """The document does not fit its register; the message names the member and what it should be."""

    code = "document-refused"


class NothingToWithdrawError(ConflictError):
    """The item is not in the register, so nothing can be withdrawn; list the register to see its items."""

    code = "nothing-to-withdraw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[T]):
    """One version of one item."""

    register: str
    item: str
    version: int
    """From 1, without gaps."""
    document: T
    """A withdrawal repeats the document that it withdraws."""
    recorded_at: datetime
    withdrawn: str | None = None
    """Why the item was taken out; None while it stands."""
    leaf: LeafId
    """Its entry in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[T]):
    """What is about to be recorded, for a guard to judge."""

    item: str
    document: T | None
    """None: the item is withdrawn."""
    history: Sequence[Entry[T]]
    """Every version before, the oldest first."""
    now: datetime
    opened_at: datetime | None
    """When the register got its first entry; None: this is the first. What one import brings has one time."""

    @property
    def before(self) -> Entry[T] | None:
        """The version that stands until now."""
        last = self.history[-1] if self.history else None
        return None if last is None or last.withdrawn is not None else last


def _accepts(_change: Change[Any]) -> None:
    """Let every change through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """A register: its name, what its documents are, whether everybody reads it, and what a change must keep to."""

    name: str
    title: str
    type: type[T]
    """A frozen `msgspec.Struct` that forbids unknown fields; later versions may only add optional members."""
    public: bool
    guard: Callable[[Change[T]], None] = _accepts
    """Raise a domain error for a change that may not be made."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not the name of a register")
        if not self.type.__struct_config__.forbid_unknown_fields:
            raise ValueError(f"documents of {self.name} must forbid unknown fields")

    def read(self, written: object) -> T:
        """Return the document of JSON values; raise `DocumentRefusedError` naming what does not fit."""
        try:
            return msgspec.convert(_plain(written), self.type)
        except msgspec.ValidationError as error:
            raise DocumentRefusedError(f"{self.name}: {error}") from error

    def write(self, document: T) -> dict[str, Any]:
        """Return *document* as JSON values: strings, integers, booleans, null, lists and objects."""
        if type(document) is not self.type:
            raise TypeError(f"the register {self.name} takes {self.type.__name__}, not {type(document).__name__}")
        return cast("dict[str, Any]", _plain(msgspec.to_builtins(document, builtin_types=(datetime, date))))


Kinds = Mapping[str, Kind[Any]]
"""Every register by its name."""


def table(*parts: Sequence[Kind[Any]]) -> Kinds:
    """Return the kinds of all capabilities as one table; a name belongs to one of them."""
    joined: dict[str, Kind[Any]] = {}
    for kind in (kind for part in parts for kind in part):
        if kind.name in joined:
            raise ValueError(f"two registers are called {kind.name}")
        joined[kind.name] = kind
    return joined


def named(kinds: Kinds, register: str) -> Kind[Any]:
    """Return the kind of that name; raise `UnknownRegisterError`."""
    found = kinds.get(register)
    if found is None:
        raise UnknownRegisterError(
            f"There is no register {register[:40]!r}.", advice=f"There are: {', '.join(sorted(kinds))}."
        )
    return found


def judge_item(item: str) -> None:
    """Return when *item* can be the name of one; raise `MalformedItemError`."""
    if not ITEM.fullmatch(item):
        raise MalformedItemError(f"{item[:80]!r} cannot be the name of an item.")


def entry_document(
    kind: str, item: str, version: int, document: Mapping[str, Any], withdrawn: str | None, at: datetime
) -> dict[str, Any]:
    """Return the members of a version's entry in the log, beside `v` and `kind` (docs/spec/registers.md)."""
    return {
        "register": kind,
        "item": item,
        "version": version,
        "document": dict(document),
        "withdrawn": withdrawn,
        "at": instant(at),
    }


def _plain(value: object) -> object:
    """Return *value* with every moment and day written as text."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise DocumentRefusedError(f"{value.isoformat()} has no time zone; write it as 2026-11-22T12:00:00Z.")
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in cast("dict[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast("list[object]", value)]
    return value
