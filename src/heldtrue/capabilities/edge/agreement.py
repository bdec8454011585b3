"""Wait, without blocking, until the snapshot is in step with the database as of now."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from heldtrue.capabilities.edge.feed import Feed
from heldtrue.capabilities.edge.snapshot import boottime

PATIENCE = 1.0
_Waiting = tuple[float, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Agreement:
    """Whoever changed a key, or came with one that is unknown, waits here for the feed's next agreement.

    All who wait share one question, and the feed asks at most one each 5 ms: strangers cannot make the database work.
    """

    def __init__(self, feed: Feed, *, boot: Callable[[], float] = boottime) -> None:
        self._feed = feed
        self._boot = boot
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()
        feed.listen(self._told)

    async def reached(self, patience: float = PATIENCE) -> bool:
        """Return True when the snapshot has all that was committed before this call; False when that takes too long."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        entry = (self._boot(), loop, answer)
        with self._lock:
            self._waiting.append(entry)
        self._feed.nudge()
        try:
            async with asyncio.timeout(patience):
                await answer
        except TimeoutError:
            return False
        finally:
            with self._lock, contextlib.suppress(ValueError):  # it was taken out when it was answered
                self._waiting.remove(entry)
        return True

    def _told(self, agreed_at: float) -> None:
        with self._lock:
            done = [one for one in self._waiting if one[0] <= agreed_at]
            if done:
                self._waiting = [one for one in self._waiting if one[0] > agreed_at]
        for _, loop, answer in done:
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, answer)


def _settle(answer: asyncio.Future[None]) -> None:
    if not answer.done():
        answer.set_result(None)
