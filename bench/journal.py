"""Requests per second into the ledger, by group commit; run `python -m bench journal`.

Beside it on the same server: one transaction a request with the same document (from eight threads), and COPY of as many
rows of the same size in groups of a thousand, which is what PostgreSQL takes in at best.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

from bench.report import Row, row, write
from heldtrue.capabilities.edge.journal import Journal, Served
from heldtrue.capabilities.edge.served import EVENT
from heldtrue.capabilities.ledger.actions import append_audit
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.embedded import EmbeddedServer
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.migrate import migrate
from heldtrue.db.roles import admit, establish
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.ids import CryptoKeyId, KeyId, LeafId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor, AuditEvent

SECONDS = 3.0
CROWD, FEW = 2000, 64
"""Callers that wait for their answers at a time: more than one group, so that the next one fills; and some."""


def main() -> None:
    """Measure, print and write."""
    home = Path(tempfile.mkdtemp(prefix="heldtrue-bench-"))
    home.chmod(0o711)
    server = EmbeddedServer(home / "pg")
    try:
        admin = server.start()
        dsns = establish(admin, secrets.token_bytes)
        admit(admin)
        migrate(admin)
        with Database(dsns, PoolSizes(2, 1, 10)) as database:
            write("journal", _measure(database))
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _measure(database: Database) -> list[Row]:
    tenants = [_organisation(database) for _ in range(200)]
    platform = PlatformKey(CryptoKeyId.new(datetime.now(UTC), secrets.token_bytes), Secret(secrets.token_bytes(32)))
    one_by_one = _one_by_one(database, platform, tenants[:1])
    copied = _copied(database)
    reference = "one transaction a request"
    rows: list[Row] = []
    for name, among in (("one busy organisation", tenants[:1]), ("spread over 200 organisations", tenants)):
        rate, _ = asyncio.run(_journal(database, platform, among, CROWD))
        rows.append(row(f"journal: {name}", rate, "requests/s", reference, one_by_one))
        _, slowest = asyncio.run(_journal(database, platform, among, FEW))
        rows.append(row(f"journal: {name}, p99 of {FEW} callers", slowest * 1000, "ms"))
    rows.append(row("journal: a quiet caller waits", asyncio.run(_quiet(database, platform, tenants[:1])) * 1000, "ms"))
    rows.append(row("COPY of as many rows, 1000 a commit", copied, "rows/s", reference, one_by_one))
    return rows


def _organisation(database: Database) -> TenantId:
    now = datetime.now(UTC)
    tenant = TenantId.new(now, secrets.token_bytes)
    with database.system() as tx:
        tx.execute(
            "INSERT INTO heldtrue.organisations (tenant_id, kind, name_sealed, created_at) VALUES (%s, %s, %s, %s)",
            [tenant.value, "customer", b"sealed", now],
        )
        tx.execute(
            "INSERT INTO heldtrue.environments (tenant_id, environment, created_at) VALUES (%s, %s, %s)",
            [tenant.value, "live", now],
        )
    return tenant


def _served(tenant: TenantId, key: KeyId, number: int) -> Served:
    return Served(
        tenant, "live", key, str(key), None, f"req_{number:032x}", datetime.now(UTC), "GET", "/v1/orders/1234567",
        "/v1/orders/*", "allowed", "forward",
    )  # fmt: skip


async def _journal(
    database: Database, platform: PlatformKey, tenants: Sequence[TenantId], crowd: int
) -> tuple[float, float]:
    """Return requests a second, and the time within which 99 of 100 were answered."""
    journal = Journal(database, platform, KeyCache(), SystemClock(), secrets.token_bytes)
    key = KeyId.new(datetime.now(UTC), secrets.token_bytes)
    waits: list[float] = []
    turns = cycle(tenants)
    end = time.perf_counter() + SECONDS

    async def caller(number: int) -> None:
        while (begun := time.perf_counter()) < end:
            await journal.append(_served(next(turns), key, number))
            waits.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(crowd)))
    spent = time.perf_counter() - begun
    await journal.close()
    return len(waits) / spent, sorted(waits)[int(len(waits) * 0.99)]


async def _quiet(database: Database, platform: PlatformKey, tenants: Sequence[TenantId]) -> float:
    """Return the median wait of one caller that has the journal to itself."""
    journal = Journal(database, platform, KeyCache(), SystemClock(), secrets.token_bytes)
    key = KeyId.new(datetime.now(UTC), secrets.token_bytes)
    waits: list[float] = []
    for number in range(500):
        begun = time.perf_counter()
        await journal.append(_served(tenants[0], key, number))
        waits.append(time.perf_counter() - begun)
    await journal.close()
    return sorted(waits)[len(waits) // 2]


def _one_by_one(database: Database, platform: PlatformKey, tenants: Sequence[TenantId]) -> float:
    cache, end = KeyCache(), time.perf_counter() + SECONDS

    def caller(number: int) -> int:
        done = 0
        for tenant in islice(cycle(tenants), number, None):
            if time.perf_counter() > end:
                break
            now = datetime.now(UTC)
            with database.system() as tx:
                keys = TenantKeyring(platform, TxKeyRecords(tx), cache, tenant, "live", secrets.token_bytes, now)
                actor = Actor("system", tenant, "live")
                event = AuditEvent(event=EVENT, detail={"path": "/v1/orders/1234567", "outcome": "allowed"})
                append_audit(tx, keys, tenant, "live", actor, None, now, secrets.token_bytes, event)
            done += 1
        return done

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(caller, range(8))) / SECONDS


def _copied(database: Database) -> float:
    """Return rows of a request's size that PostgreSQL takes in by COPY, into a table without row-level security."""
    body, done, end = secrets.token_bytes(300), 0, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        now = datetime.now(UTC)
        with database.system() as tx:
            tx.copy(
                "COPY heldtrue.log_pending (leaf_id, entry, created_at) FROM STDIN",
                [(LeafId.new(now, secrets.token_bytes).value, body, now) for _ in range(1000)],
            )
        done += 1000
    return done / SECONDS


if __name__ == "__main__":
    main()
