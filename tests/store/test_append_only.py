"""The log's tables take entries and give none back, whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
        _room(tx, now)
        _registers(tx, now)
    _papers(superuser, now)
    return database


def _registers(tx, now):
    """Put one row into each table of registers and witnesses."""
    for table, kept in (("register_entries", "{}"), ("register_sealed", b"sealed")):
        tx.execute(f"INSERT INTO {table} VALUES ('contacts', 'a', 1, %s, NULL, %s, %s)", [kept, LEAF, now])
    tx.execute("INSERT INTO log_cosignatures VALUES (1, 1, 'w+00000000+key', 'a line of a note', %s)", [now])
    tx.execute("INSERT INTO agreement_files VALUES (%s, 'sealed', %s)", [LEAF, now])


def _papers(superuser, now):
    """Put one row into each table whose rows point at others that this test has no use for."""
    digest = bytes(32)
    superuser.execute("SET session_replication_role = replica")
    superuser.execute(
        "INSERT INTO heldtrue.evidence VALUES (%s, 'sarif', 'a', %s, %s, 1, 'key', '{}', 'sealed', %s, %s, %s, %s)",
        [LEAF, digest, digest, LEAF, now, now, now],
    )
    superuser.execute(
        "INSERT INTO heldtrue.acceptances VALUES (%s, 'live', %s, 'terms', 1, %s, 'sealed', %s)",
        [LEAF, LEAF, "0" * 64, now],
    )
    superuser.execute("RESET session_replication_role")


def _room(tx, now):
    """Put one row into each table of the document room that only grows."""
    digest, end = bytes(32), now + timedelta(days=1)
    tx.execute(
        "INSERT INTO room_requests (ask_id, kind, item, channel, mail_hash, received_at, due_at)"
        " VALUES (%s, 'document', 'a', 'page', %s, %s, %s)",
        [LEAF, bytes(16), now, end],
    )
    tx.execute(
        "INSERT INTO room_grants (grant_id, ask_id, item, link_digest, needs_agreement, created_at, expires_at)"
        " VALUES (%s, %s, 'a', %s, true, %s, %s)",
        [LEAF, LEAF, digest, now, end],
    )
    tx.execute(
        "INSERT INTO room_acceptances VALUES (%s, 'standard', 1, %s, 'sealed', %s, %s)", [LEAF, digest, LEAF, now]
    )
    tx.execute("INSERT INTO room_downloads VALUES (%s, %s, 'a', 1, 'none', 0, %s, %s)", [LEAF, LEAF, digest, now])


COLUMNS = {
    "heldtrue.log_origins": "generation",
    "heldtrue.log_checkpoints": "generation",
    "heldtrue.log_cosignatures": "generation",
    "heldtrue.room_downloads": "grant_id",
    "heldtrue.agreement_files": "agreement_id",
    "heldtrue.acceptances": "acceptance_id",
}
"""A column to change, where there is no `leaf_id`."""


def attempts(table: str) -> list[str]:
    column = COLUMNS.get(table, "leaf_id")
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
