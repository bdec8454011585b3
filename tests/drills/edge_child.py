"""A process with an edge of its own, under load; it is told which keys to watch, and asked what it saw of them."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import structlog
from edgekeys import call

from heldtrue.capabilities.edge.limits import Allowance, by_class
from heldtrue.capabilities.edge.model import EdgePolicy
from heldtrue.capabilities.edge.runtime import EdgeParts, EdgeRuntime, open_runtime
from heldtrue.crypto.keyring import KeyCache
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.roles import RoleDsns
from heldtrue.db.tx import Database, PoolSizes
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.errors import HeldtrueError
from heldtrue.kernel.secret import Secret

PACE = 0.004
LOADERS = 4
PLENTY = Allowance(1_000_000, 1_000_000.0)


class Watch:
    """When each key was last let in, and since when and why it is refused; times by `time.monotonic`."""

    def __init__(self, runtime: EdgeRuntime) -> None:
        self.runtime = runtime
        self.keys: list[str] = []
        self.seen: list[dict[str, Any]] = []
        self.verdicts: dict[str, int] = {}

    def put(self, tokens: list[str]) -> None:
        self.keys = tokens
        self.seen = [{"last": None, "since": None, "code": None} for _ in tokens]

    async def look(self) -> None:
        """Decide about every key, again and again."""
        while True:
            for token, seen in zip(self.keys, self.seen, strict=True):
                began = time.monotonic()
                try:
                    decision = self.runtime.gatekeeper.decider.decide(call(token))
                    assert decision.denial is None
                    seen.update(last=began, since=None, code=None)
                except HeldtrueError as error:
                    seen.update(since=seen["since"] or began, code=error.code)
            await asyncio.sleep(PACE)

    async def load(self) -> None:
        """Judge calls of the first key, each put on record, as fast as they are answered."""
        while True:
            if not self.keys:
                await asyncio.sleep(PACE)
                continue
            verdict = await self.runtime.judge(call(self.keys[0]))
            self.verdicts[verdict.code or "allowed"] = self.verdicts.get(verdict.code or "allowed", 0) + 1
            await asyncio.sleep(0.0 if verdict.allowed else PACE)


async def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # answers go to the other
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    told = json.loads(await lines.readline())
    dsns = RoleDsns(**{name: Secret(text) for name, text in told["dsns"].items()})
    with Database(dsns, PoolSizes(tenant=1, edge=1, system=2)) as database:
        parts = EdgeParts(
            database=database,
            platform=PlatformKey.from_bytes(Secret(bytes.fromhex(told["platform"]))),
            cache=KeyCache(),
            clock=SystemClock(),
            entropy=secrets.token_bytes,
            issuer="https://log.example.test",
            policy=EdgePolicy(limits=by_class(organisation=PLENTY, key=PLENTY)),
            record_refusals=lambda _summary: None,
        )
        async with open_runtime(parts) as runtime:
            watch = Watch(runtime)
            tasks = [asyncio.create_task(watch.look()), *(asyncio.create_task(watch.load()) for _ in range(LOADERS))]
            print(json.dumps({"ready": not runtime.gatekeeper.stale}), flush=True)
            while line := await lines.readline():
                asked = json.loads(line)
                if "watch" in asked:
                    watch.put(asked["watch"])
                print(json.dumps({"keys": watch.seen, "verdicts": watch.verdicts}), flush=True)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
