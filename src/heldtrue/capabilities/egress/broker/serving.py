"""The broker's life: two sockets, two ways out, until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Any

from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.connector import Ways
from heldtrue.capabilities.egress.broker.desk import serve

AT_ONCE = 256
"""Calls on their way at once, for all runs together."""


def serve_until_asked(told: dict[str, Any]) -> None:
    """Serve what the supervisor told."""
    asyncio.run(_run(told))


async def _run(told: dict[str, Any]) -> None:
    stop, started = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    telling = asyncio.create_task(_tell(started, told["ready"]))
    ways = Ways(
        AllowList.parse(told["allow"]), ca_file=None, authorities=told["authorities"], resolver=None,
        concurrency=AT_ONCE,
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
