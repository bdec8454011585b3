"""Commits in groups: together under load, alone otherwise, and one that spoils its group spoils nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from heldtrue.capabilities.mail.groups import MOST, Groups
from heldtrue.db.tx import OutcomeUnknownError


class Ledger:
    """Commits numbers; each commit waits for its turn."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.turn = asyncio.Event()
        self.spoils: set[int] = set()
        self.refuses: set[int] = set()
        self.lost = False

    async def act(self, place: str, group: Sequence[int]) -> Sequence[Exception | None]:
        await self.turn.wait()
        self.groups.append(list(group))
        if self.lost:
            raise OutcomeUnknownError
        if self.spoils & set(group):
            raise ValueError(f"{place} is spoilt")
        return [KeyError(one) if one in self.refuses else None for one in group]


async def outcomes(ledger: Ledger, numbers: Sequence[int]) -> list[str]:
    groups: Groups[str, int] = Groups(ledger.act)
    waiting = [asyncio.ensure_future(groups.commit("here", number)) for number in numbers]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ledger.turn.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    return [type(one).__name__ if one is not None else "done" for one in found]


def run(numbers: Sequence[int], **how: object) -> tuple[list[str], list[list[int]]]:
    async def main() -> tuple[list[str], list[list[int]]]:
        ledger = Ledger()
        for name, value in how.items():
            setattr(ledger, name, value)
        return await outcomes(ledger, numbers), ledger.groups

    return asyncio.run(main())


def test_what_arrives_while_a_commit_is_under_way_is_committed_together() -> None:
    found, groups = run(range(MOST + 10))
    assert found == ["done"] * (MOST + 10)
    assert [number for group in groups for number in group] == list(range(MOST + 10))
    assert max(map(len, groups)) <= MOST
    assert len(groups) <= 3


def test_one_that_is_refused_leaves_the_others() -> None:
    assert run([1, 2, 3], refuses={2})[0] == ["done", "KeyError", "done"]


def test_one_that_spoils_the_transaction_is_found_by_itself() -> None:
    found, groups = run([1, 2, 3], spoils={2})
    assert found == ["done", "ValueError", "done"]
    assert [2] in groups


def test_an_unknown_outcome_is_told_to_all_and_nothing_is_repeated() -> None:
    found, groups = run([1, 2, 3], lost=True)
    assert found == ["OutcomeUnknownError"] * 3
    assert sorted(number for group in groups for number in group) == [1, 2, 3]


def test_who_stops_waiting_does_not_stop_the_commit() -> None:
    async def main() -> list[list[int]]:
        ledger = Ledger()
        groups: Groups[str, int] = Groups(ledger.act)
        waiting = asyncio.ensure_future(groups.commit("here", 1))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        ledger.turn.set()
        await groups.commit("here", 2)
        return ledger.groups

    assert asyncio.run(main()) == [[1], [2]]
