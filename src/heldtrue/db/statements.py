"""What can be done within an open transaction, by whose it is: unrelated types, so that none passes for another."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import class_row

from heldtrue.db.columns import Insert

T = TypeVar("T")
Params = Sequence[object] | None
Question = tuple[type[Any], LiteralString, Params]
"""What the rows of the answer are made, a query and its parameters."""


class Statements:
    """Statements of one open transaction."""

    __slots__ = ("_conn",)

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn

    def execute(self, query: LiteralString, params: Params = None) -> int:
        """Run a statement and return how many rows it touched."""
        return self._conn.execute(query, params).rowcount

    def one(self, cls: type[T], query: LiteralString, params: Params = None) -> T | None:
        """Return the first row as a *cls*, made of the columns by name; None when there is none."""
        with self._conn.cursor(row_factory=class_row(cls)) as cursor:
            return cursor.execute(query, params).fetchone()

    def many(self, cls: type[T], query: LiteralString, params: Params = None) -> list[T]:
        """Return all rows, each as a *cls*."""
        with self._conn.cursor(row_factory=class_row(cls)) as cursor:
            return cursor.execute(query, params).fetchall()

    def value(self, query: LiteralString, params: Params = None) -> Any:
        """Return the first column of the first row; None when there is no row."""
        row = self._conn.execute(query, params).fetchone()
        return None if row is None else row[0]

    def batch(self, query: LiteralString, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each of *rows*, pipelined."""
        with self._conn.cursor() as cursor:
            cursor.executemany(query, rows)

    def insert(self, into: Insert, rows: Sequence[Sequence[object]]) -> None:
        """Insert *rows*, which are not none, by one statement."""
        self._conn.execute(into.query, into.columns(rows))

    def later(self, query: LiteralString, params: Params = None) -> None:
        """Run a statement before anything is inserted after it; here at once."""
        self._conn.execute(query, params)

    def commit(self) -> psycopg.Cursor[Any]:
        """Commit; who opened the transaction does."""
        return self._conn.execute("COMMIT")


class TenantTx(Statements):
    """A transaction that sees one organisation's environment and nothing else."""

    __slots__ = ()


class Group(Statements):
    """A transaction of two round trips: what is asked goes with its beginning, what is inserted with its commit.

    It is for operations that only add rows: nothing of theirs can be read back before the commit. A connection on
    which a pipeline failed is not used again (`heldtrue.db.tx`).
    """

    __slots__ = ("_before", "_rows", "_tried", "told")

    def __init__(self, conn: psycopg.Connection, told: list[list[Any]]) -> None:
        super().__init__(conn)
        self.told = told
        """The rows that answer each question, in the order in which they were asked."""
        self._before: list[tuple[LiteralString, Params]] = []
        self._rows: dict[Insert, list[Sequence[object]]] = {}
        self._tried: list[tuple[Insert, Sequence[Sequence[object]]]] | None = None

    def insert(self, into: Insert, rows: Sequence[Sequence[object]]) -> None:
        """Keep *rows* for the end."""
        if self._tried is not None:
            self._tried.append((into, rows))
        else:
            self._rows.setdefault(into, []).extend(rows)

    def later(self, query: LiteralString, params: Params = None) -> None:
        """Keep a statement for the end, before the inserts."""
        self._before.append((query, params))

    @contextmanager
    def member(self) -> Generator[None]:
        """Keep what the block inserts if it ends well; what it raises drops its rows alone."""
        self._tried = tried = []
        try:
            yield
        finally:
            self._tried = None
        for into, rows in tried:
            self.insert(into, rows)

    def send(self) -> None:
        """Send what was kept; within a pipeline, it is sent with what follows."""
        for query, params in self._before:
            self._conn.execute(query, params)
        for into, rows in self._rows.items():
            super().insert(into, rows)

    def commit(self) -> psycopg.Cursor[Any]:
        """Send what was kept, and commit: the database passes the commit over where anything before it failed."""
        with self._conn.pipeline():
            self.send()
            return super().commit()


class GroupTx(Group, TenantTx):
    """A tenant's transaction for many operations at once."""

    __slots__ = ()


class EdgeTx(Statements):
    """A transaction that sees the columns by which credentials and links are judged, of all organisations."""

    __slots__ = ()


class SystemTx(Statements):
    """A transaction of the machinery: queues, registers and the log; no organisation's content."""

    __slots__ = ()

    def copy(self, statement: LiteralString, rows: Iterable[Sequence[object]]) -> int:
        """Run `COPY … FROM STDIN` with *rows* and return how many went in."""
        with self._conn.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
            return cursor.rowcount


class SystemGroupTx(Group, SystemTx):
    """The machinery's transaction for many organisations at once."""

    __slots__ = ()
