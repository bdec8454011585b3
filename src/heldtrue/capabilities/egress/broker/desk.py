"""Two sockets: at one the worker says what an execution may call, at the other the runner hands over its calls.

A grant is a random token for one execution. It ends when it is revoked, when whoever gave it hangs up, or after
`LONGEST_LIFE`; calls under way end with it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from heldtrue.capabilities.deliveries.connector import Ways
from heldtrue.capabilities.egress.broker import calling, frames
from heldtrue.capabilities.egress.grants import Calls, Grant

LONGEST_LIFE = 120.0
"""Seconds: more than any execution may take."""
MOST_GRANTS = 4096
Hear = Callable[[bytes], Awaitable[bytes | None]]
"""Take a frame and return what is said to it."""
log = logging.getLogger("heldtrue.broker")
_CREDENTIALS = struct.Struct("3i")


@dataclass(slots=True, eq=False)
class Open:
    """A grant that is in force."""

    account: calling.Account
    ends: asyncio.TimerHandle
    tasks: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])


class Desk:
    """What is granted at this moment."""

    def __init__(self, ways: Ways, granters: frozenset[int], callers: frozenset[int]) -> None:
        """Hear grants from the users *granters* alone, calls from *callers*."""
        self._ways = ways
        self._granters, self._callers = granters, callers
        self._open: dict[str, Open] = {}
        self._visits: set[asyncio.Task[Any]] = set()

    # ------------------------------------------------------------ the worker

    async def welcome_granter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take grants and revocations until the worker hangs up, which revokes what it granted."""
        given = set[str]()
        try:
            await self._visit(reader, writer, self._granters, partial(self._decide, given))
        finally:
            for token in given:
                await self._revoke(token)

    async def _decide(self, given: set[str], frame: bytes) -> bytes:
        asked: Any
        asked, body = frames.split(frame)
        match asked:
            case {"do": "grant"}:
                token = self._grant(msgspec.json.decode(body, type=Grant))
                given.add(token)
                return frames.joined({"token": token})
            case {"do": "revoke", "token": str(token)} if token in given:
                given.discard(token)
                return frames.joined({"revoked": True}, msgspec.json.encode(await self._revoke(token)))
            case _:
                raise frames.FrameError("what is asked is no grant of yours")

    def _grant(self, grant: Grant) -> str:
        if len(self._open) >= MOST_GRANTS:
            raise frames.FrameError("there are too many grants")
        token = secrets.token_urlsafe(32)
        loop = asyncio.get_running_loop()
        ends = loop.call_later(LONGEST_LIFE, self._expire, token)
        self._open[token] = Open(calling.Account(grant), ends)
        return token

    def _expire(self, token: str) -> None:
        found = self._open.pop(token, None)
        for task in found.tasks if found else ():
            task.cancel()

    async def _revoke(self, token: str) -> Calls:
        found = self._open.pop(token, None)
        if found is None:
            return Calls()
        found.ends.cancel()
        for task in found.tasks:
            task.cancel()
        if found.tasks:
            await asyncio.wait(found.tasks)
        return found.account.told()

    # ------------------------------------------------------------ the runner

    async def welcome_caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the calls of one execution: the first frame names its token, each further one is a call."""
        token: list[str] = []

        async def hear(frame: bytes) -> bytes | None:
            if not token:
                token.append(frame.decode("ascii", "replace"))
                return None
            return await self._call(token[0], frame)

        await self._visit(reader, writer, self._callers, hear)

    async def _call(self, token: str, frame: bytes) -> bytes:
        found = self._open.get(token)
        if found is None:
            return frames.joined({"refused": ["no-grant", "this run may call nobody any more"]})
        try:
            head, body = frames.split(frame)
        except frames.FrameError as error:
            return frames.joined({"refused": ["bad-call", str(error)]})
        call = asyncio.create_task(calling.answer(found.account, self._ways, head, body))
        found.tasks.add(call)
        call.add_done_callback(found.tasks.discard)
        try:
            await asyncio.wait((call,))
        except asyncio.CancelledError:
            call.cancel()
            raise
        if not call.cancelled() and (error := call.exception()) is not None:
            log.error("a call failed in an unknown way: %s", type(error).__name__)  # its text may hold what was sent
            return frames.joined({"refused": ["broken", "the broker could not make this call"]})
        if call.cancelled():
            return frames.joined({"refused": ["no-grant", "the run is over"]})
        return frames.joined(*call.result())

    # ------------------------------------------------------------ both

    async def _visit(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, users: frozenset[int], hear: Hear
    ) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._visits.add(task)
            task.add_done_callback(self._visits.discard)
        try:
            while peer(writer) in users:
                said = await hear(await frames.read(reader))
                if said is not None:
                    await frames.write(writer, said)
        except (asyncio.IncompleteReadError, ConnectionError, frames.FrameError, msgspec.ValidationError):
            return  # they hung up, or do not speak this protocol
        finally:
            writer.close()

    async def close(self) -> None:
        """End every conversation."""
        for task in self._visits:
            task.cancel()
        if self._visits:
            await asyncio.wait(self._visits)
        for found in self._open.values():
            found.ends.cancel()


def peer(writer: asyncio.StreamWriter) -> int:
    """Return the user at the other end, as the kernel knows it (SO_PEERCRED)."""
    connection = writer.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return uid


async def serve(
    ways: Ways, grants: socket.socket, calls: socket.socket, *, granters: frozenset[int], callers: frozenset[int],
    stop: asyncio.Event, started: asyncio.Event,
) -> None:  # fmt: skip
    """Answer on both sockets until *stop*; root and our own user may always come."""
    us = frozenset({0, os.geteuid()})
    desk = Desk(ways, granters | us, callers | us)
    servers = [
        await asyncio.start_unix_server(desk.welcome_granter, sock=grants),
        await asyncio.start_unix_server(desk.welcome_caller, sock=calls),
    ]
    started.set()
    try:
        await stop.wait()
    finally:
        for server in servers:
            server.close()
        await desk.close()
