"""Threads that wait for the database, so that an event loop need not: for a call, or for a transaction's two ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """A number of threads; used from event loops."""

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    def close(self) -> None:
        """End them, after what they do now. Blocking."""
        self._pool.shutdown(wait=True)

    async def run(self, act: Callable[[], T]) -> T:
        """Return what *act* returns, called in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, act)

    @asynccontextmanager
    async def within(self, opening: AbstractContextManager[T]) -> AsyncGenerator[T]:
        """Enter and leave *opening* in a thread, also where the loop ends meanwhile."""
        entered = asyncio.ensure_future(self.run(opening.__enter__))
        try:
            yield await asyncio.shield(entered)
        except BaseException as error:
            if await _ended(entered):
                leave = partial(opening.__exit__, type(error), error, error.__traceback__)
                await asyncio.shield(self.run(leave))
            raise
        await asyncio.shield(self.run(lambda: opening.__exit__(None, None, None)))


async def _ended(entered: asyncio.Future[T]) -> bool:
    """Wait for the end of *entered*; return whether it ended well."""
    await asyncio.wait([entered])
    return entered.exception() is None
