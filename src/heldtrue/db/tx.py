"""The three kinds of transaction, unrelated as types: a tenant's, the edge's and the system's.

Tenant and environment are set for the transaction alone (`set_config(…, true)`): a setting of the session would leak to
the next tenant of the pooled connection. The database's own errors (`psycopg.errors.UniqueViolation` and its kin) reach
the caller; only what says "not now" is translated here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from heldtrue.db.columns import register
from heldtrue.db.roles import RoleDsns
from heldtrue.db.statements import EdgeTx, GroupTx, Statements, SystemTx, TenantTx
from heldtrue.kernel.errors import HeldtrueError, StorageFullError, UnavailableError
from heldtrue.kernel.ids import TenantId
from heldtrue.kernel.secret import Secret

__all__ = [
    "Database", "EdgeTx", "GroupTx", "OutcomeUnknownError", "PoolSizes", "SystemTx", "TenantTx", "translated",
]  # fmt: skip

Tx = TypeVar("Tx", bound="Statements")


class OutcomeUnknownError(UnavailableError):
    """The connection was lost while committing: it may or may not have been done; look before you repeat."""

    code = "outcome-unknown"


@dataclass(frozen=True, slots=True)
class PoolSizes:
    """The most connections that each role's pool opens."""

    tenant: int = 12
    edge: int = 4
    system: int = 8


_BEGIN = sql.SQL("BEGIN")
_BEGIN_DURABLE = sql.SQL("BEGIN; SET LOCAL synchronous_commit = on")
_BEGIN_TENANT = sql.SQL(
    "BEGIN; SELECT set_config('heldtrue.tenant', {}, true), set_config('heldtrue.environment', {}, true)"
)


class Database:
    """Pools of connections, one a role; safe to use from many threads, to be made after a fork."""

    def __init__(
        self,
        dsns: RoleDsns,
        sizes: PoolSizes | None = None,
        *,
        statement_timeout: float = 30.0,
        lock_timeout: float = 10.0,
        patience: float = 5.0,
    ) -> None:
        """Open the pools without waiting for the server; *patience*: seconds to wait for a free connection."""
        sizes = sizes or PoolSizes()
        self.dsns = dsns
        self._patience = patience
        options = (
            f"-c statement_timeout={int(statement_timeout * 1000)} -c lock_timeout={int(lock_timeout * 1000)}"
            " -c idle_in_transaction_session_timeout=60000 -c search_path=heldtrue,pg_temp"
        )
        self._tenant = _pool(dsns.tenant, sizes.tenant, "tenant", options, patience)
        self._edge = _pool(dsns.edge, sizes.edge, "edge", options, patience)
        self._system = _pool(dsns.system, sizes.system, "system", options, patience)

    @contextmanager
    def tenant(self, tenant: TenantId, environment: str) -> Generator[TenantTx]:
        """Open a transaction of *tenant* in *environment*; commit when the block ends, roll back when it raises."""
        begin = _BEGIN_TENANT.format(sql.Literal(str(tenant.value)), sql.Literal(environment))
        with self._transaction(self._tenant, begin, TenantTx) as tx:
            yield tx

    @contextmanager
    def group(self, tenant: TenantId, environment: str) -> Generator[GroupTx]:
        """Open the same for many operations, whose inserts are sent together when the block ends."""
        begin = _BEGIN_TENANT.format(sql.Literal(str(tenant.value)), sql.Literal(environment))
        with self._transaction(self._tenant, begin, GroupTx) as tx:
            yield tx
            tx.send()

    @contextmanager
    def edge(self) -> Generator[EdgeTx]:
        """Open a transaction that judges credentials."""
        with self._transaction(self._edge, _BEGIN, EdgeTx) as tx:
            yield tx

    @contextmanager
    def system(self, *, durable: bool = False) -> Generator[SystemTx]:
        """Open a transaction of the machinery; *durable*: its commit is on the disk whatever the server's default."""
        with self._transaction(self._system, _BEGIN_DURABLE if durable else _BEGIN, SystemTx) as tx:
            yield tx

    def ping(self) -> None:
        """Return when every role can ask something; raise `UnavailableError` otherwise."""
        for pool in (self._tenant, self._edge, self._system):
            with self._transaction(pool, _BEGIN, Statements) as tx:
                tx.value("SELECT 1")

    def close(self) -> None:
        """Close every connection."""
        for pool in (self._tenant, self._edge, self._system):
            pool.close(timeout=5.0)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(
        self, pool: ConnectionPool, begin: sql.SQL | sql.Composed, kind: Callable[[psycopg.Connection], Tx]
    ) -> Generator[Tx]:
        conn = self._begin(pool, begin)
        try:
            try:
                yield kind(conn)
            except psycopg.Error as error:
                _raise(error)
            _commit(conn)
        finally:
            _close(conn)
            pool.putconn(conn)  # replaces a broken connection

    def _begin(self, pool: ConnectionPool, begin: sql.SQL | sql.Composed) -> psycopg.Connection:
        """Return a connection with a transaction begun; connections that died while idle are passed over."""
        for _ in range(pool.max_size + 1):
            try:
                conn = pool.getconn()
            except (PoolTimeout, PoolClosed, TooManyRequests) as error:
                raise UnavailableError("the database does not answer") from error
            try:
                conn.execute(begin)
            except psycopg.Error as error:
                lost = conn.closed or conn.pgconn.transaction_status == TransactionStatus.UNKNOWN
                pool.putconn(conn)
                if not lost:
                    _raise(error)
            else:
                return conn
        raise UnavailableError("the database does not answer")


def _pool(dsn: Secret[str], size: int, name: str, options: str, patience: float) -> ConnectionPool:
    conninfo = make_conninfo(dsn.reveal(), options=options, connect_timeout=5, application_name=f"heldtrue {name}")
    return ConnectionPool(
        conninfo, kwargs={"autocommit": True}, min_size=1, max_size=size, name=name, open=True, timeout=patience,
        reconnect_timeout=max(patience, 1.0), max_idle=300.0, configure=register,
    )  # fmt: skip


def _close(conn: psycopg.Connection) -> None:
    """Roll back what is still open; a connection that cannot is closed, and the server rolls back by itself."""
    if conn.pgconn.transaction_status == TransactionStatus.IDLE:
        return
    try:
        conn.execute("ROLLBACK")
    except psycopg.Error:
        conn.close()


def _commit(conn: psycopg.Connection) -> None:
    try:
        answer = conn.execute("COMMIT")
    except psycopg.Error as error:
        if conn.closed:
            raise OutcomeUnknownError from error
        _raise(error)
    if answer.statusmessage != "COMMIT":
        # COMMIT of a failed transaction says ROLLBACK and succeeds: the block swallowed an error.
        raise UnavailableError("a statement of this transaction failed, so nothing of it was kept")


def _raise(error: psycopg.Error) -> NoReturn:
    meant = translated(error)
    if meant is error:
        raise error
    raise meant from error


def translated(error: psycopg.Error) -> HeldtrueError | psycopg.Error:
    """Return the domain error that *error* stands for, or *error* itself where it is the caller's to judge."""
    state = error.sqlstate or ""
    if isinstance(error, errors.DiskFull) or "No space left on device" in str(error):
        return StorageFullError()
    if isinstance(error, errors.QueryCanceled | errors.LockNotAvailable | errors.SerializationFailure
                  | errors.DeadlockDetected):  # fmt: skip
        return UnavailableError("the database was too busy for this; nothing was done")
    if state[:2] in {"08", "53", "57", "58"} or (not state and isinstance(error, psycopg.OperationalError)):
        return UnavailableError("the database went away; nothing was done")
    return error
