"""The broker's own program: in a fresh interpreter with an empty environment, beside a copy of what it needs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

READABLE = ("/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve")
"""Of the machine: what resolves names, and whom certificates are trusted from."""
AT_ONCE = 256
"""Calls on their way at once, for all runs together."""


def main(arguments: list[str]) -> int:
    """Serve both sockets until SIGTERM."""
    from heldtrue.kernel.errors import HeldtrueError

    with os.fdopen(int(arguments[0]), "rb") as file:
        file.seek(0)
        told: dict[str, Any] = json.loads(file.read())
    _enclose(told["readable"])
    try:
        asyncio.run(_run(told))
    except HeldtrueError as error:
        print(f"heldtrue: the broker ended: {error.message} {error.advice}".rstrip(), file=sys.stderr)
        return 1
    return 0


def _enclose(readable: list[str]) -> None:
    """Give up every file but these, where the kernel knows how: nothing is ever written, and no key or data read."""
    from heldtrue.sandbox.jail import landlock

    if landlock.abi() > 0:
        there = [path for path in readable if Path(path).is_dir()]
        landlock.restrict(there, [], files=True, net=False, scope=landlock.abi() >= 6)


async def _run(told: dict[str, Any]) -> None:
    from heldtrue.capabilities.deliveries.addresses import AllowList
    from heldtrue.capabilities.deliveries.connector import Ways
    from heldtrue.capabilities.egress.broker.desk import serve

    stop, started = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    telling = asyncio.create_task(_tell(started, told["ready"]))
    ways = Ways(
        AllowList.parse(told["allow"]), ca_file=None, authorities=told["authorities"], resolver=None,
        concurrency=AT_ONCE, keep=False,
    )  # fmt: skip
    try:
        await serve(
            ways, socket.socket(fileno=told["grants"]), socket.socket(fileno=told["calls"]),
            granters=frozenset(told["granters"]), callers=frozenset(told["callers"]), stop=stop, started=started,
        )  # fmt: skip
    finally:
        telling.cancel()
        await ways.close()


async def _tell(started: asyncio.Event, descriptor: int) -> None:
    """Tell the supervisor when calls are taken."""
    await started.wait()
    os.write(descriptor, b"+")
    os.close(descriptor)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))
