"""Migrations run once, in order, whole or not at all, and refuse a schema that is not theirs."""

from __future__ import annotations

import threading

import psycopg
import pytest
from psycopg import sql

from heldtrue.db.migrate import Migration, MigrationMismatchError, migrate, present, shipped
from heldtrue.db.roles import admit

ONE = Migration(1, "one", b"CREATE SCHEMA heldtrue; CREATE TABLE heldtrue.a (n int)")
TWO = Migration(2, "two", b"INSERT INTO heldtrue.a VALUES (2)")
BAD = Migration(2, "bad", b"INSERT INTO heldtrue.a VALUES (1); SELECT 1/0")


@pytest.fixture
def empty(server):
    name = server.create("template0")
    admit(server.admin_of(name))
    yield server.admin_of(name)
    server.drop(name)


def rows(admin) -> int:
    with psycopg.connect(admin.reveal()) as conn:
        return conn.execute("SELECT count(*) FROM heldtrue.a").fetchone()[0]


def test_each_is_applied_once_and_in_order(empty):
    assert present(empty) == 0
    assert migrate(empty, [ONE]) == [ONE]
    assert migrate(empty, [ONE, TWO]) == [TWO]
    assert migrate(empty, [ONE, TWO]) == []
    assert (rows(empty), present(empty)) == (1, 2)


def test_a_failing_one_leaves_nothing(empty):
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty, [ONE, BAD])
    assert (rows(empty), present(empty)) == (0, 1)
    assert migrate(empty, [ONE, TWO]) == [TWO]


def test_a_file_edited_after_the_fact_is_refused(empty):
    migrate(empty, [ONE])
    with pytest.raises(MigrationMismatchError, match="another content"):
        migrate(empty, [Migration(1, "one", ONE.text + b" "), TWO])


def test_a_database_newer_than_the_code_is_refused(empty):
    migrate(empty, [ONE, TWO])
    with pytest.raises(MigrationMismatchError, match="at migration 2, this version knows 1"):
        migrate(empty, [ONE])


def test_of_two_starting_at_once_one_migrates(empty):
    done: list[list[Migration]] = []
    threads = [threading.Thread(target=lambda: done.append(migrate(empty, [ONE, TWO]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(map(len, done)) == [0, 0, 2]


def test_what_ships_is_complete_and_owned_by_the_owner(empty):
    applied = migrate(empty)
    assert [one.number for one in applied] == list(range(1, len(shipped()) + 1))
    with psycopg.connect(empty.reveal()) as conn:
        owners = conn.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('heldtrue', 'keystore', 'heldtrue_meta')"
        ).fetchall()
    assert owners == [("heldtrue_owner",)]


def test_a_stranger_may_not_even_connect(server, database_name):
    with psycopg.connect(server.admin.reveal(), autocommit=True) as conn:
        conn.execute("CREATE ROLE stranger LOGIN PASSWORD 'guess'")
    try:
        dsn = psycopg.conninfo.make_conninfo(server.admin_of(database_name).reveal(), user="stranger", password="guess")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(dsn)
    finally:
        server.run(sql.SQL("DROP ROLE {}").format(sql.Identifier("stranger")))
