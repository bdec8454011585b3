"""The log's tables take entries and give none back, whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest

from heldtrue.db.laws import APPEND_ONLY

LEAF = UUID(int=1)


@pytest.fixture
def log(database, superuser):
    """One row in each table of the log, put there by the role that does so in life."""
    now = datetime.now(UTC)
    with database.system() as tx:
        tx.execute("INSERT INTO log_origins VALUES (1, 'localhost/log', %s, %s)", [uuid4(), now])
        tx.execute("INSERT INTO log_entries VALUES (1, 0, %s, 'first')", [LEAF])
        tx.execute("INSERT INTO log_checkpoints VALUES (1, 1, %s, 'note', %s)", [bytes(32), now])
        tx.execute("INSERT INTO attack_runs VALUES ('a', 1, 'scratch', 'control', %s, %s)", [LEAF, now])
        tx.execute("INSERT INTO attack_results VALUES ('a', 1, 'held', %s, '{}', %s)", [LEAF, now])
        tx.execute("INSERT INTO claim_schedules VALUES ('c', %s, '{}', %s)", [LEAF, now])
        tx.execute("INSERT INTO log_pending VALUES (%s, 'second', %s)", [UUID(int=2), now])
        tx.execute("INSERT INTO probes VALUES (%s, '{}', %s)", [LEAF, now])
        tx.execute("INSERT INTO attestations VALUES ('c.d', %s, '{}', %s)", [LEAF, now])
        tx.execute("INSERT INTO annotations VALUES (%s, 'a', '{}', %s)", [LEAF, now])
    return database


def attempts(table: str) -> list[str]:
    column = "leaf_id" if table not in {"heldtrue.log_origins", "heldtrue.log_checkpoints"} else "generation"
    return [f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"]


@pytest.mark.parametrize("table", sorted(APPEND_ONLY))
def test_no_application_role_may_change_or_remove(log, make_tenant, superuser, table):
    tenant = make_tenant(log)
    for opened in (log.edge, log.system, lambda: log.tenant(tenant, "live")):
        for statement in attempts(table):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), opened() as tx:
                tx.execute(statement)
    assert superuser.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


@pytest.mark.parametrize("table", sorted(APPEND_ONLY))
def test_the_triggers_refuse_even_who_holds_every_grant(log, superuser, table):
    for statement in attempts(table):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            superuser.execute(statement)


def test_a_pending_entry_leaves_only_once_the_log_holds_it(log):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), log.system() as tx:
        tx.execute("DELETE FROM log_pending")
    with log.system() as tx:
        tx.execute("INSERT INTO log_entries VALUES (1, 1, %s, 'second')", [UUID(int=2)])
        assert tx.execute("DELETE FROM log_pending") == 1


def test_a_pending_entry_does_not_leave_for_another_content(log):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), log.system() as tx:  # noqa: PT012
        tx.execute("INSERT INTO log_entries VALUES (1, 1, %s, 'altered')", [UUID(int=2)])
        tx.execute("DELETE FROM log_pending")


def test_a_tenant_adds_to_the_queue_and_cannot_read_it(log, make_tenant):
    tenant = make_tenant(log)
    with log.tenant(tenant, "live") as tx:
        tx.execute("INSERT INTO log_pending VALUES (%s, 'third', now())", [uuid4()])
    for statement in ("SELECT * FROM log_pending", "INSERT INTO log_entries VALUES (1, 9, gen_random_uuid(), 'x')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), log.tenant(tenant, "live") as tx:
            tx.execute(statement)


def test_an_index_is_given_once(log):
    with pytest.raises(psycopg.errors.UniqueViolation), log.system() as tx:
        tx.execute("INSERT INTO log_entries VALUES (1, 0, %s, 'again')", [uuid4()])
