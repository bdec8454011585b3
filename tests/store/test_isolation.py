"""A transaction sees its organisation and environment, in every tenant table, and for only as long as it lasts."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from heldtrue.db.tx import Database, EdgeTx, PoolSizes, SystemTx, TenantTx
from heldtrue.kernel.ids import TenantId

NOW = datetime.now(UTC)

# Every tenant table but the registers, with one row: columns beyond tenant_id and environment.
ROWS: list[tuple[str, dict[str, object]]] = [
    ("keystore.tenant_keys", {"key_id": 1, "purpose": "object", "state": "active", "wrapped": b"w", "created_at": NOW}),
    (
        "keystore.object_keys",
        {"key_id": 2, "tenant_key_id": 1, "state": "active", "wrapped": b"w", "created_at": NOW},
    ),
    (
        "heldtrue.api_keys",
        {"key_id": 3, "type": "sk", "role": "admin", "digest": b"?" * 32, "last4": "abcd",
         "name_sealed": b"s", "created_at": NOW},
    ),
    (
        "heldtrue.idempotency",
        {"credential": 3, "route": "POST /v1/x", "key_digest": b"d", "body_digest": b"b", "created_at": NOW},
    ),
    (
        "heldtrue.payloads",
        {"payload_id": 4, "object_key_id": 2, "source": "http", "state": "accepted", "size": 1, "received_at": NOW},
    ),
    ("heldtrue.attachments", {"payload_id": 4, "ordinal": 1, "size": 1}),
    (
        "heldtrue.endpoints",
        {"endpoint_id": 5, "state": "enabled", "config_sealed": b"c", "secrets_sealed": b"s", "created_at": NOW},
    ),
    (
        "heldtrue.receipts",
        {"receipt_id": 6, "payload_id": 4, "ordinal": 0, "endpoint_id": 5, "signing_key_id": 9, "digest": b"d",
         "leaf_id": 7, "link_digest": b"?" * 32, "created_at": NOW},
    ),
    (
        "heldtrue.deliveries",
        {"delivery_id": 8, "receipt_id": 6, "payload_id": 4, "endpoint_id": 5, "state": "pending", "created_at": NOW},
    ),
    (
        "heldtrue.attempts",
        {"attempt_id": 9, "delivery_id": 8, "number": 1, "started_at": NOW, "latency_ms": 1},
    ),
    (
        "heldtrue.ledger_documents",
        {"leaf_id": 7, "kind": "audit", "event": "x", "sealed": b"s", "created_at": NOW},
    ),
    ("heldtrue.endpoint_health", {"endpoint_id": 5, "failures": 1, "recent": 1, "seen": 1}),
    ("heldtrue.notices", {"notice_id": 10, "body_sealed": b"s", "created_at": NOW}),
    (
        "heldtrue.replays",
        {"replay_id": 11, "state": "failed", "created_to": NOW, "matched": 0, "created_at": NOW},
    ),
    (
        "heldtrue.transforms",
        {"transform_id": 12, "current": 1, "config_sealed": b"c", "created_at": NOW},
    ),
    (
        "heldtrue.transform_versions",
        {"transform_id": 12, "number": 1, "language": "python", "digest": b"?" * 32, "size": 1, "created_at": NOW},
    ),
    (
        "heldtrue.flows",
        {"flow_id": 13, "state": "enabled", "trigger": "payload", "transforms": [], "config_sealed": b"c",
         "created_at": NOW},
    ),
    (
        "heldtrue.runs",
        {"run_id": 14, "flow_id": 13, "payload_id": 4, "state": "done", "steps": 1, "revision": 1, "created_at": NOW},
    ),
    (
        "heldtrue.run_steps",
        {"run_id": 14, "position": 0, "payload_id": 4, "transform_id": 12, "version": 1, "digest": b"?" * 32,
         "outcome": "ok", "inputs": 1, "outputs": 1, "tries": 1, "wall_ms": 1, "cpu_ms": 1, "finished_at": NOW},
    ),
    (
        "heldtrue.outputs",
        {"output_id": 15, "payload_id": 4, "ordinal": 1, "run_id": 14, "number": 0, "size": 1, "created_at": NOW},
    ),
    (
        "heldtrue.mail_addresses",
        {"address_id": 16, "digest": b"?" * 32, "config_sealed": b"c", "spf": "flag", "dkim": "flag", "dmarc": "flag",
         "created_at": NOW},
    ),
    ("heldtrue.credentials", {"credential_id": 17, "config_sealed": b"c", "value_sealed": b"v", "created_at": NOW}),
    ("heldtrue.transform_egress", {"transform_id": 12, "rules_sealed": b"r", "changed_at": NOW}),
    (
        "heldtrue.egress_sessions",
        {"session_id": 18, "run_id": 14, "payload_id": 4, "position": 0, "fence": 1, "opened_at": NOW},
    ),
    ("heldtrue.key_uses", {"key_id": 3, "last_used_at": NOW}),
    (
        "heldtrue.acceptances",
        {
            "acceptance_id": 18, "item": "terms", "version": 1, "sha256": "0" * 64, "accepted_by_sealed": b"s",
            "accepted_at": NOW,
        },
    ),
    ("heldtrue.vendor_choices", {"vendor": "cloud", "permitted": True, "decided_at": NOW}),
    (
        "heldtrue.objections",
        {"objection_id": 17, "sub_processor": "cloud", "reason_sealed": b"s", "objected_at": NOW},
    ),
    ("heldtrue.session_generations", {"generation": 1, "changed_at": NOW}),
]  # fmt: skip
TABLES = ["heldtrue.organisations", "heldtrue.environments", *(name for name, _ in ROWS)]


def fill(conn: psycopg.Connection, tenant: UUID, environment: str = "live") -> None:
    """Put one row into every tenant table; ids are the same for each tenant, so that nothing else tells them apart."""
    for table, columns in ROWS:
        values = {
            name: UUID(int=value)
            if isinstance(value, int) and name.endswith(("_id", "credential"))
            else (secrets.token_bytes(32) if value == b"?" * 32 else value)
            for name, value in columns.items()
        } | {"tenant_id": tenant}
        if not table.startswith("keystore."):
            values["environment"] = environment
        conn.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(*table.split(".")),
                sql.SQL(", ").join(map(sql.Identifier, values)),
                sql.SQL(", ").join(map(sql.Literal, values.values())),
            )
        )


@pytest.fixture
def two(database: Database, superuser, make_tenant) -> tuple[TenantId, TenantId]:
    pair = make_tenant(database), make_tenant(database)
    for tenant in pair:
        fill(superuser, tenant.value)
    return pair


def count(tx: TenantTx, table: str, where: str = "true") -> int:
    return tx.value(f"SELECT count(*) FROM {table} WHERE {where}")  # type: ignore[arg-type]  # names are from the list above


def test_the_list_of_tenant_tables_is_complete(superuser):
    found = superuser.execute(
        """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' WHERE c.relkind = 'r'"""
    ).fetchall()
    assert {row[0] for row in found} == {*TABLES, "heldtrue.edge_changes"}  # which no tenant reads


def test_a_tenant_announces_its_own_changes_and_reads_none(database, two):
    mine, theirs = two
    announce = "INSERT INTO edge_changes VALUES (%s, %s, 'live', 'key', %s, now())"
    with database.tenant(mine, "live") as tx:
        tx.execute(announce, [10**9, mine.value, uuid4()])
    for statement, values in (
        (announce, [10**9 + 1, theirs.value, uuid4()]),
        ("SELECT count(*) FROM edge_changes", None),
        ("DELETE FROM edge_changes", None),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.tenant(mine, "live") as tx:
            tx.execute(statement, values)


@pytest.mark.parametrize("table", TABLES)
def test_a_tenant_sees_its_own_row_and_only_that(database, two, table):
    for tenant, other in (two, two[::-1]):
        with database.tenant(tenant, "live") as tx:
            assert count(tx, table) == 1
            assert count(tx, table, f"tenant_id = '{other.value}'") == 0


@pytest.mark.parametrize("setting", [None, "", "0b7f2a64-8c1d-4e55-9a43-1f0d6c2b7e98"])
def test_without_a_tenant_every_tenant_table_shows_nothing(database, two, setting):
    with psycopg.connect(database.dsns.tenant.reveal()) as conn:
        if setting is not None:
            conn.execute("SELECT set_config('heldtrue.tenant', %s, true)", [setting])
            conn.execute("SELECT set_config('heldtrue.environment', 'live', true)")
        for table in TABLES:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))
            assert conn.execute(query).fetchone() == (0,), table


def test_another_environment_of_the_same_tenant_shows_nothing(database, two):
    with database.tenant(two[0], "test") as tx:
        for table, columns in ROWS:
            if not table.startswith("keystore."):
                assert count(tx, table) == 0, (table, columns)


def test_a_query_that_forgets_its_tenant_changes_nothing_of_another(database, superuser, two):
    mine, theirs = two
    with database.tenant(mine, "live") as tx:
        assert tx.execute("UPDATE payloads SET state = 'erased'") == 1
        assert tx.execute("DELETE FROM idempotency") == 1
        assert tx.execute("UPDATE keystore.object_keys SET state = 'destroyed', wrapped = NULL") == 1
    left = superuser.execute("SELECT tenant_id, state FROM heldtrue.payloads ORDER BY state").fetchall()
    assert left == [(theirs.value, "accepted"), (mine.value, "erased")]


def test_a_row_cannot_be_written_for_another_tenant(database, two):
    mine, theirs = two
    for tenant, environment in ((theirs.value, "live"), (mine.value, "test")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.tenant(mine, "live") as tx:
            tx.execute(
                """INSERT INTO endpoints (tenant_id, environment, endpoint_id, state, config_sealed, secrets_sealed,
                   created_at) VALUES (%s, %s, %s, 'enabled', '', '', now())""",
                [tenant, environment, uuid4()],
            )


def test_a_foreign_key_to_anothers_row_is_refused(database, superuser, two):
    mine, theirs = two
    stray = uuid4()
    superuser.execute(
        """INSERT INTO heldtrue.endpoints (tenant_id, environment, endpoint_id, state, config_sealed, secrets_sealed,
           created_at) VALUES (%s, 'live', %s, 'enabled', '', '', now())""",
        [theirs.value, stray],
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation), database.tenant(mine, "live") as tx:
        tx.execute(
            """INSERT INTO receipts (tenant_id, environment, receipt_id, payload_id, ordinal, endpoint_id,
               signing_key_id, digest, leaf_id, link_digest, created_at)
               VALUES (%s, 'live', %s, %s, 1, %s, %s, '', %s, %s, now())""",
            [mine.value, uuid4(), UUID(int=4), stray, uuid4(), uuid4(), secrets.token_bytes(32)],
        )


def test_an_id_that_another_holds_is_free(database, two, make_tenant):
    """A primary key that spans tenants would tell, by refusing, that the row exists."""
    third = make_tenant(database)
    with database.tenant(third, "live") as tx:
        tx.execute(
            """INSERT INTO endpoints (tenant_id, environment, endpoint_id, state, config_sealed, secrets_sealed,
               created_at) VALUES (%s, 'live', %s, 'enabled', '', '', now())""",
            [third.value, UUID(int=5)],
        )


def test_the_tenant_ends_with_its_transaction(server, database_name, two):
    with server.open(database_name) as warm:
        warm.close()
    with Database(_one_connection(server, database_name), PoolSizes(1, 1, 1)) as database:
        with database.tenant(two[0], "live") as tx:
            assert count(tx, "payloads") == 1
            backend = tx.value("SELECT pg_backend_pid()")
        with database._tenant.connection() as conn:  # the same connection, no tenant said
            assert conn.execute("SELECT pg_backend_pid()").fetchone() == (backend,)
            assert conn.execute("SELECT current_setting('heldtrue.tenant', true)").fetchone() == ("",)
            assert conn.execute("SELECT count(*) FROM payloads").fetchone() == (0,)


def _one_connection(server, name):
    from heldtrue.db.roles import at_database

    return at_database(server.roles, name)


def test_the_roles_transactions_are_unrelated_types():
    for mine in (TenantTx, EdgeTx, SystemTx):
        for other in {TenantTx, EdgeTx, SystemTx} - {mine}:
            assert not issubclass(mine, other)


def test_the_edge_reads_key_columns_and_nothing_else(database, two):
    with database.edge() as tx:
        assert tx.value("SELECT count(digest) FROM api_keys") == 2
    for query in (
        "SELECT name_sealed FROM api_keys",
        "SELECT sealed FROM receipts",
        "SELECT 1 FROM payloads",
        "SELECT wrapped FROM keystore.tenant_keys",
        "SELECT name_sealed FROM organisations",
        "UPDATE api_keys SET state = 'revoked'",
        "DELETE FROM api_keys",
        "SELECT 1 FROM heldtrue_meta.migrations",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.edge() as tx:
            tx.execute(query)  # type: ignore[arg-type]


def test_the_system_finds_work_and_reads_no_content(database, two):
    with database.system() as tx:
        found = tx.value("SELECT payload_id FROM payloads WHERE state = 'accepted' FOR UPDATE SKIP LOCKED LIMIT 1")
        assert found == UUID(int=4)
        assert tx.execute("UPDATE deliveries SET fence = fence + 1, lease_until = now() WHERE state = 'pending'") == 2
    for query in (
        "SELECT body_sealed FROM payloads",
        "SELECT meta_sealed FROM attachments",
        "SELECT config_sealed FROM endpoints",
        "SELECT sealed FROM receipts",
        "SELECT excerpt_sealed FROM attempts",
        "SELECT sealed FROM ledger_documents",
        "SELECT name_sealed FROM api_keys",
        "SELECT digest FROM api_keys",
        "UPDATE payloads SET state = 'erased'",
        "DELETE FROM payloads",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.system() as tx:
            tx.execute(query)  # type: ignore[arg-type]


def test_the_system_reads_idempotent_answers_of_the_operator_and_sweeps_old_ones(database, superuser, make_tenant):
    customer, operator = make_tenant(database), make_tenant(database, kind="operator")
    for tenant in (customer, operator):
        superuser.execute(
            "INSERT INTO heldtrue.idempotency VALUES (%s, 'live', gen_random_uuid(), 'r', 'k', 'b', 200, 'a', now())",
            [tenant.value],
        )
    with database.system() as tx:
        assert tx.value("SELECT array_agg(tenant_id) FROM idempotency") == [operator.value]
        assert tx.execute("DELETE FROM idempotency WHERE created_at < now() - interval '24 hours'") == 0
    superuser.execute("UPDATE heldtrue.idempotency SET created_at = now() - interval '25 hours'")
    with database.system() as tx:
        assert tx.execute("DELETE FROM idempotency WHERE created_at < now() - interval '24 hours'") == 2


def test_nobody_can_become_another_role(database, two):
    for opened in (database.edge, database.system, lambda: database.tenant(two[0], "live")):
        for role in ("heldtrue_owner", "heldtrue_superuser", "heldtrue_system", "heldtrue_tenant"):
            with opened() as tx:
                if tx.value("SELECT current_user") == role:
                    continue
            with pytest.raises(psycopg.errors.InsufficientPrivilege), opened() as tx:
                tx.execute(f"SET ROLE {role}")  # type: ignore[arg-type]


def test_row_security_cannot_be_switched_off_to_see_more(database, two):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.tenant(two[0], "live") as tx:  # noqa: PT012
        tx.execute("SET LOCAL row_security = off")
        tx.execute("SELECT * FROM payloads")
