"""The keystore's rows serve the keyring, also when two begin at once."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from heldtrue.crypto.keyring import ObjectKeyRow, TenantKeyRow
from heldtrue.db.keystore import TxKeyRecords

NOW = datetime.now(UTC)


def a_key(tenant: UUID, purpose: str = "payload") -> TenantKeyRow:
    return TenantKeyRow(tenant, uuid4(), purpose, "active", secrets.token_bytes(40), NOW)


def test_a_tenant_key_comes_back_as_it_went_in(database, make_tenant):
    tenant = make_tenant(database)
    row = a_key(tenant.value)
    with database.tenant(tenant, "live") as tx:
        records = TxKeyRecords(tx)
        assert records.tenant_key(tenant.value, "payload") is None
        assert records.add_tenant_key(row) == row
    with database.tenant(tenant, "test") as tx:
        assert TxKeyRecords(tx).tenant_key(tenant.value, "payload") == row
        assert TxKeyRecords(tx).tenant_key_by_id(tenant.value, row.key_id) == row
        assert TxKeyRecords(tx).tenant_key(tenant.value, "link") is None


def test_of_two_keys_made_at_once_both_makers_get_the_same(database, make_tenant):
    tenant = make_tenant(database)
    barrier, won = threading.Barrier(4), []

    def make() -> None:
        with database.tenant(tenant, "live") as tx:
            barrier.wait(10)
            won.append(TxKeyRecords(tx).add_tenant_key(a_key(tenant.value)).key_id)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(won) == 4
    assert len(set(won)) == 1


def test_anothers_keys_are_out_of_reach(database, tenant_pair):
    mine, theirs = tenant_pair
    row = a_key(theirs.value)
    with database.tenant(theirs, "live") as tx:
        TxKeyRecords(tx).add_tenant_key(row)
    with database.tenant(mine, "live") as tx:
        assert TxKeyRecords(tx).tenant_key(theirs.value, "payload") is None
        assert TxKeyRecords(tx).tenant_key_by_id(theirs.value, row.key_id) is None


@pytest.mark.parametrize("again", [False, True])
def test_a_destroyed_object_key_is_gone_and_stays_so(database, make_tenant, again):
    tenant = make_tenant(database)
    parent = a_key(tenant.value, "object")
    row = ObjectKeyRow(tenant.value, uuid4(), parent.key_id, "active", secrets.token_bytes(40), NOW)
    with database.tenant(tenant, "live") as tx:
        records = TxKeyRecords(tx)
        records.add_tenant_key(parent)
        records.add_object_key(row)
        assert records.object_key(tenant.value, row.key_id) == row
    later = datetime.now(UTC)
    with database.tenant(tenant, "live") as tx:
        TxKeyRecords(tx).destroy_object_key(tenant.value, row.key_id, NOW)
        if again:
            TxKeyRecords(tx).destroy_object_key(tenant.value, row.key_id, later)
        left = TxKeyRecords(tx).object_key(tenant.value, row.key_id)
    assert left is not None
    assert (left.state, left.wrapped, left.destroyed_at) == ("destroyed", None, NOW)
