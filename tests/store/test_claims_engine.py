"""The engine over a real database and a real log: announced, numbered, concluded, checked by the separate verifier."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from heldtrue.attack import Attack, Finding, Outcome, Place, broken, held
from heldtrue.capabilities.keystore import actions as keystore
from heldtrue.claims import store
from heldtrue.claims.board import Board
from heldtrue.claims.catalogue import Catalogue, Group
from heldtrue.claims.engine import Budget, Engine, EngineServices
from heldtrue.claims.model import Against, Claim, State
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.tx import Database
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret
from heldtrue_verify.replay import Replay
from heldtrue_verify.replay import State as Seen

ORIGIN = "log.example/test"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Clock:
    """A clock that the test moves."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=2)
        return self.at


def _run(_arena: object) -> Finding:
    return held("never called here", probes=1)


def an_attack(name: str, place: Place = Place.OBSERVE) -> Attack:
    return Attack(name=name, place=place, tries=("Try.",), run=_run, breaks="any-dsn")


ATTACKS = {name: an_attack(name) for name in ("g.one", "g.two")} | {"g.heavy": an_attack("g.heavy", Place.SCRATCH)}


def a_catalogue(*attacks: str, max_age: timedelta = HOUR) -> Catalogue:
    claims = tuple(
        Claim(
            id=f"g.claim_{name[2:]}", rows=("A1",), group="G", sentence="It holds.", scope="All.", attacks=(name,),
            cadence=max_age / 4, max_age=max_age,
        )
        for name in attacks
    )  # fmt: skip
    return Catalogue((Group("G", "About."),), claims)


@dataclass
class World:
    """An engine and everything around it."""

    database: Database
    clock: Clock
    platform: PlatformKey
    tiles: Path
    pause: Path
    answers: dict[tuple[str, Against], Callable[[], Finding]] = field(default_factory=dict)
    ran: list[tuple[str, Against]] = field(default_factory=list)

    def run(self, attack: Attack, against: Against) -> Finding:
        self.ran.append((attack.name, against))
        default = broken if against is Against.BROKEN else held
        self.clock.at += timedelta(seconds=1)
        return self.answers.get((attack.name, against), lambda: default("So it was.", probes=2))()

    def engine(self, catalogue: Catalogue, *, budget: Budget | None = None, attacks: Any = None) -> Engine:
        return Engine(
            EngineServices(
                database=self.database, platform=self.platform, clock=self.clock, entropy=secrets.token_bytes,
                catalogue=catalogue, attacks=attacks or ATTACKS, runner=self, origin=ORIGIN, version="0",
                pause_file=self.pause,
            ),
            budget,
        )  # fmt: skip

    def publish(self) -> None:
        keystore.sequencer(self.database, self.tiles, self.platform, self.clock).step()

    def entries(self) -> list[bytes]:
        with self.database.system() as tx:
            return [row.entry for row in tx.many(Entry, "SELECT entry FROM heldtrue.log_entries ORDER BY index")]

    def state(self, catalogue: Catalogue) -> dict[str, State]:
        self.publish()
        with self.database.system() as tx:
            standing = Board(catalogue).refresh(tx, self.clock.now())
        return {verdict.claim.id: verdict.state for verdict in standing.verdicts}

    def replay(self) -> Replay:
        replay = Replay(ORIGIN)
        for index, entry in enumerate(self.entries()):
            replay.take(index, entry)
        return replay


@dataclass(frozen=True)
class Entry:
    entry: bytes


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    clock = Clock()
    platform = PlatformKey(CryptoKeyId.new(clock.now(), secrets.token_bytes), Secret(secrets.token_bytes(32)))
    with database.system() as tx:
        keystore.ensure_signing_keys(tx, platform, ORIGIN, clock.now(), secrets.token_bytes)
    return World(database, clock, platform, tmp_path / "log", tmp_path / "pause")


def test_the_first_step_attacks_everything_and_calibrates_it(world: World) -> None:
    catalogue = a_catalogue("g.one", "g.two", "g.heavy")
    engine = world.engine(catalogue)
    engine.step(world.clock.now())
    assert sorted(world.ran) == sorted(
        (name, against) for name in ATTACKS for against in (Against.CONTROL, Against.BROKEN)
    )
    assert set(world.state(catalogue).values()) == {State.PROVEN}


def test_the_separate_verifier_agrees_run_by_run(world: World) -> None:
    catalogue = a_catalogue("g.one", "g.two")
    world.answers["g.two", Against.CONTROL] = lambda: broken("It gave way.", probes=1)
    world.engine(catalogue).step(world.clock.now())
    ours = world.state(catalogue)
    replay = world.replay()
    assert replay.problems == []
    now = world.clock.now()
    assert replay.incomplete(now) + replay.postdated(now, "the log's own clock") == []
    theirs = replay.standings(world.clock.now())
    assert {name: standing.state.name.lower() for name, standing in theirs.items()} == ours
    assert theirs["g.claim_two"].state is Seen.FAILING


def test_without_calibration_nothing_is_proven(world: World) -> None:
    catalogue = a_catalogue("g.one")
    world.answers["g.one", Against.BROKEN] = lambda: held("It saw nothing.", probes=1)
    world.engine(catalogue).step(world.clock.now())
    assert world.state(catalogue) == {"g.claim_one": State.STALE}


def test_runs_are_numbered_without_a_gap_whoever_starts_them(world: World) -> None:
    engine, other = world.engine(a_catalogue("g.one")), world.engine(a_catalogue("g.one"))
    numbers = [
        one.run_one(ATTACKS["g.one"], against).number
        for one in (engine, other)
        for against in (Against.CONTROL, Against.BROKEN, Against.CONTROL)
    ]
    assert numbers == [1, 2, 3, 4, 5, 6]
    world.publish()
    assert world.replay().problems == []


def test_a_run_that_was_announced_and_never_completed_is_a_failure_at_the_next_start(world: World) -> None:
    catalogue = a_catalogue("g.one")
    engine = world.engine(catalogue)

    def dies() -> Finding:
        raise KeyboardInterrupt

    world.answers["g.one", Against.CONTROL] = dies
    with pytest.raises(KeyboardInterrupt):
        engine.run_one(ATTACKS["g.one"], Against.CONTROL)
    again = world.engine(catalogue)
    assert again._book.recover(world.clock.now()) == 1
    assert again._book.recover(world.clock.now()) == 0
    assert world.state(catalogue) == {"g.claim_one": State.FAILING}
    with world.database.system() as tx:
        row = store.evidence(tx, "g.one", 1)
    assert row is not None
    assert row.evidence["outcome"] == "missing"
    assert world.replay().problems == []


def test_starting_concludes_what_a_crash_left(world: World) -> None:
    catalogue = a_catalogue("g.one")
    world.engine(catalogue)._book.announce(ATTACKS["g.one"], Against.CONTROL, Place.OBSERVE)
    world.engine(catalogue).step(world.clock.now())
    with world.database.system() as tx:
        assert store.open_runs(tx) == []
        row = store.evidence(tx, "g.one", 1)
    assert row is not None
    assert row.evidence["outcome"] == "missing"


def test_a_calibration_under_way_elsewhere_is_not_called_missing(world: World) -> None:
    engine = world.engine(a_catalogue("g.one"))
    engine._book.announce(ATTACKS["g.one"], Against.BROKEN, Place.SCRATCH)
    assert engine._book.recover(world.clock.now()) == 0
    assert engine._book.recover(world.clock.now() + HOUR) == 1


def test_a_result_is_written_once(world: World) -> None:
    engine = world.engine(a_catalogue("g.one"))
    number, started = engine._book.announce(ATTACKS["g.one"], Against.CONTROL, Place.OBSERVE)
    assert engine._book.recover(world.clock.now()) == 1
    late = held("late", probes=1)
    engine._book.conclude(
        ATTACKS["g.one"], number, Against.CONTROL, Place.OBSERVE, late, "schedule", started, world.clock.now()
    )
    world.publish()
    assert world.replay().problems == []


def test_what_is_not_due_is_not_attacked_and_a_failure_is_attacked_again_soon(world: World) -> None:
    engine = world.engine(a_catalogue("g.one", max_age=8 * HOUR))
    engine.step(world.clock.now())
    world.ran.clear()
    engine.step(world.clock.now() + HOUR)
    assert world.ran == []
    world.answers["g.one", Against.CONTROL] = lambda: broken("No.", probes=1)
    engine.step(world.clock.now() + 2 * HOUR)
    world.clock.at += 2 * HOUR
    engine.step(world.clock.now() + 3 * MINUTE)
    assert world.ran == [("g.one", Against.CONTROL)] * 2


def test_a_restart_does_not_attack_what_was_attacked_a_moment_ago(world: World) -> None:
    catalogue = a_catalogue("g.one")
    world.engine(catalogue).step(world.clock.now())
    world.ran.clear()
    world.engine(catalogue).step(world.clock.now())
    assert world.ran == []


def test_a_changed_source_is_calibrated_again(world: World) -> None:
    catalogue = a_catalogue("g.one")
    world.engine(catalogue).step(world.clock.now())
    world.ran.clear()
    changed = replace(ATTACKS["g.one"])
    object.__setattr__(changed, "sources", {"other.py": "0" * 64})
    world.engine(catalogue, attacks={"g.one": changed}).step(world.clock.now())
    assert world.ran == [("g.one", Against.BROKEN)]


def test_the_kill_switch_stops_everything(world: World) -> None:
    engine = world.engine(a_catalogue("g.one"))
    world.pause.touch()
    assert engine.step(world.clock.now()) == []
    world.pause.unlink()
    assert engine.step(world.clock.now())


def test_the_budget_is_kept(world: World) -> None:
    engine = world.engine(a_catalogue("g.one", "g.two"), budget=Budget(per_minute=3))
    assert len(engine.step(world.clock.now())) == 3
    assert engine.step(world.clock.now()) == []
    world.clock.at += MINUTE
    assert len(engine.step(world.clock.now())) == 1


def test_light_attacks_do_not_wait_for_heavy_ones(world: World) -> None:
    engine = world.engine(a_catalogue("g.one", "g.heavy"))
    engine.step(world.clock.now(), heavy=False)
    assert world.ran == [("g.one", Against.CONTROL)]
    engine.step(world.clock.now(), heavy=True)
    assert [run for run in world.ran[1:] if run[0] == "g.one"] == [("g.one", Against.BROKEN)]


def test_schedules_are_logged_when_they_change_and_only_then(world: World) -> None:
    assert (
        world.engine(a_catalogue("g.one", "g.two"))._book.publish(a_catalogue("g.one", "g.two"), world.clock.now()) == 2
    )
    assert (
        world.engine(a_catalogue("g.one", "g.two"))._book.publish(a_catalogue("g.one", "g.two"), world.clock.now()) == 0
    )
    assert (
        world.engine(a_catalogue("g.one", "g.two", max_age=2 * HOUR))._book.publish(
            a_catalogue("g.one", "g.two", max_age=2 * HOUR), world.clock.now()
        )
        == 2
    )
    assert (
        world.engine(a_catalogue("g.one", max_age=2 * HOUR))._book.publish(
            a_catalogue("g.one", max_age=2 * HOUR), world.clock.now()
        )
        == 1
    )  # withdrawn
    assert (
        world.engine(a_catalogue("g.one", max_age=2 * HOUR))._book.publish(
            a_catalogue("g.one", max_age=2 * HOUR), world.clock.now()
        )
        == 0
    )
    world.publish()
    replay = world.replay()
    assert set(replay.standings(world.clock.now())) == {"g.claim_one"}
    assert any("loosened" in note for note in replay.notes)


def test_nothing_counts_before_it_is_under_a_signed_checkpoint(world: World) -> None:
    catalogue = a_catalogue("g.one")
    board = Board(catalogue)
    world.publish()
    world.engine(catalogue).step(world.clock.now())
    keystore.sequencer(world.database, world.tiles, world.platform, world.clock).assign()
    with world.database.system() as tx:
        (before,) = board.refresh(tx, world.clock.now()).verdicts
    world.publish()
    with world.database.system() as tx:
        (after,) = board.refresh(tx, world.clock.now()).verdicts
        (again,) = board.refresh(tx, world.clock.now()).verdicts
    assert (before.state, after.state) == (State.STALE, State.PROVEN)
    assert again.attacks[0].control_count == 1


def test_the_engine_runs_until_it_is_told_to_stop(world: World) -> None:
    catalogue = a_catalogue("g.one", "g.heavy")
    engine = world.engine(catalogue)

    async def scene() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(engine.run(stop))
        while len(world.ran) < 4:
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.wait_for(running, 10)

    asyncio.run(scene())
    assert set(world.state(catalogue).values()) == {State.PROVEN}


@pytest.mark.parametrize("outcome", [Outcome.ERROR, Outcome.MISSING])
def test_an_attack_that_cannot_run_is_a_failing_claim(world: World, outcome: Outcome) -> None:
    catalogue = a_catalogue("g.one")
    world.answers["g.one", Against.CONTROL] = lambda: Finding(outcome, {"runs": 1}, "It could not.")
    world.engine(catalogue).step(world.clock.now())
    assert world.state(catalogue) == {"g.claim_one": State.FAILING}
