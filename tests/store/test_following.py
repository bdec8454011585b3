"""The diary of changes, read from a log in PostgreSQL: a little at a look, and the rest behind it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from instance import until
from tests.store.test_ledger_sequencer import Log
from tests.unit.trust.logs import a_log, schedule

from heldtrue.capabilities.ledger import actions
from heldtrue.capabilities.ledger.sequencer import BATCH
from heldtrue.db.tx import Database
from heldtrue.kernel.clock import Clock
from heldtrue.trust import following
from heldtrue.trust.diary import Diary
from heldtrue.trust.differences import AskChanges, Read, changes
from heldtrue.trust.following import Follower


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Log:
    """A log of two months of changes, published."""
    made = Log(database, tmp_path)
    add(made, list(a_log(made.clock.now())))
    return made


def add(log: Log, entries: Sequence[dict[str, Any]]) -> None:
    """Publish *entries*, each a millisecond after the one before, so that they stand in this order."""
    with log.database.system() as tx:
        for entry in entries:
            log.clock.time += timedelta(milliseconds=1)
            document = {name: value for name, value in entry.items() if name not in {"v", "kind"}}
            actions.append_clear(tx, str(entry["kind"]), document, log.clock.now(), secrets.token_bytes)
    for _ in range(len(entries) // BATCH + 1):
        log.sequencer.step()


def publish(log: Log, count: int) -> None:
    """Add promises to the log."""
    add(log, [schedule(f"company.more_{at}", "Something more.", log.clock.now()) for at in range(count)])


def seen(follower: Follower, clock: Clock) -> tuple[Read, bytes]:
    """Return how far the diary is, and what it tells of the last two months."""

    def ask(diary: Diary, read: Read) -> tuple[Read, bytes]:
        asked = AskChanges(start="2026-09-22", end="2026-11-23")
        return read, msgspec.json.encode(changes(diary, asked, clock.now(), read))

    return follower.look(ask)


def test_a_log_without_a_checkpoint_is_read_to_its_end(database: Database, tmp_path: Path) -> None:
    log = Log(database, tmp_path)
    read, _ = seen(Follower(database, log.path), log.clock)
    assert (read.size, read.complete) == (0, True)


def test_the_diary_tells_what_was_published_and_what_comes_after(log: Log) -> None:
    follower = Follower(log.database, log.path)
    read, told = seen(follower, log.clock)
    assert read.complete
    assert b"keys.tenant" in told
    publish(log, 3)
    assert seen(follower, log.clock)[0].size == read.size + 3


def test_a_long_log_is_read_behind_the_look_and_comes_to_the_same(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(log, 600)
    whole, told = seen(Follower(log.database, log.path), log.clock)
    monkeypatch.setattr(following, "AT_ONCE", 1)
    follower = Follower(log.database, log.path)
    first, _ = seen(follower, log.clock)
    assert not first.complete
    assert first.size < whole.size
    until(lambda: seen(follower, log.clock)[0].complete, 20, "the rest of the diary")
    assert seen(follower, log.clock) == (whole, told)
