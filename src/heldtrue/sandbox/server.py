"""The runner: jobs over a unix socket, one after the other on each connection, from our own user or root alone."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any

from heldtrue.kernel.errors import HeldtrueError
from heldtrue.sandbox import wire
from heldtrue.sandbox.engine import Engine
from heldtrue.sandbox.image import Image
from heldtrue.sandbox.jail.layers import ALL, Layers
from heldtrue.sandbox.jobs import Job

_CREDENTIALS = struct.Struct("3i")
_HANG_UP_WITHIN = 10.0


async def serve(
    listener: socket.socket, *, stop: asyncio.Event, layers: Layers = ALL, pool: int = 2, image: Image | None = None,
    images: Path | None = None, tenants: int = 4, concurrent: int | None = None, started: asyncio.Event | None = None,
    users: frozenset[int] = frozenset(), broker: Path | None = None,
) -> None:  # fmt: skip
    """Answer on *listener* until *stop*; raise `SandboxRefusedError` where this machine cannot isolate.

    *image* is what the supervisor built (`image.build`); *started* is set when jobs are taken. Besides root and our
    own user, the
    *users* named may connect. Calls of runs are handed over at *broker*.
    """
    async with Engine(
        layers=layers, image=image, images=images, pool=pool, tenants=tenants, concurrent=concurrent, broker=broker
    ) as engine:
        desk = _Desk(engine, users | {0, os.geteuid()})
        server = await asyncio.start_unix_server(desk.welcome, sock=listener)
        if started is not None:
            started.set()
        await stop.wait()
        server.close()
        await desk.close()


class _Desk:
    """The connections of one runner."""

    def __init__(self, engine: Engine, users: frozenset[int]) -> None:
        self._engine = engine
        self._users = users
        self._open: set[asyncio.Task[Any]] = set()

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            if _peer(writer) in self._users:
                await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # they hung up
        except wire.WireError as error:
            await self._say_goodbye(writer, error)
        finally:
            writer.close()

    async def _say_goodbye(self, writer: asyncio.StreamWriter, error: wire.WireError) -> None:
        try:
            await wire.write(writer, {"failed": ["bad-input", str(error)]})
        except ConnectionError:
            return

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, blobs = await wire.read(reader)
            if head.get("do") == "about":
                await wire.write(writer, {"about": asdict(self._engine.about)})
                continue
            if head.get("do") != "run":
                raise wire.WireError("what is asked is neither `run` nor `about`")
            await self._run(wire.job_in(head, blobs), reader, writer)

    async def _run(self, job: Job, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run one job; who hangs up ends it, and who says something more meanwhile does not speak this protocol."""
        run = asyncio.create_task(self._engine.run(job))
        more = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait((run, more), return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                raise (
                    wire.WireError("a job was sent before the last one was answered")
                    if more.result()
                    else ConnectionError
                )
        finally:
            for task in (run, more):
                task.cancel()
            await asyncio.wait((run, more))
        if more.done() and not more.cancelled():
            raise ConnectionError
        try:
            answer, outputs = wire.result_out(run.result())
        except HeldtrueError as error:
            answer, outputs = {"failed": [error.code, error.message]}, []
        await wire.write(writer, answer, outputs)

    async def close(self) -> None:
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open, timeout=_HANG_UP_WITHIN)


def _peer(writer: asyncio.StreamWriter) -> int:
    """Return the user at the other end, as the kernel knows it (SO_PEERCRED)."""
    connection = writer.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return uid
