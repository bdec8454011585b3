"""Connections for deliveries, kept for the next to the same host: TLS, to an address that is judged on connecting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohappyeyeballs
import aiohttp
from aiohttp.abc import AbstractResolver

from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.connector import Roads
from heldtrue.capabilities.deliveries.exchange import Line, Target

KEEP = 15.0
"""Seconds that a connection waits for another request."""
MAX_AGE = 60.0
"""Seconds after which a connection takes no other request, so that a name that leads elsewhere is followed."""
STAGGER = 0.25
"""Seconds between two addresses of a name (RFC 8305, section 5)."""


class Lines:
    """Connections by host and port. Made inside the event loop."""

    def __init__(
        self, allow: AllowList, *, ca_file: Path | None, authorities: str | None, resolver: AbstractResolver | None,
        keep: int,
    ) -> None:  # fmt: skip
        """Keep up to *keep* connections that nobody uses.

        Only inner addresses that *allow* lists are trusted by *ca_file* and *authorities* (PEM): an inner authority
        must not vouch for a public host.
        """
        self._resolver = resolver or aiohttp.ThreadedResolver()
        self._roads = Roads(allow, ca_file=ca_file, authorities=authorities)
        self._most = keep
        self._kept: dict[tuple[str, int], list[tuple[float, Line]]] = {}
        self._count = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._lines: set[Line] = set()

    async def take(self, to: Target) -> Line:
        """Return a connection to *to*, kept or new; give it back or cut it.

        Raises `AddressRefusedOSError` where nothing of the name may be connected to, `ssl.SSLError` where the receiver
        does not prove who it is, and any other `OSError` where nobody answers.
        """
        loop = asyncio.get_running_loop()
        waiting, now = self._kept.get((to.host, to.port), []), loop.time()
        while waiting:
            since, line = waiting.pop()
            self._count -= 1
            if line.free and now - since < KEEP and now < line.until:
                return line
            self._end(line)
        return await self._open(loop, to)

    def give_back(self, to: Target, line: Line) -> None:
        """Keep *line* for the next request to *to*, if it can take one."""
        loop = asyncio.get_running_loop()
        if not line.free or self._count >= self._most or loop.time() >= line.until:
            self._end(line)
            return
        self._kept.setdefault((to.host, to.port), []).append((loop.time(), line))
        self._count += 1
        if self._sweep is None:
            self._sweep = loop.call_later(KEEP, self._tidy)

    def cut(self, line: Line) -> None:
        """End a connection on which something is still on its way."""
        self._end(line)

    async def close(self) -> None:
        """End every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
        for line in list(self._lines):
            self._end(line)
        self._kept.clear()
        await self._resolver.close()
        await self._roads.drain()

    async def _open(self, loop: asyncio.AbstractEventLoop, to: Target) -> Line:
        road, infos = await self._roads.lead(to.host, to.port, self._resolver)
        sock = await aiohappyeyeballs.start_connection(
            infos, happy_eyeballs_delay=STAGGER, loop=loop, socket_factory=road.judged.socket
        )
        _, line = await loop.create_connection(
            lambda: Line(loop, loop.time() + MAX_AGE), sock=sock, ssl=road.context, server_hostname=to.host.rstrip(".")
        )
        self._lines.add(line)
        return line

    def _end(self, line: Line) -> None:
        line.cut()
        self._lines.discard(line)

    def _tidy(self) -> None:
        """End what has waited too long."""
        now = asyncio.get_running_loop().time()
        for key, waiting in list(self._kept.items()):
            fresh = [(since, line) for since, line in waiting if line.free and now - since < KEEP]
            kept = {line for _, line in fresh}
            for _, line in waiting:
                if line not in kept:
                    self._end(line)
            self._count -= len(waiting) - len(fresh)
            if fresh:
                self._kept[key] = fresh
            else:
                del self._kept[key]
        self._sweep = asyncio.get_running_loop().call_later(KEEP, self._tidy) if self._kept else None
