"""What storing a payload costs while ever more of them are there: the group commit alone, on its own database."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from heldtrue.app.processes import SWITCH
from heldtrue.capabilities.intake.actions import accept
from heldtrue.capabilities.intake.model import Limits, Origin, Taken
from heldtrue.capabilities.intake.objects import LocalObjects
from heldtrue.capabilities.intake.stream import Intake
from heldtrue.capabilities.ledger.actions import append_audit
from heldtrue.crypto.keyring import KeyCache
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import DataKey
from heldtrue.db.embedded import EmbeddedServer
from heldtrue.db.migrate import migrate
from heldtrue.db.roles import admit, establish
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.http.credential import Presented
from heldtrue.http.exchange import Answer
from heldtrue.http.group import GroupCommits, Member
from heldtrue.http.ports import Ports
from heldtrue.http.route import Route
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.errors import UnauthenticatedError
from heldtrue.kernel.ids import CryptoKeyId, KeyId, PayloadId, RequestId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor, Operation

FIRST = 10_000
GROUP = 64
ROUNDS = 40
ROUTE = Route(at="POST /v1/payloads", action=lambda: None, summary="", audits="payload.accepted", creates=True)
KEYS = """
INSERT INTO keystore.object_keys (tenant_id, key_id, tenant_key_id, state, wrapped, created_at)
SELECT %(tenant)s, lpad(to_hex(n), 32, '0')::uuid, k.key_id, 'active', decode(repeat('ab', 40), 'hex'), now()
FROM generate_series(%(from)s::bigint, %(to)s::bigint) AS n,
  (SELECT key_id FROM keystore.tenant_keys WHERE tenant_id = %(tenant)s AND purpose = 'object') AS k
"""
PAYLOADS = """
INSERT INTO heldtrue.payloads (tenant_id, environment, payload_id, object_key_id, source, state, size, meta_sealed,
  body_sealed, received_at, forwarded_at)
SELECT %(tenant)s, 'live', lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, 'http', 'forwarded', 1024,
  decode(repeat('cd', 420), 'hex'), decode(repeat(md5(n::text), 35), 'hex'), now(), now()
FROM generate_series(%(from)s::bigint, %(to)s::bigint) AS n
"""
DOCUMENTS = """
INSERT INTO heldtrue.ledger_documents (tenant_id, environment, leaf_id, kind, event, sealed, created_at)
SELECT %(tenant)s, 'live', lpad(to_hex(n), 32, '0')::uuid, 'audit', 'payload.accepted',
  decode(repeat('ef', 500), 'hex'), now()
FROM generate_series(%(from)s::bigint, %(to)s::bigint) AS n
"""


def cost_by_rows(body: bytes, longest: int) -> list[tuple[float, float]]:
    """Return pairs of payloads stored already and the microseconds that one more costs, ten times more each time."""
    sys.setswitchinterval(SWITCH)  # as a process of the product
    home = Path(tempfile.mkdtemp(prefix="heldtrue-bench-"))
    home.chmod(0o711)
    server = EmbeddedServer(home / "pg")
    try:
        admin = server.start()
        dsns = establish(admin, secrets.token_bytes)
        admit(admin)
        migrate(admin)
        with (
            Database(dsns, PoolSizes(4, 1, 2)) as database,
            psycopg.connect(admin.reveal(), autocommit=True) as superuser,
        ):
            scene = Scene(database, home)
            return asyncio.run(scene.measure(superuser, body, longest))
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


class Scene:
    """One organisation, and the group commit that stores for it."""

    def __init__(self, database: Database, home: Path) -> None:
        now = datetime.now(UTC)
        self.tenant = TenantId.new(now, secrets.token_bytes)
        self.actor = Actor("key", self.tenant, "live", KeyId.new(now, secrets.token_bytes))
        self.objects = LocalObjects(home / "objects")
        with database.system() as tx:
            tx.execute(
                "INSERT INTO heldtrue.organisations (tenant_id, kind, name_sealed, created_at) VALUES (%s, %s, %s, %s)",
                [self.tenant.value, "customer", b"sealed", now],
            )
            tx.execute(
                "INSERT INTO heldtrue.environments (tenant_id, environment, created_at) VALUES (%s, %s, %s)",
                [self.tenant.value, "live", now],
            )
        platform = PlatformKey(CryptoKeyId.new(now, secrets.token_bytes), Secret(secrets.token_bytes(32)))
        self.ports = Ports(
            database=database, clock=SystemClock(), entropy=secrets.token_bytes, platform=platform,
            key_cache=KeyCache(), authenticate=_nobody, record_audit=append_audit,
        )  # fmt: skip
        self.commits = GroupCommits(self.ports)

    async def measure(self, superuser: psycopg.Connection, body: bytes, longest: int) -> list[tuple[float, float]]:
        """Fill up and measure in turn."""
        found: list[tuple[float, float]] = []
        await self.cost(body)
        there, target = 1, FIRST
        while target <= longest:
            for statement in (KEYS, PAYLOADS, DOCUMENTS):
                superuser.execute(statement, {"tenant": self.tenant.value, "from": there, "to": target})
            superuser.execute("VACUUM ANALYZE")
            superuser.execute("CHECKPOINT")
            found.append((float(target), await self.cost(body)))
            there = target + 1
            target = target * 10 if target * 10 <= longest or target == longest else longest
        self.commits.close()
        return found

    async def cost(self, body: bytes) -> float:
        """Return the median cost of a payload in groups of `GROUP`, sealing included, in microseconds."""
        spent: list[float] = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            await asyncio.gather(*(self.commits.perform(self.member(body)) for _ in range(GROUP)))
            spent.append((time.perf_counter() - begun) / GROUP * 1e6)
        return statistics.median(spent)

    def member(self, body: bytes) -> Member:
        """Return a payload on its way in."""
        now = self.ports.clock.now()
        key, payload = DataKey.generate(secrets.token_bytes, now), PayloadId.new(now, secrets.token_bytes)
        origin = Origin(self.tenant, "live", payload)
        intake = Intake(self.objects, key, origin, Limits(), entropy=secrets.token_bytes, run=_never)
        taken = intake.take_small("application/json", body)
        return Member(ROUTE, self.actor, RequestId.new(now, secrets.token_bytes), _accepting(payload, key, taken), None)


def _accepting(payload: PayloadId, key: DataKey, taken: Taken) -> Callable[[Operation], Answer]:
    return lambda op: Answer(body=accept(op, payload, key, taken, tls=None, source="http"))


def _nobody(_presented: Presented) -> Actor:
    raise UnauthenticatedError


async def _never(act: Callable[[], Any]) -> Any:
    raise AssertionError(f"a small payload needs no thread, {act}")
