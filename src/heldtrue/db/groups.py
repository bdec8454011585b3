"""Group commit: who waits for a commit of the same place shares one, and nobody is answered before it.

While one group commits, the next one of its place fills; so a group is as large as the load makes it, and a quiet
caller waits for one commit. A crash at any moment leaves whole groups: all of a group is there, or none of it was
answered.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from heldtrue.kernel.errors import UnavailableError

Item = TypeVar("Item")
Done = TypeVar("Done")

Commit = Callable[[Sequence[Item]], Awaitable[Sequence[Done | Exception]]]
"""Commit items of one place together and return what each is answered, or why it alone was refused; raise, and nothing
of them is kept."""

_NOWHERE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    """How much may wait, and for how long."""

    group: int
    """Items of one commit at most."""
    waiting: int
    """Items that wait for their commit; more are refused at once."""
    within: float
    """Seconds after which whoever waits is told so."""
    commits: int = 1
    """Groups that are committed at the same time."""
    beside: int = 1
    """Items that must wait before a place has a second commit beside one under way: a commit costs as much as several
    items do, so under light load one that waits a little is cheaper, and the next one sooner."""


class _Group(Generic[Item, Done]):
    """Items that are committed together, and who waits for that."""

    __slots__ = ("answers", "expired", "items", "taken", "timer")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.answers: list[asyncio.Future[Done]] = []
        self.timer: asyncio.TimerHandle | None = None
        self.taken = False
        """Whether it is committed now, so that an expiry does not tell how that ends."""
        self.expired = False

    def settle(self, ends: Sequence[Done | Exception]) -> None:
        """Answer everybody."""
        if self.timer is not None:
            self.timer.cancel()
        for answer, end in zip(self.answers, ends, strict=True):
            if answer.done():
                continue
            if isinstance(end, Exception):
                answer.set_exception(end)
            else:
                answer.set_result(end)


class Groups(Generic[Item, Done]):
    """Groups of one event loop. Another loop may follow when that has ended, never run beside it."""

    def __init__(
        self,
        commit: Commit[Item, Done],
        *,
        limits: GroupLimits,
        place: Callable[[Item], Hashable],
        apart: Callable[[Sequence[Item]], Iterable[Sequence[Item]]],
        refused: Callable[[], UnavailableError],
        unsure: Callable[[], UnavailableError],
    ) -> None:
        """*place*: what one commit may hold; *apart*: the parts that are tried when a whole group failed.

        *refused* is raised for what was not begun and never will be, *unsure* for what may be committed after all.
        """
        self._commit = commit
        self._limits = limits
        self._place = place
        self._apart = apart
        self._refused = refused
        self._unsure = unsure
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: OrderedDict[Hashable, list[_Group[Item, Done]]] = OrderedDict()
        """What waits, by place, in the order in which places began to wait."""
        self._commits: set[asyncio.Task[None]] = set()
        self._under_way: Counter[Hashable] = Counter()
        """How many commits each place has now."""
        self._waiting = 0
        self._closing = False

    async def append(self, item: Item) -> Done:
        """Return what the commit of *item* answered, once it is durable; raise why it was refused.

        Cancelling the call takes nothing back: the item is committed with its group as if somebody still waited.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._begin(loop)
        if self._closing or self._waiting >= self._limits.waiting:
            raise self._refused()
        group = self._group_of(self._place(item))
        answer: asyncio.Future[Done] = loop.create_future()
        group.items.append(item)
        group.answers.append(answer)
        self._waiting += 1
        if group.timer is None:
            group.timer = loop.call_later(self._limits.within, self._expire, group)
        if len(self._commits) < self._limits.commits and self._may_begin(self._place(item)):
            task = loop.create_task(self._run())
            self._commits.add(task)
            task.add_done_callback(self._commits.discard)
        return await answer

    async def close(self) -> None:
        """Take nothing more, and return when all that waited is committed or refused."""
        self._closing = True
        if self._loop is asyncio.get_running_loop() and self._commits:
            await asyncio.wait(self._commits)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue.clear()
        self._commits.clear()
        self._under_way.clear()
        self._waiting = 0

    def _group_of(self, place: Hashable) -> _Group[Item, Done]:
        """Return the youngest group of *place*, or a new one where that is full or given up."""
        groups = self._queue.setdefault(place, [])
        if not groups or groups[-1].expired or len(groups[-1].items) >= self._limits.group:
            groups.append(_Group())
        return groups[-1]

    def _expire(self, group: _Group[Item, Done]) -> None:
        group.expired = True
        error = self._unsure if group.taken else self._refused
        group.settle([error() for _ in group.items])

    def _may_begin(self, place: Hashable) -> bool:
        """Whether the first group of a place that waits may be committed now."""
        return not self._under_way[place] or len(self._queue[place][0].items) >= self._limits.beside

    def _take(self) -> tuple[Hashable, _Group[Item, Done]] | None:
        """Return the group that waits longest of those that may be committed; then its place stands last."""
        place = next((place for place in self._queue if self._may_begin(place)), _NOWHERE)
        if place is _NOWHERE:
            return None
        first, *rest = self._queue.pop(place)
        if rest:
            self._queue[place] = rest
        return place, first

    async def _run(self) -> None:
        """Commit until nothing more may begin."""
        while (taken := self._take()) is not None:
            place, group = taken
            group.taken = True
            self._under_way[place] += 1
            if not group.expired:
                group.settle(await self._commit_each(group.items))
            self._under_way[place] -= 1
            if not self._under_way[place]:
                del self._under_way[place]
            self._waiting -= len(group.items)
        # Here, not when the loop hears of the end: whoever was answered may come again before that, to nobody.
        self._commits.difference_update({asyncio.current_task()})

    async def _commit_each(self, items: Sequence[Item]) -> Sequence[Done | Exception]:
        """Commit *items* at once; where that fails for another reason than the database's absence, part by part.

        So what is wrong with one of them refuses that one alone.
        """
        try:
            return await self._commit(items)
        except UnavailableError as error:
            return [error] * len(items)
        except Exception as error:  # noqa: BLE001 - whatever it is, it means that nothing was kept
            parts = list(self._apart(items))
            if len(parts) == 1:
                return [error] * len(items)
        ends = {id(item): end for part in parts for item, end in zip(part, await self._commit_each(part), strict=True)}
        return [ends[id(item)] for item in items]
