"""The laws of the database hold, and each is seen to bite when something breaks it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
import pytest

from heldtrue.db import laws

# One deliberate violation a case: law, what is done, what the law must then name.
VIOLATIONS = [
    ("tenant-or-exempt", "CREATE TABLE heldtrue.notes (id uuid PRIMARY KEY)", "heldtrue.notes"),
    ("tenant-or-exempt", "CREATE TABLE keystore.notes (tenant_id uuid, id uuid)", "keystore.notes"),
    ("row-level-security", "CREATE TABLE heldtrue.notes (tenant_id uuid NOT NULL)", "heldtrue.notes"),
    ("row-level-security", "ALTER TABLE heldtrue.payloads NO FORCE ROW LEVEL SECURITY", "heldtrue.payloads"),
    ("row-level-security", "ALTER TABLE heldtrue.receipts DISABLE ROW LEVEL SECURITY", "heldtrue.receipts"),
    (
        "policies-name-the-tenant",
        "CREATE POLICY wide ON heldtrue.payloads TO heldtrue_tenant USING (environment = heldtrue.environment())",
        "heldtrue.payloads: wide",
    ),
    ("policies-name-the-tenant", "CREATE POLICY wide ON heldtrue.payloads USING (true)", "heldtrue.payloads: wide"),
    (
        "policies-name-the-tenant",
        "CREATE POLICY wide ON heldtrue.payloads TO heldtrue_tenant USING (tenant_id = heldtrue.tenant() OR size = 0)",
        "heldtrue.payloads: wide",
    ),
    (
        "policies-name-the-tenant",
        "ALTER POLICY tenant ON heldtrue.endpoints WITH CHECK (environment = heldtrue.environment())",
        "heldtrue.endpoints: tenant",
    ),
    (
        "policies-name-the-environment",
        "ALTER POLICY tenant ON heldtrue.endpoints USING (tenant_id = heldtrue.tenant())",
        "heldtrue.endpoints",
    ),
    ("tenant-tables-have-a-tenant-policy", "DROP POLICY tenant ON heldtrue.attempts", "heldtrue.attempts"),
    (
        "uniques-begin-with-the-tenant",
        "CREATE UNIQUE INDEX tells ON heldtrue.payloads (payload_id)",
        "heldtrue.tells",
    ),
    (
        "foreign-keys-begin-with-the-tenant",
        """CREATE UNIQUE INDEX tells ON heldtrue.payloads (payload_id);
           ALTER TABLE heldtrue.receipts ADD CONSTRAINT stray FOREIGN KEY (payload_id)
           REFERENCES heldtrue.payloads (payload_id)""",
        "heldtrue.receipts: stray",
    ),
    (
        "foreign-keys-begin-with-the-tenant",
        """CREATE TABLE heldtrue.notes (payload_id uuid, tenant uuid,
           CONSTRAINT stray FOREIGN KEY (tenant, payload_id) REFERENCES heldtrue.payloads)""",
        "heldtrue.notes: stray",
    ),
    ("views-ask-as-the-caller", "CREATE VIEW heldtrue.all_of AS SELECT * FROM heldtrue.payloads", "heldtrue.all_of"),
    (
        "views-ask-as-the-caller",
        "CREATE MATERIALIZED VIEW heldtrue.all_of AS SELECT * FROM heldtrue.payloads",
        "heldtrue.all_of",
    ),
    (
        "functions-run-as-the-caller",
        "CREATE FUNCTION heldtrue.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint'",
        "heldtrue.peek",
    ),
    ("roles-are-weak", "ALTER ROLE heldtrue_edge BYPASSRLS", "heldtrue_edge"),
    ("roles-are-weak", "ALTER ROLE heldtrue_tenant SUPERUSER", "heldtrue_tenant"),
    ("roles-are-weak", "GRANT heldtrue_owner TO heldtrue_system", "heldtrue_system"),
    ("nobody-is-the-owner", "ALTER TABLE heldtrue.payloads OWNER TO heldtrue_superuser", "heldtrue.payloads"),
    ("nobody-is-the-owner", "ALTER ROLE heldtrue_owner LOGIN", "heldtrue_owner"),
    ("nothing-is-public", "GRANT SELECT ON heldtrue.log_entries TO PUBLIC", "heldtrue.log_entries"),
    ("nothing-is-public", "GRANT USAGE ON SCHEMA keystore TO PUBLIC", "schema keystore"),
    ("nothing-is-public", "GRANT CREATE ON SCHEMA heldtrue TO heldtrue_tenant", "schema heldtrue"),
    ("the-edge-sees-key-columns", "GRANT SELECT ON heldtrue.receipts TO heldtrue_edge", "heldtrue.receipts.sealed"),
    (
        "the-edge-sees-key-columns",
        "GRANT UPDATE (state) ON heldtrue.api_keys TO heldtrue_edge",
        "heldtrue.api_keys.state",
    ),
    ("the-edge-sees-key-columns", "GRANT DELETE ON heldtrue.api_keys TO heldtrue_edge", "heldtrue.api_keys"),
    (
        "the-system-sees-no-content",
        "GRANT SELECT (body_sealed) ON heldtrue.payloads TO heldtrue_system",
        "heldtrue.payloads.body_sealed",
    ),
    (
        "the-log-only-grows",
        "GRANT UPDATE (root) ON heldtrue.log_checkpoints TO heldtrue_system",
        "heldtrue_system UPDATE heldtrue.log_checkpoints",
    ),
    (
        "the-log-only-grows",
        "GRANT TRUNCATE ON heldtrue.log_pending TO heldtrue_system",
        "heldtrue_system TRUNCATE heldtrue.log_pending",
    ),
    (
        "the-log-only-grows",
        "GRANT DELETE ON heldtrue.log_pending TO heldtrue_tenant",
        "heldtrue_tenant DELETE heldtrue.log_pending",
    ),
    (
        "the-log-refuses-even-the-owner",
        "DROP TRIGGER no_truncate ON heldtrue.log_entries",
        "heldtrue.log_entries: no_truncate",
    ),
    (
        "the-log-refuses-even-the-owner",
        "ALTER TABLE heldtrue.attack_results DISABLE TRIGGER append_only",
        "heldtrue.attack_results: append_only",
    ),
    (
        "the-log-refuses-even-the-owner",
        "ALTER TABLE heldtrue.log_pending DISABLE TRIGGER ALL",
        "heldtrue.log_pending: pending_delete",
    ),
]
BY_NAME = {law.name: law for law in laws.LAWS}


@pytest.fixture(scope="module")
def catalogue(server) -> Generator[psycopg.Connection]:
    name = server.create()
    with psycopg.connect(server.admin_of(name).reveal(), autocommit=True) as conn:
        yield conn
    server.drop(name)


@contextmanager
def undone(conn: psycopg.Connection) -> Generator[None]:
    """Roll back whatever the block does; roles belong to the whole server, and other tests use it too."""
    with conn.transaction(force_rollback=True):
        yield


def answers(conn: psycopg.Connection, law: laws.Law) -> list[str]:
    return [row[0] for row in conn.execute(law.question, dict(laws.PARAMETERS)).fetchall()]


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.name)
def test_the_law_holds(catalogue, law):
    assert laws.offenders(law, answers(catalogue, law)) == []


@pytest.mark.parametrize(
    ("name", "violation", "offender"), VIOLATIONS, ids=[f"{v[0]}-{n}" for n, v in enumerate(VIOLATIONS)]
)
def test_the_law_bites(catalogue, name, violation, offender):
    law = BY_NAME[name]
    with undone(catalogue):
        catalogue.execute(violation)
        assert offender in laws.offenders(law, answers(catalogue, law))


def test_every_law_has_been_seen_to_bite():
    assert {name for name, _, _ in VIOLATIONS} == set(BY_NAME)


@pytest.mark.parametrize("law", [law for law in laws.LAWS if law.exempt], ids=lambda law: law.name)
def test_every_exemption_is_still_needed(catalogue, law):
    assert set(law.exempt) <= set(answers(catalogue, law)), "an exemption that nothing needs is taken off the list"


def test_the_exemptions_may_only_shrink():
    assert len(laws.EXEMPT_UNIQUES) <= 3
    assert len(laws.EXEMPT_TABLES) <= 35
    assert len(laws.ORGANISATION_WIDE) <= 4
    assert len(laws.EXEMPT_CONTENT) <= 23


def test_a_tenant_table_that_nobody_listed_is_found_without_being_listed(catalogue):
    with undone(catalogue):
        catalogue.execute("CREATE TABLE heldtrue.forgotten (tenant_id uuid NOT NULL, id uuid PRIMARY KEY)")
        broken = {law.name for law in laws.LAWS if laws.offenders(law, answers(catalogue, law))}
    assert broken >= {
        "row-level-security",
        "tenant-tables-have-a-tenant-policy",
        "uniques-begin-with-the-tenant",
        "nobody-is-the-owner",
    }
