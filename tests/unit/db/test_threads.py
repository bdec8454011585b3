"""Threads open and close transactions for a loop: whatever happens in between, what was entered is left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest

from heldtrue.db.threads import Threads


class Door:
    """Notes how it was left, and in which thread; entering waits until it is opened."""

    def __init__(self) -> None:
        self.opened, self.entering = threading.Event(), threading.Event()
        self.left: list[str] = []
        self.threads: set[str] = set()

    @contextmanager
    def _pass(self) -> Generator[str]:
        self.entering.set()
        assert self.opened.wait(30)
        self.threads.add(threading.current_thread().name.partition("_")[0])
        try:
            yield "inside"
            self.left.append("well")
        except BaseException as error:
            self.left.append(type(error).__name__)
            raise
        finally:
            self.threads.add(threading.current_thread().name.partition("_")[0])

    def open(self) -> AbstractContextManager[str]:
        self.kept = self._pass()  # kept: nothing is left because it was collected
        return self.kept


@pytest.fixture
def threads() -> Generator[Threads]:
    made = Threads(1, "here")
    yield made
    made.close()


def test_it_is_entered_and_left_in_a_thread_of_its_own(threads: Threads) -> None:
    door = Door()
    door.opened.set()

    async def work() -> None:
        async with threads.within(door.open()) as told:
            assert (told, door.left) == ("inside", [])

    asyncio.run(work())
    assert (door.left, door.threads) == (["well"], {"here"})


def test_what_fails_inside_is_told_to_it_and_to_the_caller(threads: Threads) -> None:
    door = Door()
    door.opened.set()

    async def work() -> None:
        async with threads.within(door.open()):
            raise KeyError("inside")

    with pytest.raises(KeyError):
        asyncio.run(work())
    assert door.left == ["KeyError"]


def test_whoever_gives_up_while_it_is_entered_leaves_it_all_the_same(threads: Threads) -> None:
    door = Door()

    async def work() -> None:
        async def enter() -> None:
            async with threads.within(door.open()):
                raise AssertionError("nobody is here any more")

        task = asyncio.create_task(enter())
        await asyncio.to_thread(door.entering.wait, 30)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, door.opened.set)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert door.left == ["CancelledError"]
