"""Ask the runner: a few connections that are kept, one job at a time on each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heldtrue.kernel.errors import UnavailableError
from heldtrue.sandbox import wire
from heldtrue.sandbox.jobs import About, Job, RunResult

GRACE = 60.0
"""Seconds beyond the wall time of a job after which the runner counts as gone."""
KEPT = 8

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class RunnerUnavailableError(UnavailableError):
    """The runner does not answer or cannot isolate; nothing was run. Try again, and see `heldtrue doctor` when it
    stays so.
    """

    code = "runner-unavailable"


class RunnerClient:
    """A client of the runner behind one socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._idle: deque[_Connection] = deque()

    async def run(self, job: Job) -> RunResult:
        """Run one job; raise `RunnerUnavailableError` when the runner does not answer."""
        head, blobs = wire.job_out(job)
        answer, outputs = await self._ask(head, blobs, job.limits.wall_ms / 1000 + GRACE)
        try:
            return wire.result_in(answer, outputs)
        except wire.WireError as error:
            raise RunnerUnavailableError(str(error)) from error

    async def about(self) -> About:
        """Return which walls stand there, and the identity of the environment."""
        answer, _ = await self._ask({"do": "about"}, (), GRACE)
        try:
            return wire.about_in(answer)
        except wire.WireError as error:
            raise RunnerUnavailableError(str(error)) from error

    async def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _ask(
        self, head: dict[str, Any], blobs: Sequence[bytes], within: float
    ) -> tuple[dict[str, Any], list[bytes]]:
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(within):
                connection = await self._send(head, blobs)
                answer, outputs = await wire.read(connection[0])
        except (OSError, TimeoutError, asyncio.IncompleteReadError, wire.WireError) as error:
            self._drop(connection)
            raise RunnerUnavailableError(
                f"the runner behind {self._socket} does not answer: {error or 'in time'}"
            ) from error
        except BaseException:
            self._drop(connection)  # cancelled: the answer to come is nobody's; the runner ends the run
            raise
        if len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            self._drop(connection)
        if "failed" in answer:
            code, message = answer["failed"]
            raise RunnerUnavailableError(f"{message} ({code})")
        return answer, outputs

    async def _send(self, head: dict[str, Any], blobs: Sequence[bytes]) -> _Connection:
        while self._idle:
            kept = self._idle.pop()
            if kept[0].at_eof() or kept[1].is_closing():
                self._drop(kept)  # the runner was restarted meanwhile
                continue
            return await self._over(kept, head, blobs)
        opened = await asyncio.open_unix_connection(str(self._socket))
        return await self._over(opened, head, blobs)

    async def _over(self, connection: _Connection, head: dict[str, Any], blobs: Sequence[bytes]) -> _Connection:
        try:
            await wire.write(connection[1], head, blobs)
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _drop(self, connection: _Connection | None) -> None:
        if connection is not None:
            connection[1].close()
