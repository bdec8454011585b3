"""Requests served at the edge are in their organisation's ledger before anybody is answered."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from heldtrue.capabilities.edge import served as documents
from heldtrue.capabilities.edge.journal import GROUP, Journal, JournalUnavailableError, Served
from heldtrue.capabilities.edge.served import DOCUMENT_LIMIT, EVENT
from heldtrue.capabilities.ledger import model, store
from heldtrue.capabilities.ledger.actions import open_document
from heldtrue.capabilities.ledger.model import DocumentKind
from heldtrue.capabilities.ledger.routes import AuditQuery, list_audit
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.tx import Database
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.ids import CryptoKeyId, KeyId, LeafId, RequestId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor, Operation

MakeTenant = Callable[..., TenantId]


class Scene:
    """A journal over a real database, and what its organisations then read."""

    def __init__(self, database: Database) -> None:
        now = datetime.now(UTC)
        self.database = database
        self.platform = PlatformKey(CryptoKeyId.new(now, secrets.token_bytes), Secret(secrets.token_bytes(32)))
        self.cache = KeyCache()
        self.key = KeyId.new(now, secrets.token_bytes)
        self.journal = Journal(database, self.platform, self.cache, SystemClock(), secrets.token_bytes)

    def served(self, tenant: TenantId, number: int = 0, **other: Any) -> Served:
        one = Served(
            tenant=tenant, environment="live", key=self.key, subject=str(self.key), session=None,
            request=f"req_{number:032x}", at=datetime.now(UTC), method="GET", path="/v1/orders/7", rule="/v1/orders/*",
            outcome="allowed", door="forward",
        )  # fmt: skip
        return one._replace(**other)

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async def both() -> Any:
            try:
                return await work()
            finally:
                await self.journal.close()

        return asyncio.run(both())

    def documents(self, tenant: TenantId) -> list[dict[str, Any]]:
        with self.database.tenant(tenant, "live") as tx:
            keys = TenantKeyring(
                self.platform, TxKeyRecords(tx), self.cache, tenant, "live", secrets.token_bytes, datetime.now(UTC)
            )
            rows = store.documents(tx, DocumentKind.AUDIT, EVENT, None, 10_000)
            return [open_document(keys, row)[0] for row in rows]

    def requests(self, tenant: TenantId) -> list[str]:
        return [one["request"] for found in self.documents(tenant) for one in found["detail"]["requests"]]


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def test_a_request_is_in_the_ledger_when_append_returns(scene: Scene, make_tenant: MakeTenant) -> None:
    tenant = make_tenant(scene.database)

    async def work() -> None:
        await scene.journal.append(scene.served(tenant, 1, path="/v1/orders/7?card=4111", outcome="rate-limited"))
        assert scene.requests(tenant) == ["req_" + "0" * 31 + "1"]

    scene.run(work)
    (document,) = scene.documents(tenant)
    assert document["event"] == "requests.served"
    assert document["tenant"] == str(tenant)
    assert document["detail"]["count"] == 1
    (one,) = document["detail"]["requests"]
    assert set(one) == {
        "at", "door", "key", "method", "outcome", "path", "request", "rule", "session", "subject",
    }  # fmt: skip
    assert (one["path"], one["outcome"], one["key"]) == ("/v1/orders/7", "rate-limited", str(scene.key))


def test_a_crowd_shares_few_commits_and_each_organisation_reads_its_own(scene: Scene, make_tenant: MakeTenant) -> None:
    tenants = [make_tenant(scene.database) for _ in range(3)]

    async def work() -> None:
        await asyncio.gather(*(scene.journal.append(scene.served(tenants[n % 3], n)) for n in range(3000)))

    scene.run(work)
    for place, tenant in enumerate(tenants):
        assert sorted(scene.requests(tenant)) == [f"req_{n:032x}" for n in range(place, 3000, 3)]
    assert sum(len(scene.documents(tenant)) for tenant in tenants) <= 3 * (3000 // GROUP + 2)
    with scene.database.system() as tx:
        waiting = store.pending(tx, 10_000)
    assert len(waiting) == sum(len(scene.documents(tenant)) for tenant in tenants)


def test_each_document_has_its_commitment_in_the_log(scene: Scene, make_tenant: MakeTenant) -> None:
    tenant = make_tenant(scene.database)
    scene.run(lambda: scene.journal.append(scene.served(tenant)))
    with scene.database.tenant(tenant, "live") as tx:
        keys = TenantKeyring(
            scene.platform, TxKeyRecords(tx), scene.cache, tenant, "live", secrets.token_bytes, datetime.now(UTC)
        )
        (row,) = store.documents(tx, DocumentKind.AUDIT, EVENT, None, 10)
        document, salt = open_document(keys, row)
    with scene.database.system() as tx:
        (entry,) = store.pending(tx, 10)
    assert entry.leaf_id == row.leaf_id
    assert entry.entry == model.tenant_entry(model.commitment(salt, model.canonical(document)))


def test_an_organisation_lists_its_requests_by_their_event(scene: Scene, make_tenant: MakeTenant) -> None:
    tenant, other = make_tenant(scene.database), make_tenant(scene.database)

    async def work() -> None:
        await asyncio.gather(*(scene.journal.append(scene.served(one, n)) for n, one in enumerate([tenant, other])))

    scene.run(work)
    now = datetime.now(UTC)
    with scene.database.tenant(tenant, "live") as tx:
        op = Operation(
            actor=Actor("key", tenant, "live"), tenant=tenant, environment="live", now=now, entropy=secrets.token_bytes,
            tx=tx, record=lambda _event: LeafId.new(now, secrets.token_bytes),
            keys=TenantKeyring(
                scene.platform, TxKeyRecords(tx), scene.cache, tenant, "live", secrets.token_bytes, now
            ),
            request=RequestId.new(now, secrets.token_bytes),
        )  # fmt: skip
        (entry,) = list_audit(op, AuditQuery(event="requests.served")).data
    assert entry.event == "requests.served"
    assert entry.document is not None
    assert [one["request"] for one in entry.document["detail"]["requests"]] == ["req_" + "0" * 32]


def test_text_that_is_no_unicode_or_endless_spoils_nobodys_record(scene: Scene, make_tenant: MakeTenant) -> None:
    tenant = make_tenant(scene.database)

    async def work() -> None:
        await asyncio.gather(
            scene.journal.append(scene.served(tenant, 1, path="/\udcff" + "é" * 4000, method="G" * 9000)),
            scene.journal.append(scene.served(tenant, 2)),
        )

    scene.run(work)
    found = {one["request"]: one for doc in scene.documents(tenant) for one in doc["detail"]["requests"]}
    assert len(found) == 2
    assert found["req_" + "0" * 31 + "1"]["path"].startswith("/\\udcffé")
    assert max(len(str(text).encode()) for one in found.values() for text in one.values()) <= 512


def test_a_document_is_split_before_it_grows_over_its_limit(scene: Scene, make_tenant: MakeTenant) -> None:
    tenant = make_tenant(scene.database)
    many = [scene.served(tenant, n, path="/" + "\x01" * 500, subject="s" * 500) for n in range(GROUP)]
    texts = list(documents.documents((tenant, "live"), many, datetime.now(UTC)))
    assert len(texts) > 10
    assert max(map(len, texts)) <= DOCUMENT_LIMIT
    assert sum(model.parse_entry(text)["detail"]["count"] for text in texts) == GROUP


def test_one_organisation_whose_records_fail_is_refused_alone(
    scene: Scene, make_tenant: MakeTenant, superuser: psycopg.Connection
) -> None:
    sound, broken = make_tenant(scene.database), make_tenant(scene.database)
    superuser.execute(
        "INSERT INTO keystore.tenant_keys (tenant_id, key_id, purpose, state, wrapped, created_at)"
        " VALUES (%s, gen_random_uuid(), 'ledger', 'active', %s, now())",
        [broken.value, b"\0" * 40],
    )

    async def work() -> list[Any]:
        return await asyncio.gather(
            *(scene.journal.append(scene.served(tenant, n)) for n, tenant in enumerate([sound, broken, sound])),
            return_exceptions=True,
        )

    first, second, third = scene.run(work)
    assert first is None
    assert third is None
    assert isinstance(second, JournalUnavailableError)
    assert len(scene.requests(sound)) == 2


def test_a_database_that_does_not_answer_means_refused_within_two_seconds(
    scene: Scene, make_tenant: MakeTenant, superuser: psycopg.Connection
) -> None:
    tenant = make_tenant(scene.database)

    async def work() -> None:
        await scene.journal.append(scene.served(tenant, 1))
        with superuser.transaction():
            superuser.execute("LOCK TABLE heldtrue.ledger_documents IN ACCESS EXCLUSIVE MODE")
            begun = time.monotonic()
            with pytest.raises(JournalUnavailableError):
                await scene.journal.append(scene.served(tenant, 2))
            assert time.monotonic() - begun < 2.3
        await scene.journal.append(scene.served(tenant, 3))

    scene.run(work)
    assert {f"req_{n:032x}" for n in (1, 3)} <= set(scene.requests(tenant))


def test_a_database_that_went_away_means_refused_at_once(
    scene: Scene, make_tenant: MakeTenant, superuser: psycopg.Connection
) -> None:
    tenant = make_tenant(scene.database)

    async def work() -> None:
        await scene.journal.append(scene.served(tenant, 1))
        await asyncio.to_thread(scene.database.close)
        with pytest.raises(JournalUnavailableError):
            await scene.journal.append(scene.served(tenant, 2))

    scene.run(work)
    assert superuser.execute("SELECT count(*) FROM heldtrue.ledger_documents").fetchone() == (1,)


def test_a_caller_that_gives_up_takes_nobody_with_it(scene: Scene, make_tenant: MakeTenant) -> None:
    tenant = make_tenant(scene.database)

    async def work() -> None:
        tasks = [asyncio.create_task(scene.journal.append(scene.served(tenant, n))) for n in range(5)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one).__name__ for one in ended] == [
            "NoneType", "NoneType", "CancelledError", "NoneType", "NoneType",
        ]  # fmt: skip

    scene.run(work)


def test_a_closed_journal_refuses(scene: Scene, make_tenant: MakeTenant) -> None:
    tenant = make_tenant(scene.database)

    async def work() -> None:
        late = asyncio.create_task(scene.journal.append(scene.served(tenant, 1)))
        await asyncio.sleep(0)
        await scene.journal.close()
        await late
        with pytest.raises(JournalUnavailableError):
            await scene.journal.append(scene.served(tenant, 2))

    scene.run(work)
    assert scene.requests(tenant) == ["req_" + "0" * 31 + "1"]
