"""Round trips to whoever shares the buckets out: one at a time, for all calls that wait when it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from heldtrue.capabilities.edge.leases import Ask, Grant, Lease
from heldtrue.kernel.errors import UnavailableError

ANSWER_WITHIN = 0.5
"""Seconds after which a lessor that did not answer means no."""


class LimiterUnavailableError(UnavailableError):
    """Whether this call is within its limits cannot be known now, so it is refused; try again shortly."""

    code = "limiter-unavailable"


class Lessor(Protocol):
    """Who shares the buckets out among processes and machines."""

    def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        """Return a grant for each of *asks*, in their order; blocking. Raise `LimiterUnavailableError`."""
        ...

    def abort(self) -> None:
        """Let a `lease` that runs in another thread fail at once."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


class _Round:
    """One round trip: what is asked, for how many calls that wait."""

    __slots__ = ("answer", "leases", "timer")

    def __init__(self, answer: asyncio.Future[None], timer: asyncio.TimerHandle) -> None:
        self.answer = answer
        self.timer = timer
        self.leases: dict[Lease, int] = {}


class Rounds:
    """The round trips of one event loop, made in a thread of its own."""

    def __init__(self, lessor: Lessor, monotonic: Callable[[], float]) -> None:
        self._lessor = lessor
        self._monotonic = monotonic
        self._thread = ThreadPoolExecutor(1, "heldtrue-lessor")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next: _Round | None = None
        self._under_way: _Round | None = None

    def prefetch(self, lease: Lease) -> None:
        """Ask for more of *lease* while nobody waits for it yet."""
        if self._loop is not None:
            self._round(self._loop).leases.setdefault(lease, 0)

    async def missing(self, leases: Sequence[Lease]) -> None:
        """Wait until those of *leases* that have nothing left for one more call were asked for.

        Raise `LimiterUnavailableError` after half a second.
        """
        self._loop = asyncio.get_running_loop()
        asked = self._round(self._loop)
        now = self._monotonic()
        for lease in leases:
            waiting = asked.leases.get(lease, 0)
            if not lease.refresh(now) or lease.left <= waiting:
                asked.leases[lease] = waiting + 1
        await asyncio.shield(asked.answer)

    def close(self) -> None:
        """End the thread; whoever waits is denied."""
        self._fail(self._next)
        self._fail(self._under_way)
        self._next = self._under_way = None
        self._lessor.abort()
        self._thread.shutdown(wait=True)
        self._lessor.close()

    def _round(self, loop: asyncio.AbstractEventLoop) -> _Round:
        """Return the round trip that the next tick of the event loop begins, or that follows the one under way."""
        if self._next is None:
            answer: asyncio.Future[None] = loop.create_future()
            answer.add_done_callback(_looked_at)
            self._next = asked = _Round(answer, loop.call_later(ANSWER_WITHIN, lambda: self._expire(asked)))
            if self._under_way is None:
                loop.call_soon(self._begin)
        return self._next

    def _begin(self) -> None:
        asked, self._next = self._next, None
        if asked is None:
            return
        self._under_way = asked
        now = self._monotonic()
        asks = [lease.ask(now, waiting) for lease, waiting in asked.leases.items()]
        self._thread.submit(self._ask, asked, asks)

    def _ask(self, asked: _Round, asks: list[Ask]) -> None:
        """Make the round trip; in the thread."""
        sent, grants, failed = self._monotonic(), list[Grant](), None
        try:
            grants = self._lessor.lease(asks)
            if len(grants) != len(asks):
                raise LimiterUnavailableError("the lessor's answer does not match what was asked")
        except Exception as error:  # noqa: BLE001 - whatever it is, it means no
            failed = error
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._answered, asked, grants, failed, sent)

    def _answered(self, asked: _Round, grants: list[Grant], failed: Exception | None, sent: float) -> None:
        """Hold what was granted, also when it came too late for those who waited; go on with the next round."""
        self._under_way = None
        if failed is None:
            now = self._monotonic()
            for (lease, waiting), grant in zip(asked.leases.items(), grants, strict=True):
                lease.install(grant, 0 if asked.answer.done() else waiting, sent, now)
            asked.timer.cancel()
            if not asked.answer.done():
                asked.answer.set_result(None)
        else:
            self._fail(asked, failed)
        self._begin()

    def _expire(self, asked: _Round) -> None:
        """Deny those who waited for *asked*, and let the round trip that is under way end."""
        if asked is self._next:
            self._next = None
        self._fail(asked)
        if self._under_way is not None:
            self._lessor.abort()

    def _fail(self, asked: _Round | None, cause: Exception | None = None) -> None:
        if asked is None:
            return
        asked.timer.cancel()
        for lease in asked.leases:
            lease.asked = False
        if not asked.answer.done():
            error = cause if isinstance(cause, LimiterUnavailableError) else LimiterUnavailableError()
            error.__cause__ = cause if error is not cause else None
            asked.answer.set_exception(error)


def _looked_at(answer: asyncio.Future[None]) -> None:
    """Count the exception of a round as seen: a round that only prefetched has nobody who waits for it."""
    if not answer.cancelled():
        answer.exception()
