"""Direct connections for attacks in SQL: as one of the application's roles, always rolled back, never waiting long."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import errors, sql

from heldtrue.attack import AttackHinderedError
from heldtrue.kernel.secret import Secret

OPTIONS = (
    "-c lock_timeout=2000 -c statement_timeout=5000 -c idle_in_transaction_session_timeout=30000"
    " -c search_path=heldtrue,pg_temp"
)


@contextmanager
def as_role(dsn: Secret[str]) -> Generator[psycopg.Connection]:
    """Open a transaction as the role of *dsn*; whatever is done in it is undone at the end."""
    try:
        conn = psycopg.connect(dsn.reveal(), options=OPTIONS)
    except psycopg.Error as error:
        raise AttackHinderedError("the database does not answer") from error
    try:
        yield conn
    finally:
        conn.rollback()
        conn.close()


def touched(
    conn: psycopg.Connection, statement: sql.Composed | LiteralString, params: Sequence[object] = ()
) -> int | None:
    """Run *statement* in a savepoint that is undone; return the rows it touched, None when it was refused.

    Refused means for want of a privilege or by a constraint; any other error hinders the attack.
    """
    conn.execute("SAVEPOINT attack")
    try:
        count = conn.execute(statement, params).rowcount
    except (errors.InsufficientPrivilege, psycopg.IntegrityError):
        count = None
    except errors.Error as error:
        conn.execute("ROLLBACK TO SAVEPOINT attack")
        raise AttackHinderedError(f"a statement could not be tried: {type(error).__name__}") from error
    conn.execute("ROLLBACK TO SAVEPOINT attack")
    return count


def table(name: str) -> sql.Identifier:
    """Return `schema.table` as an identifier."""
    return sql.Identifier(*name.split("."))
