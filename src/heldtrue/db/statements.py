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


class TenantTx(Statements):
    """A transaction that sees one organisation's environment and nothing else."""

    __slots__ = ()


class GroupTx(TenantTx):
    """A tenant's transaction for many operations at once: what they insert goes to the database together, at the end.

    It is for operations that only add rows: nothing of theirs can be read back before the commit.
    """

    __slots__ = ("_before", "_rows", "_tried")

    def __init__(self, conn: psycopg.Connection) -> None:
        super().__init__(conn)
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

    def ask(self, *questions: tuple[type[Any], LiteralString, Params]) -> list[list[Any]]:
        """Return the rows that answer each of *questions*, asked in this order and in one round trip."""
        with self._pipeline():
            cursors = [
                self._conn.cursor(row_factory=class_row(cls)).execute(query, params) for cls, query, params in questions
            ]
            return [cursor.fetchall() for cursor in cursors]

    def send(self) -> None:
        """Send what was kept, in one round trip."""
        with self._pipeline():
            for query, params in self._before:
                self._conn.execute(query, params)
            for into, rows in self._rows.items():
                super().insert(into, rows)

    @contextmanager
    def _pipeline(self) -> Generator[None]:
        """Send what the block asks in one round trip, and close the connection where that fails.

        The driver would take statements for prepared that the database passed over after the failing one (psycopg
        3.3.9), so that they failed for everybody who was lent this connection later.
        """
        try:
            with self._conn.pipeline():
                yield
        except psycopg.Error:
            self._conn.close()
            raise


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
