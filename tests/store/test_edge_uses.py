"""The last use of a key is written now and then, never backwards, and not lost when a write fails."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from instance import until

from heldtrue.capabilities.edge.uses import Uses
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import KeyId, TenantId

MakeTenant = Callable[..., TenantId]
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def keys(database: Database, make_tenant: MakeTenant, superuser: psycopg.Connection) -> list[tuple[TenantId, KeyId]]:
    tenant, found = make_tenant(database), []
    for _ in range(3):
        key = KeyId.new(NOON, secrets.token_bytes)
        superuser.execute(
            "INSERT INTO heldtrue.api_keys (tenant_id, environment, key_id, type, role, digest, last4, name_sealed,"
            " state, created_at) VALUES (%s, 'live', %s, 'sk', 'sender', %s, 'abcd', 'sealed', 'active', %s)",
            [tenant.value, key.value, secrets.token_bytes(32), NOON],
        )
        found.append((tenant, key))
    return found


def written(superuser: psycopg.Connection) -> dict[KeyId, datetime]:
    rows = superuser.execute("SELECT key_id, last_used_at FROM heldtrue.key_uses").fetchall()
    return {KeyId(key): at for key, at in rows}


def test_many_uses_of_a_key_are_one_write(
    database: Database, superuser: psycopg.Connection, keys: list[tuple[TenantId, KeyId]]
) -> None:
    uses = Uses(database)
    for seconds in range(100):
        for tenant, key in keys[:2]:
            uses.note(key, tenant, "live", NOON + timedelta(seconds=seconds))
    assert uses.flush() == 2
    assert uses.flush() == 0
    assert written(superuser) == {key: NOON + timedelta(seconds=99) for _, key in keys[:2]}


def test_a_use_that_another_process_saw_later_stays(
    database: Database, superuser: psycopg.Connection, keys: list[tuple[TenantId, KeyId]]
) -> None:
    tenant, key = keys[0]
    one, other = Uses(database), Uses(database)
    one.note(key, tenant, "live", NOON + timedelta(seconds=9))
    other.note(key, tenant, "live", NOON)
    one.flush()
    other.flush()
    assert written(superuser) == {key: NOON + timedelta(seconds=9)}


def test_a_write_that_fails_keeps_the_notes(
    database: Database, superuser: psycopg.Connection, keys: list[tuple[TenantId, KeyId]]
) -> None:
    (tenant, key), (_, second), _ = keys
    uses = Uses(database)
    uses.note(key, tenant, "live", NOON)
    with superuser.transaction():
        superuser.execute("LOCK TABLE heldtrue.key_uses IN ACCESS EXCLUSIVE MODE")
        database_in_a_hurry = Database(database.dsns, lock_timeout=0.1)
        hurried = Uses(database_in_a_hurry)
        hurried.note(key, tenant, "live", NOON)
        hurried.note(second, tenant, "live", NOON)
        with pytest.raises(UnavailableError):
            hurried.flush()
        hurried.note(second, tenant, "live", NOON + timedelta(seconds=1))
    assert hurried.flush() == 2
    database_in_a_hurry.close()
    assert written(superuser) == {key: NOON, second: NOON + timedelta(seconds=1)}


def test_a_key_that_is_no_more_stops_nobody_elses_note(
    database: Database, superuser: psycopg.Connection, keys: list[tuple[TenantId, KeyId]]
) -> None:
    tenant, key = keys[0]
    uses = Uses(database)
    uses.note(KeyId.new(NOON, secrets.token_bytes), tenant, "live", NOON)
    uses.note(key, tenant, "live", NOON)
    uses.flush()
    assert written(superuser) == {key: NOON}


def test_it_writes_by_itself_and_once_more_at_its_end(
    database: Database, superuser: psycopg.Connection, keys: list[tuple[TenantId, KeyId]]
) -> None:
    (tenant, first), (_, second), _ = keys
    uses = Uses(database, every=0.05)
    uses.start()
    uses.note(first, tenant, "live", NOON)
    until(lambda: first in written(superuser), 5, "the use is written")
    uses.close()
    late = Uses(database)
    late.note(second, tenant, "live", NOON)
    late.close()
    assert set(written(superuser)) == {first, second}
