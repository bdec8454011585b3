"""Messages for one organisation's environment that wait at the same time are committed together (T1).

While one transaction is under way, what arrives waits; the next one takes all of it. So a message alone is committed at
once, and under load one commit, one fsync and one look at the keys serve many. Each answer comes after its commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from heldtrue.db.tx import OutcomeUnknownError
from heldtrue.kernel.errors import UnavailableError

MOST = 32
"""Messages of one transaction."""
Place = TypeVar("Place")
Job = TypeVar("Job")
Refusal = Exception | None
Act = Callable[[Place, Sequence[Job]], Awaitable[Sequence[Refusal]]]
"""Commit the jobs; for each, None or why it was left out. What is raised holds for all: nothing was committed."""


class Groups(Generic[Place, Job]):
    """Commits jobs, by place, one group at a time; used from one thread."""

    def __init__(self, act: Act[Place, Job]) -> None:
        self._act = act
        self._waiting: dict[Place, list[tuple[Job, asyncio.Future[None]]]] = {}
        self._running: dict[Place, asyncio.Task[None]] = {}

    async def commit(self, place: Place, job: Job) -> None:
        """Return when *job* is committed; raise why it was not. Who stops waiting does not stop the commit."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(place, []).append((job, done))
        if place not in self._running:
            self._running[place] = asyncio.create_task(self._run(place))
        await asyncio.shield(done)

    async def _run(self, place: Place) -> None:
        try:
            while waiting := self._waiting.pop(place, []):
                if len(waiting) > MOST:
                    self._waiting[place] = waiting[MOST:]
                await self._together(place, waiting[:MOST])
        finally:
            del self._running[place]

    async def _together(self, place: Place, group: Sequence[tuple[Job, asyncio.Future[None]]]) -> None:
        try:
            refusals = await self._act(place, [job for job, _ in group])
        except (OutcomeUnknownError, UnavailableError) as error:
            refusals = [error] * len(group)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            if len(group) > 1:  # one of them spoils the transaction: each by itself, so that the others pass
                for one in group:
                    await self._together(place, [one])
                return
            refusals = [error]
        for (_, done), refusal in zip(group, refusals, strict=True):
            if refusal is None:
                done.set_result(None)
            else:
                done.set_exception(refusal)
                done.exception()  # seen, though its sender may be gone
