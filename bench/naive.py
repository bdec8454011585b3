"""The naive verifier: an ASGI application that asks the database about the key at each request, and does nothing else.

What a company writes in an afternoon: SHA-256 of the bearer token, one SELECT by digest through a pool, 204 or 401. No
limit, no audit entry. Run as `NAIVE_DSN=… python -m bench.naive PORT`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import Any

from granian.constants import Interfaces, Loops
from granian.server import Server
from psycopg_pool import AsyncConnectionPool

QUERY = "SELECT state FROM keys WHERE digest = %s"
POOL = 16


class Naive:
    """One SELECT a request."""

    def __init__(self, dsn: str) -> None:
        self._pool = AsyncConnectionPool(dsn, min_size=POOL, max_size=POOL, open=False)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await self._pool.open(wait=True)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        digest = hashlib.sha256(token.removeprefix(b"Bearer ")).digest()
        async with self._pool.connection() as connection:
            row = await (await connection.execute(QUERY, [digest])).fetchone()
        status = 204 if row is not None and row[0] == "active" else 401
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def make() -> Naive:
    """Return the application of this process."""
    return Naive(os.environ["NAIVE_DSN"])


if __name__ == "__main__":
    Server("bench.naive:make", factory=True, address="127.0.0.1", port=int(sys.argv[1]), interface=Interfaces.ASGI,
           loop=Loops.uvloop, workers=1, log_enabled=False).serve()  # fmt: skip
