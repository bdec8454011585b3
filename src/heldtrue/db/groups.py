"""Group commit: who waits for a commit of the same place shares one, and nobody is answered before it.

While one group commits, the next one fills; so a group is as large as the load makes it, and a quiet caller waits for
one commit. A crash at any moment leaves whole groups: all of a group is there, or none of it was answered.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from heldtrue.kernel.errors import UnavailableError

Item = TypeVar("Item")
Done = TypeVar("Done")

Commit = Callable[[Sequence[Item]], Sequence[Done | Exception]]
"""Commit items of one place together and return what each is answered, or why it alone was refused; raise, and nothing
of them is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    """How much may wait, and for how long."""

    group: int = 1000
    """Items of one commit at most."""
    waiting: int = 50_000
    """Items that wait for their commit; more are refused at once."""
    within: float = 2.0
    """Seconds after which whoever waits is told so."""
    stop: float = 5.0
    """Seconds that the last commits get when the end is asked for."""


class _Group(Generic[Item, Done]):
    """Items that are committed together, and who waits for that; only their event loop touches the answers."""

    __slots__ = ("answers", "expired", "items", "loop", "place", "taken", "timer")

    def __init__(self, place: Hashable, loop: asyncio.AbstractEventLoop) -> None:
        self.place = place
        self.loop = loop
        self.items: list[Item] = []
        self.answers: list[asyncio.Future[Done]] = []
        self.timer: asyncio.TimerHandle | None = None
        self.taken = False
        """Whether a thread commits it now, so that an expiry does not tell how that ends."""
        self.expired = False


class Groups(Generic[Item, Done]):
    """Queues from event loops to threads that commit; the threads begin with the first item."""

    def __init__(
        self,
        name: str,
        commit: Commit[Item, Done],
        *,
        place: Callable[[Item], Hashable],
        apart: Callable[[Sequence[Item]], Iterable[Sequence[Item]]],
        refused: Callable[[], UnavailableError],
        unsure: Callable[[], UnavailableError],
        limits: GroupLimits | None = None,
        threads: int = 1,
    ) -> None:
        """*place*: what one transaction may hold; *apart*: the parts that are tried when a whole group failed.

        *refused* is raised for what was not begun and never will be, *unsure* for what may be committed after all.
        """
        self._commit = commit
        self._place = place
        self._apart = apart
        self._refused = refused
        self._unsure = unsure
        self._limits = limits or GroupLimits()
        self._change = threading.Condition(threading.Lock())
        self._open: OrderedDict[Hashable, list[_Group[Item, Done]]] = OrderedDict()
        """What waits, by place, in the order in which places began to wait."""
        self._waiting = 0
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]

    async def append(self, item: Item) -> Done:
        """Return what the commit of *item* answered, once it is durable; raise why it was refused.

        Cancelling the call takes nothing back: the item is committed with its group, or not, as if nobody had waited.
        """
        loop = asyncio.get_running_loop()
        with self._change:
            if self._closing or self._waiting >= self._limits.waiting:
                raise self._refused()
            group = self._group_for(self._place(item), loop)
            answer: asyncio.Future[Done] = loop.create_future()
            group.items.append(item)
            group.answers.append(answer)
            self._waiting += 1
        if group.timer is None:
            group.timer = loop.call_later(self._limits.within, self._expire, group)
        return await answer

    def close(self) -> None:
        """Commit what waits, then end the threads. Blocking."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(self._limits.stop)

    def _group_for(self, place: Hashable, loop: asyncio.AbstractEventLoop) -> _Group[Item, Done]:
        """Return the youngest group of *place*, or a new one where that is full, given up or another loop's."""
        groups = self._open.get(place)
        if groups is None:
            groups = self._open[place] = []
        group = groups[-1] if groups else None
        if group is None or group.expired or group.loop is not loop or len(group.items) >= self._limits.group:
            group = _Group[Item, Done](place, loop)
            groups.append(group)
            self._start()
            self._change.notify()
        return group

    def _start(self) -> None:
        for thread in self._threads:
            if thread.ident is None:
                thread.start()

    # ------------------------------------------------------------ on an event loop

    def _settle(self, group: _Group[Item, Done], ends: Sequence[Done | Exception]) -> None:
        """Answer everybody of *group*."""
        if group.timer is not None:
            group.timer.cancel()
        for answer, end in zip(group.answers, ends, strict=True):
            if answer.done():
                continue
            if isinstance(end, Exception):
                answer.set_exception(end)
            else:
                answer.set_result(end)

    def _expire(self, group: _Group[Item, Done]) -> None:
        with self._change:
            group.expired = True
            error = self._unsure if group.taken else self._refused
        for answer in group.answers:
            if not answer.done():
                answer.set_exception(error())

    # ------------------------------------------------------------ in the threads

    def _run(self) -> None:
        while (group := self._next()) is not None:
            ends: Sequence[Done | Exception] = () if group.expired else self._commit_each(group.items)
            with self._change:
                self._waiting -= len(group.items)
            if not group.expired and not group.loop.is_closed():
                try:
                    group.loop.call_soon_threadsafe(self._settle, group, ends)
                except RuntimeError:
                    continue  # the loop ended between the two lines, and everybody who waited with it

    def _next(self) -> _Group[Item, Done] | None:
        """Return the first group of the place that waits longest; its place then stands last."""
        with self._change:
            while not self._open and not self._closing:
                self._change.wait()
            if not self._open:
                return None
            place, groups = self._open.popitem(last=False)
            group = groups.pop(0)
            if groups:
                self._open[place] = groups
            group.taken = True
            return group

    def _commit_each(self, items: Sequence[Item]) -> Sequence[Done | Exception]:
        """Commit *items* at once; where that fails for another reason than the database's absence, part by part.

        So what is wrong with one of them refuses that one alone.
        """
        try:
            return self._commit(items)
        except UnavailableError as error:
            return [error] * len(items)
        except Exception as error:  # noqa: BLE001 - whatever it is, it means that nothing was kept
            parts = list(self._apart(items))
            if len(parts) == 1:
                return [error] * len(items)
            ends = {id(item): end for part in parts for item, end in zip(part, self._commit_each(part), strict=True)}
            return [ends[id(item)] for item in items]
