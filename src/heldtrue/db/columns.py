"""Many rows as one parameter a column: arrays in PostgreSQL's binary format, for `INSERT … SELECT … FROM unnest(…)`.

Drivers write arrays value by value through a dumper each; for rows by the thousand that costs more than to insert them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, LiteralString
from uuid import UUID

import psycopg
from psycopg.abc import Buffer, DumperKey
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format

Type = Literal["uuid", "text", "bytea", "int", "bigint", "timestamptz"]

_MARKS: dict[Type, type] = {
    "uuid": UUID, "text": str, "bytea": bytes, "int": bool, "bigint": int, "timestamptz": datetime,
}  # fmt: skip
"""What psycopg tells the dumpers of the types apart by: it wants Python types."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTH = struct.Struct(">i")
_HEADER = struct.Struct(">iiIii")
_NULL = _LENGTH.pack(-1)


def _instant(value: datetime) -> bytes:
    return struct.pack(">q", (value - _EPOCH) // _MICROSECOND)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the values of a type are written (PostgreSQL, `array_recv` and each type's `recv`)."""

    oid: int
    array: int
    write: Callable[[Any], bytes]


_KINDS: dict[Type, _Kind] = {
    "uuid": _Kind(2950, 2951, lambda value: value.bytes),
    "text": _Kind(25, 1009, str.encode),
    "bytea": _Kind(17, 1001, bytes),
    "int": _Kind(23, 1007, struct.Struct(">i").pack),
    "bigint": _Kind(20, 1016, struct.Struct(">q").pack),
    "timestamptz": _Kind(1184, 1185, _instant),
}


@dataclass(frozen=True, slots=True)
class Insert:
    """A table's insert: a query over `unnest`, and the types of its parameters, each of them a column."""

    query: LiteralString
    types: tuple[Type, ...]

    def columns(self, rows: Sequence[Sequence[object]]) -> list[Column]:
        """Return *rows* as the query's parameters."""
        return [Column(kind, values) for kind, values in zip(self.types, zip(*rows, strict=True), strict=True)]


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one column, None for NULL."""

    kind: Type
    values: Sequence[Any]

    def array(self) -> bytes:
        """Return them as an array of one dimension."""
        kind, values = _KINDS[self.kind], self.values
        head = _HEADER.pack(1, int(None in values), kind.oid, len(values), 1)
        first = values[0]
        if all(value is first for value in values):
            return head + self._element(kind, first) * len(values)
        return head + b"".join([self._element(kind, value) for value in values])

    @staticmethod
    def _element(kind: _Kind, value: Any) -> bytes:
        if value is None:
            return _NULL
        written = kind.write(value)
        return _LENGTH.pack(len(written)) + written


class _ColumnDumper(Dumper):
    """Hands a column to libpq as an array of its type."""

    format = Format.BINARY

    def get_key(self, obj: Column, format: PyFormat) -> DumperKey:  # noqa: A002, ARG002 - the protocol's names
        """Return what the dumper of this type is kept under."""
        return (self.cls, _MARKS[obj.kind])

    def upgrade(self, obj: Column, format: PyFormat) -> _ColumnDumper:  # noqa: A002, ARG002
        """Return the dumper of the column's type."""
        dumper = _ColumnDumper(self.cls)
        dumper.oid = _KINDS[obj.kind].array
        return dumper

    def dump(self, obj: Column) -> Buffer:
        """Return the array."""
        return obj.array()


def register(connection: psycopg.Connection) -> None:
    """Let *connection* take columns."""
    connection.adapters.register_dumper(Column, _ColumnDumper)
