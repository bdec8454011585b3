"""Whoever waits for a commit shares it; what is wrong with one spoils nobody else's, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from heldtrue.db.groups import GroupLimits, Groups
from heldtrue.kernel.errors import BadInputError, UnavailableError

PATIENT = GroupLimits(group=1000, waiting=1000, within=60.0)


class RefusedError(UnavailableError):
    """It was not begun and never will be; send it again."""

    code = "test-refused"


class UnsureError(UnavailableError):
    """It was perhaps done after all; look before you send it again."""

    code = "test-unsure"


class Scene:
    """Groups over a commit that waits until it is let go."""

    def __init__(self, limits: GroupLimits = PATIENT) -> None:
        self.commits: list[list[str]] = []
        self.free = asyncio.Event()
        self.groups = Groups[str, str](
            self.commit,
            limits=limits,
            place=lambda item: item[0],
            apart=lambda items: [[item] for item in items],
            refused=RefusedError,
            unsure=UnsureError,
        )

    async def commit(self, items: Sequence[str]) -> Sequence[str | Exception]:
        self.commits.append(list(items))
        await self.free.wait()
        if "a!" in items:
            raise ValueError("a row is refused")
        if "a~" in items:
            raise UnsureError
        return [BadInputError(item) if item.endswith("?") else item.upper() for item in items]

    def send(self, *items: str) -> list[asyncio.Task[str]]:
        return [asyncio.create_task(self.groups.append(item)) for item in items]


def run(work: Callable[[], Awaitable[Any]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await work()

    asyncio.run(within())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_comes_during_a_commit_shares_the_next_one() -> None:
    async def work() -> None:
        scene = Scene()
        first = scene.send("a1")
        await turns()
        rest = scene.send("a2", "a3", "a4")
        await turns()
        scene.free.set()
        assert await asyncio.gather(*first, *rest) == ["A1", "A2", "A3", "A4"]
        assert scene.commits == [["a1"], ["a2", "a3", "a4"]]

    run(work)


def test_places_do_not_mix_and_take_turns() -> None:
    async def work() -> None:
        scene = Scene(GroupLimits(group=2, waiting=1000, within=60.0))
        scene.free.set()
        await asyncio.gather(*scene.send("a1", "a2", "a3", "a4", "b1", "b2", "a5"))
        assert scene.commits == [["a1", "a2"], ["b1", "b2"], ["a3", "a4"], ["a5"]]

    run(work)


def test_a_place_has_a_second_commit_only_when_many_wait() -> None:
    async def work() -> None:
        scene = Scene(GroupLimits(group=1000, waiting=1000, within=60.0, commits=3, beside=3))
        ends = scene.send("a1")
        await turns()
        ends += scene.send("a2", "b1")
        await turns()
        assert scene.commits == [["a1"], ["b1"]], "another place does not wait"
        ends += scene.send("a3")
        await turns()
        assert len(scene.commits) == 2
        ends += scene.send("a4")
        await turns()
        assert scene.commits[2:] == [["a2", "a3", "a4"]]
        ends += scene.send("a5", "a6")
        await turns()
        scene.free.set()
        assert await asyncio.gather(*ends) == ["A1", "A2", "B1", "A3", "A4", "A5", "A6"]
        assert scene.commits[3:] == [["a5", "a6"]]

    run(work)


def test_a_member_that_spoils_its_group_is_refused_alone() -> None:
    async def work() -> None:
        scene = Scene()
        scene.free.set()
        ends = await asyncio.gather(*scene.send("a1", "a!", "a?", "a2"), return_exceptions=True)
        assert [type(end).__name__ for end in ends] == ["str", "ValueError", "BadInputError", "str"]
        assert scene.commits == [["a1", "a!", "a?", "a2"], ["a1"], ["a!"], ["a?"], ["a2"]]

    run(work)


def test_a_member_that_is_refused_leaves_the_others_their_commit() -> None:
    async def work() -> None:
        scene = Scene()
        scene.free.set()
        ends = await asyncio.gather(*scene.send("a1", "a?", "a2"), return_exceptions=True)
        assert [type(end).__name__ for end in ends] == ["str", "BadInputError", "str"]
        assert scene.commits == [["a1", "a?", "a2"]]

    run(work)


def test_an_unknown_outcome_is_told_to_all_and_nothing_is_repeated() -> None:
    async def work() -> None:
        scene = Scene()
        scene.free.set()
        ends = await asyncio.gather(*scene.send("a1", "a~", "a2"), return_exceptions=True)
        assert [type(end) for end in ends] == [UnsureError] * 3
        assert scene.commits == [["a1", "a~", "a2"]]

    run(work)


def test_a_caller_that_gives_up_takes_nothing_back() -> None:
    async def work() -> None:
        scene = Scene()
        one, two = scene.send("a1", "a2")
        await turns()
        one.cancel()
        await turns()
        scene.free.set()
        assert await two == "A2"
        assert one.cancelled()
        assert scene.commits == [["a1", "a2"]]

    run(work)


def test_more_than_may_wait_are_refused_at_once() -> None:
    async def work() -> None:
        scene = Scene(GroupLimits(group=10, waiting=2, within=60.0))
        kept = scene.send("a1", "a2")
        await turns()
        with pytest.raises(RefusedError):
            await scene.groups.append("a3")
        scene.free.set()
        await asyncio.gather(*kept)
        assert await scene.groups.append("a4") == "A4"

    run(work)


def test_who_waits_too_long_is_told_whether_it_may_be_done_after_all() -> None:
    async def work() -> None:
        scene = Scene(GroupLimits(group=10, waiting=10, within=0.05))
        under_way = scene.send("a1")
        await turns()
        behind = scene.send("a2")
        ends = await asyncio.gather(*under_way, *behind, return_exceptions=True)
        assert [type(end) for end in ends] == [UnsureError, RefusedError]
        scene.free.set()
        assert await scene.groups.append("a3") == "A3"
        assert scene.commits == [["a1"], ["a3"]], "what was refused is never committed"

    run(work)


def test_closing_commits_what_waits_and_takes_no_more() -> None:
    async def work() -> None:
        scene = Scene()
        waiting = scene.send("a1")
        await turns()
        waiting += scene.send("a2")
        await turns()
        closing = asyncio.create_task(scene.groups.close())
        await turns()
        with pytest.raises(RefusedError):
            await scene.groups.append("a3")
        assert not closing.done()
        scene.free.set()
        await closing
        assert await asyncio.gather(*waiting) == ["A1", "A2"]

    run(work)


def test_another_loop_may_follow_one_that_was_cut_off() -> None:
    scene = Scene()

    async def cut() -> None:
        scene.send("a1")
        await turns()

    async def after() -> None:
        scene.free.set()
        assert await scene.groups.append("a2") == "A2"

    asyncio.run(cut())
    run(after)


def test_who_comes_again_at_once_after_an_answer_is_committed_too() -> None:
    scene = Scene()
    scene.free.set()

    async def again(name: str) -> list[str]:
        return [await scene.groups.append(f"a{name}{number}") for number in range(3)]

    async def work() -> None:
        assert await asyncio.gather(again("x"), again("y")) == [["AX0", "AX1", "AX2"], ["AY0", "AY1", "AY2"]]

    run(work)
    assert [len(commit) for commit in scene.commits] == [2, 2, 2]
