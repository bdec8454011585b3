"""Whoever comes while a group is overdue is answered by a commit, or not at all."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from heldtrue.capabilities.edge import journal
from heldtrue.capabilities.edge.journal import Journal, JournalUnavailableError
from heldtrue.capabilities.edge.served import Served
from heldtrue.kernel.ids import KeyId, TenantId

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TENANT, KEY = TenantId.new(NOW, secrets.token_bytes), KeyId.new(NOW, secrets.token_bytes)


class Hanging(Journal):
    """A journal whose database hangs until it is let go; nothing else of it is other."""

    def __init__(self) -> None:
        super().__init__(*cast("tuple[Any, ...]", (None,) * 5))
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.committed: set[str] = set()

    def _commit(self, many: Sequence[Served]) -> Sequence[None]:
        self.begun.set()
        assert self.let_go.wait(20)
        self.committed |= {served.request for served in many}
        return [None] * len(many)


def a_request(name: str) -> Served:
    return Served(TENANT, "live", KEY, str(KEY), None, name, NOW, "GET", "/", None, "allowed", "edge")


async def outcome(kept: Hanging, name: str) -> str | None:
    try:
        await kept.append(a_request(name))
    except JournalUnavailableError:
        return None
    return name


def test_a_request_that_joins_an_overdue_group_is_not_answered_unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first hangs in its commit, the second waits behind it until it is refused, the third comes after that."""
    monkeypatch.setattr(journal, "COMMIT_WITHIN", 0.05)

    async def scene() -> tuple[list[str | None], set[str]]:
        kept = Hanging()
        first = asyncio.create_task(outcome(kept, "first"))
        assert await asyncio.to_thread(kept.begun.wait, 20)
        second = asyncio.create_task(outcome(kept, "second"))
        answers = [await first, await second]
        third = asyncio.create_task(outcome(kept, "third"))
        await asyncio.sleep(0)
        kept.let_go.set()
        answers.append(await third)
        await kept.close()
        return answers, kept.committed

    answers, committed = asyncio.run(scene())
    assert answers[:2] == [None, None]
    assert {answer for answer in answers if answer} <= committed, f"answered and not recorded: {answers}, {committed}"


def test_more_than_may_wait_is_refused_at_once_and_leaves_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two may wait behind a database that hangs; the third is told so without waiting, the first two are recorded."""
    monkeypatch.setattr(journal, "MOST_WAITING", 2)
    monkeypatch.setattr(journal, "COMMIT_WITHIN", 60)

    async def scene() -> tuple[str | None, list[str | None], str | None]:
        kept = Hanging()
        waiting = [asyncio.create_task(outcome(kept, name)) for name in ("first", "second")]
        await asyncio.sleep(0)  # both have been counted when this returns
        async with asyncio.timeout(20):
            refused = await outcome(kept, "third")
        kept.let_go.set()
        answers = [await one for one in waiting]
        fourth = await outcome(kept, "fourth")
        await kept.close()
        return refused, answers, fourth

    refused, answers, fourth = asyncio.run(scene())
    assert refused is None
    assert answers == ["first", "second"]
    assert fourth == "fourth"
