"""A transaction is kept whole or not at all, and says which."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import psycopg
import pytest

from heldtrue.db.roles import at_database
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.errors import StorageFullError, UnavailableError


@dataclass(frozen=True)
class Kind:
    kind: str
    state: str


def test_rows_come_as_their_class(database, make_tenant):
    tenant = make_tenant(database)
    with database.tenant(tenant, "live") as tx:
        assert tx.one(Kind, "SELECT kind, state FROM organisations") == Kind("customer", "active")
        assert tx.many(Kind, "SELECT kind, state FROM organisations") == [Kind("customer", "active")]
        assert tx.one(Kind, "SELECT kind, state FROM organisations WHERE false") is None
        assert tx.value("SELECT kind FROM organisations WHERE false") is None


def test_what_raises_is_rolled_back(database, make_tenant):
    tenant = make_tenant(database)
    with pytest.raises(ZeroDivisionError), database.system() as tx:  # noqa: PT012
        tx.execute("UPDATE organisations SET state = 'closed'")
        raise ZeroDivisionError
    with database.tenant(tenant, "live") as tx:
        assert tx.value("SELECT state FROM organisations") == "active"


def test_a_swallowed_error_is_not_mistaken_for_success(database, make_tenant):
    make_tenant(database)
    with pytest.raises(UnavailableError, match="nothing of it was kept"), database.system() as tx:  # noqa: PT012
        tx.execute("UPDATE organisations SET state = 'closed'")
        with pytest.raises(psycopg.errors.DivisionByZero):
            tx.execute("SELECT 1/0")
    with database.system() as tx:
        assert tx.value("SELECT state FROM organisations") == "active"


def test_copy_takes_a_group_at_once(database):
    with database.system() as tx:
        rows = [(1, f"origin-{n}") for n in range(3)]
        assert (
            tx.copy(
                "COPY log_pending (leaf_id, entry, created_at) FROM STDIN",
                [(f"00000000-0000-0000-0000-00000000000{n}", b"entry", "2026-01-01Z") for n, _ in enumerate(rows)],
            )
            == 3
        )
        assert tx.value("SELECT count(*) FROM log_pending") == 3


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("53100", StorageFullError),
        ("53300", UnavailableError),
        ("57P01", UnavailableError),
        ("40P01", UnavailableError),
    ],
)
def test_the_servers_not_now_is_translated(database, state, expected):
    with pytest.raises(expected), database.system() as tx:
        tx.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")


def test_a_statement_that_takes_too_long_is_ended(server, database_name):
    with (
        Database(at_database(server.roles, database_name), PoolSizes(1, 1, 1), statement_timeout=0.2) as quick,
        pytest.raises(UnavailableError, match="too busy"),
        quick.system() as tx,
    ):
        tx.execute("SELECT pg_sleep(30)")


def test_more_callers_than_connections_wait_and_then_are_told(server, database_name):
    with Database(at_database(server.roles, database_name), PoolSizes(1, 1, 1), patience=0.3) as small:
        with small.system() as tx:
            tx.value("SELECT 1")
            failed: list[Exception] = []

            def other() -> None:
                try:
                    with small.system() as second:
                        second.value("SELECT 1")
                except UnavailableError as error:
                    failed.append(error)

            thread = threading.Thread(target=other)
            thread.start()
            thread.join(10)
        assert len(failed) == 1
        with small.system() as tx:
            assert tx.value("SELECT 1") == 1


def test_a_hostile_environment_name_is_a_value_and_no_sql(database, make_tenant):
    tenant = make_tenant(database)
    with database.tenant(tenant, "x'); SELECT set_config('heldtrue.tenant','y',true); --") as tx:
        assert tx.value("SELECT environment()") == "x'); SELECT set_config('heldtrue.tenant','y',true); --"


def test_a_connection_on_which_a_group_failed_serves_nobody_else(database, make_tenant):
    tenant = make_tenant(database)

    def divide(by: int) -> None:
        with one.group(tenant, "live") as tx:
            tx.later("SELECT 1 / %s::int", [by])
            tx.later("SELECT %s::int", [by])

    with Database(database.dsns, PoolSizes(1, 1, 1)) as one:
        for divisor in (0, 1, 1, 1, 1, 1, 0, 1, 1):  # the driver prepares at the sixth
            if divisor:
                divide(divisor)
            else:
                with pytest.raises(psycopg.errors.DivisionByZero):
                    divide(divisor)


def test_a_durable_commit_is_on_the_disk_whatever_the_default(database):
    with Database(database.dsns, PoolSizes(1, 1, 1)) as one:
        with one.system() as tx:
            tx._conn.execute("SET SESSION synchronous_commit = off")
        with one.system(durable=True) as tx:
            assert tx.value("SHOW synchronous_commit") == "on"
        with one.system() as tx:
            assert tx.value("SHOW synchronous_commit") == "off"
