"""`kill -9` at any moment: every request that was answered is in its organisation's ledger, whole and once."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from heldtrue.capabilities.edge.served import EVENT
from heldtrue.capabilities.ledger import store
from heldtrue.capabilities.ledger.actions import open_document
from heldtrue.capabilities.ledger.model import DocumentKind
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.tx import Database
from heldtrue.kernel.ids import CryptoKeyId, TenantId
from heldtrue.kernel.secret import Secret

pytestmark = pytest.mark.drill
SEED = 20261122
KILLS = 3
CHILD = Path(__file__).with_name("journal_child.py")


def recorded(database: Database, platform: PlatformKey, tenant: TenantId) -> list[str]:
    now = datetime.now(UTC)
    with database.tenant(tenant, "live") as tx:
        keys = TenantKeyring(platform, TxKeyRecords(tx), KeyCache(), tenant, "live", secrets.token_bytes, now)
        rows = store.documents(tx, DocumentKind.AUDIT, EVENT, None, 1_000_000)
        found = [open_document(keys, row)[0] for row in rows]
    return [one["request"] for document in found for one in document["detail"]["requests"]]


def answered(told: dict[str, object], seconds: float) -> list[str]:
    """Let a child serve for so long after its first answer, kill it, and return what it said."""
    child = subprocess.Popen([sys.executable, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        child.stdin.write(json.dumps(told).encode() + b"\n")
        child.stdin.flush()
        first = child.stdout.readline()
        time.sleep(seconds)  # the moment is what is drilled
        child.kill()
        said = first + child.stdout.read()
    assert child.wait(10) == -9
    return [line.decode() for line in said.split(b"\n")[:-1]]


def test_whatever_was_answered_before_a_kill_is_in_the_ledger(
    database: Database, make_tenant: Callable[..., TenantId], superuser: psycopg.Connection
) -> None:
    platform = PlatformKey(CryptoKeyId.new(datetime.now(UTC), secrets.token_bytes), Secret(secrets.token_bytes(32)))
    tenants = [make_tenant(database) for _ in range(3)]
    told = {
        "dsns": {name: getattr(database.dsns, name).reveal() for name in ("tenant", "edge", "system")},
        "platform": platform.to_bytes().reveal().hex(),
        "tenants": [str(tenant.value) for tenant in tenants],
    }
    moments = random.Random(SEED)
    said: list[str] = []
    for number in range(KILLS):
        said += answered({**told, "round": number}, moments.uniform(0.0, 0.25))
    found = [request for tenant in tenants for request in recorded(database, platform, tenant)]
    assert len(said) > 100
    assert set(said) <= set(found)
    assert len(found) == len(set(found))
    loose = superuser.execute(
        "SELECT count(*) FROM heldtrue.ledger_documents d FULL JOIN heldtrue.log_pending p USING (leaf_id)"
        " WHERE d.leaf_id IS NULL OR p.leaf_id IS NULL"
    ).fetchone()
    assert loose == (0,)
