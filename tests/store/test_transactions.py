"""A transaction is kept whole or not at all, and says which."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest

from heldtrue.capabilities.ledger.store import PENDING
from heldtrue.db.roles import at_database
from heldtrue.db.tx import Database, PoolSizes, Question
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


@dataclass(frozen=True)
class Number:
    number: int


@dataclass(frozen=True)
class Setting:
    value: str


def numbers(number: int) -> Question:
    return Number, "SELECT %s::int AS number", [number]


def test_a_group_makes_two_round_trips(database, make_tenant, tmp_path):
    tenant = make_tenant(database)
    with Database(database.dsns, PoolSizes(1, 1, 1)) as one:
        with one.tenant(tenant, "live") as tx:
            conn = tx._conn
        with (tmp_path / "trace").open("w+b") as trace:
            conn.pgconn.trace(trace.fileno())
            with one.group(tenant, "live", numbers(1), numbers(2)) as tx:
                assert tx.told == [[Number(1)], [Number(2)]]
                tx.later("SELECT 3")
                tx.insert(PENDING, [(tenant.value, b"entry", datetime.now(UTC))])
            conn.pgconn.untrace()
            trace.seek(0)
            assert [line.split(b"\t")[3].strip() for line in trace if b"\tSync" in line] == [b"Sync", b"Sync"]
        with one.system() as system:
            assert system.value("SELECT count(*) FROM log_pending") == 1


def test_a_group_whose_statement_fails_is_not_committed_by_what_was_sent_behind_it(database, make_tenant):
    tenant = make_tenant(database)
    with pytest.raises(psycopg.errors.DivisionByZero), database.group(tenant, "live") as tx:  # noqa: PT012
        tx.insert(PENDING, [(tenant.value, b"entry", datetime.now(UTC))])
        tx.later("SELECT 1 / %s::int", [0])
    with database.system() as system:
        assert system.value("SELECT count(*) FROM log_pending") == 0


def test_a_group_whose_connection_ends_with_the_commit_may_be_there(database, make_tenant):
    tenant = make_tenant(database)
    with pytest.raises(UnavailableError), database.group(tenant, "live") as tx:
        tx.later("SELECT pg_terminate_backend(pg_backend_pid())")
    with database.group(tenant, "live", numbers(1)) as tx:
        assert tx.told == [[Number(1)]]


def test_a_question_that_fails_spoils_no_connection(database, make_tenant):
    tenant = make_tenant(database)
    with Database(database.dsns, PoolSizes(1, 1, 1)) as one:
        for _ in range(3):
            failing: Question = (Number, "SELECT 1 / %s::int AS number", [0])
            with pytest.raises(psycopg.errors.DivisionByZero), one.group(tenant, "live", failing, numbers(1)):
                raise AssertionError("nothing was asked in vain")
            for number in range(7):  # the driver prepares at the sixth
                with one.group(tenant, "live", numbers(number)) as tx:
                    assert tx.told == [[Number(number)]]


def test_connections_that_died_while_idle_are_passed_over_by_groups(database, make_tenant, superuser):
    tenant = make_tenant(database)
    with Database(database.dsns, PoolSizes(2, 1, 1)) as one:
        with one.group(tenant, "live", (Number, "SELECT pg_backend_pid() AS number", None)) as tx:
            [[backend]] = tx.told
        superuser.execute("SELECT pg_terminate_backend(%s, 10000)", [backend.number])
        with one.group(tenant, "live", numbers(4)) as tx:
            assert tx.told == [[Number(4)]]


def test_what_is_served_is_on_the_disk_whatever_the_default(database):
    asked: Question = (Setting, "SELECT current_setting('synchronous_commit') AS value", None)
    with Database(database.dsns, PoolSizes(1, 1, 1)) as one:
        with one.system() as tx:
            conn = tx._conn
        conn.execute("SET synchronous_commit = off")
        with one.system_group(asked) as group:
            assert group.told == [[Setting("on")]]
        with one.system() as tx:
            assert tx.value("SHOW synchronous_commit") == "off"
