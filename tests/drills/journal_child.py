"""A process that journals requests under load and says which it has answered, to be killed; told all on its input."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from heldtrue.capabilities.edge.journal import Journal, Served
from heldtrue.crypto.keyring import KeyCache
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.roles import RoleDsns
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.ids import KeyId, TenantId
from heldtrue.kernel.secret import Secret

CALLERS = 50


async def serve(told: dict[str, Any], database: Database) -> None:
    """Answer requests until the end comes."""
    platform = PlatformKey.from_bytes(Secret(bytes.fromhex(told["platform"])))
    journal = Journal(database, platform, KeyCache(), SystemClock(), secrets.token_bytes)
    tenants = [TenantId(UUID(text)) for text in told["tenants"]]
    key = KeyId.new(datetime.now(UTC), secrets.token_bytes)

    async def caller(number: int) -> None:
        count = 0
        while True:
            count += 1
            request = f"req_{told['round']:08x}{number:08x}{count:016x}"
            tenant = tenants[(number + count) % len(tenants)]
            await journal.append(
                Served(
                    tenant=tenant, environment="live", key=key, subject=str(key), session=None, request=request,
                    at=datetime.now(UTC), method="GET", path="/v1/orders", rule=None, outcome="allowed", door="drill",
                )
            )  # fmt: skip
            os.write(1, f"{request}\n".encode())  # the answer: from here on somebody knows of it

    await asyncio.gather(*(caller(number) for number in range(CALLERS)))


if __name__ == "__main__":
    given = json.loads(sys.stdin.readline())
    dsns = RoleDsns(**{name: Secret(given["dsns"][name]) for name in ("tenant", "edge", "system")})
    asyncio.run(serve(given, Database(dsns, PoolSizes(tenant=1, edge=1, system=2))))
