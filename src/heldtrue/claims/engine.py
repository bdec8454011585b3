"""The engine: what is due is attacked, in numbered runs, each announced in the log before it starts.

Starting after a crash is starting: a run that was announced and has no result gets the result `missing`, which counts
as a failure. The engine keeps nothing that matters; schedules, runs and results are in the log and its tables.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from heldtrue.attack import Attack, Finding, Outcome, Place
from heldtrue.claims import documents, store
from heldtrue.claims.book import TICK, Book
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.laboratory import Runner
from heldtrue.claims.model import Against
from heldtrue.claims.summarist import Summarist
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.tx import Database
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import Entropy

POLL = 1.0
JITTER = 0.1
RETRY = timedelta(minutes=2)
"""After a run that did not hold, the attack is tried again this soon, so that a failure lasts no longer than it is."""
CALIBRATION_RETRY = timedelta(minutes=30)
_log = structlog.get_logger("heldtrue.claims")


@dataclass(frozen=True, slots=True)
class Done:
    """One finished run."""

    attack: str
    number: int
    against: Against
    outcome: Outcome
    result: str


@dataclass
class Budget:
    """So many runs a minute, at most."""

    per_minute: int = 60
    _window: list[datetime] = field(default_factory=list[datetime])

    def take(self, now: datetime) -> bool:
        """Return whether another run may start now, and count it."""
        self._window = [at for at in self._window if timedelta() <= now - at < timedelta(minutes=1)]
        if len(self._window) >= self.per_minute:
            return False
        self._window.append(now)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineServices:
    """What the engine needs; the wiring fills it in."""

    database: Database
    platform: PlatformKey
    clock: Clock
    entropy: Entropy
    catalogue: Catalogue
    attacks: Mapping[str, Attack]
    runner: Runner
    origin: str
    """Name of the log; evidence is signed in its name."""
    version: str
    pause_file: Path
    """While this file exists, nothing is attacked."""
    log: Path | None = None
    """Directory of the published log."""

    @property
    def release(self) -> str:
        """How evidence names its executor, up to the version: a broken control counts for the release that saw it."""
        return f"heldtrue {self.version}, "

    def book(self) -> Book:
        """Return what writes into the log."""
        return Book(
            database=self.database,
            platform=self.platform,
            clock=self.clock,
            entropy=self.entropy,
            attacks=self.attacks,
            origin=self.origin,
            version=self.version,
        )


class Engine:
    """Attacks what is due; one an instance."""

    def __init__(self, services: EngineServices, budget: Budget | None = None) -> None:
        self._services = services
        self._book = services.book()
        self._budget = budget or Budget()
        self._due: dict[str, datetime] = {}
        self._calibrate_at: dict[str, datetime] = {}
        self._locks = {name: threading.Lock() for name in services.attacks}
        self._begun = threading.Lock()
        self._ready = False
        self._trusts: set[str] = set()
        self._summarist = Summarist(services.database, services.catalogue, services.log, services.entropy)
        names = documents.names(services.catalogue.claims)
        self._cadence = {
            name: min(claim.cadence for claim in services.catalogue.claims if name in claim.attacks) for name in names
        }

    # ------------------------------------------------------------ running

    async def run(self, stop: asyncio.Event, beat: Callable[[], None] = lambda: None) -> None:
        """Attack until *stop* is set: light attacks and scratch instances side by side."""
        async with asyncio.TaskGroup() as group:
            for heavy in (False, True):
                group.create_task(self._lane(stop, beat, heavy=heavy))

    async def _lane(self, stop: asyncio.Event, beat: Callable[[], None], *, heavy: bool) -> None:
        while not stop.is_set():
            beat()
            try:
                ran = await asyncio.to_thread(self.step, self._services.clock.now(), heavy=heavy, most=1)
                if not heavy:
                    await asyncio.to_thread(self._summarist.step, self._services.clock.now())
            except UnavailableError as error:
                _log.warning("attacks postponed", why=error.message)
                ran = []
            if not ran:
                with_timeout = asyncio.wait_for(stop.wait(), POLL)
                try:
                    await with_timeout
                except TimeoutError:
                    continue

    def step(self, now: datetime, *, heavy: bool | None = None, most: int | None = None) -> list[Done]:
        """Run what is due at *now*, at most so many, and return what came of it. Blocking.

        *heavy* True: only what needs an instance of its own; False: only the rest; None: everything.
        """
        if self.paused():
            return []
        self._begin(now)
        done: list[Done] = []
        for attack, against in self._what_is_due(now, heavy):
            if most is not None and len(done) >= most:
                break
            if self.paused() or not self._budget.take(self._services.clock.now()):
                break
            done.append(self.run_one(attack, against))
        return done

    def paused(self) -> bool:
        """Whether the operator has paused all attacks."""
        return self._services.pause_file.exists()

    def run_one(self, attack: Attack, against: Against, originator: str = "schedule") -> Done:
        """Announce one run, carry it out, and log what came of it. Blocking."""
        services = self._services
        scratch = attack.place is Place.SCRATCH or against is Against.BROKEN
        place = Place.SCRATCH if scratch else attack.place
        with self._locks.setdefault(attack.name, threading.Lock()):
            number, started = self._book.announce(attack, against, place)
            finding = services.runner.run(attack, against)
            finished = max(services.clock.now(), started + TICK)
            self._book.conclude(attack, number, against, place, finding, originator, started, finished)
        self._plan(attack, against, finding, finished)
        log = _log.info if finding.held != (against is Against.BROKEN) else _log.warning
        log("attacked", attack=attack.name, run=number, against=str(against), outcome=str(finding.outcome))
        return Done(attack.name, number, against, finding.outcome, finding.detail)

    def calibrate(self, names: Iterable[str] | None = None, *, again: bool = False) -> list[Done]:
        """Run attacks against their broken controls; by default those not seen to succeed with this source."""
        wanted = list(self._cadence) if names is None else list(names)
        done: list[Done] = []
        for name in wanted:
            attack = self._services.attacks[name]
            if again or not self._trusted(attack):
                done.append(self.run_one(attack, Against.BROKEN, "calibration"))
        return done

    # ------------------------------------------------------------ beginning

    def _begin(self, now: datetime) -> None:
        """Once: conclude what an earlier process left open, publish schedules that changed, and see what was run."""
        with self._begun:
            if self._ready:
                return
            with self._services.database.system() as tx:
                left = {row.attack for row in store.open_runs(tx)}
            self._book.recover(now)
            self._book.publish(self._services.catalogue, now)
            with self._services.database.system() as tx:
                starts = {row.attack: row.started_at for row in store.last_starts(tx, list(self._cadence))}
            for name, cadence in self._cadence.items():
                last = starts.get(name)
                self._due[name] = now if last is None or name in left else min(last + cadence, now + cadence)
            self._ready = True

    # ------------------------------------------------------------ choosing

    def _what_is_due(self, now: datetime, heavy: bool | None) -> list[tuple[Attack, Against]]:
        """Return what to run, in this order: what only looks, what is synthetic, calibrations, scratch instances."""
        attacks = [self._services.attacks[name] for name in self._cadence]
        order = [Place.OBSERVE, Place.SYNTHETIC, Place.SCRATCH]
        due = sorted((a for a in attacks if self._due[a.name] <= now), key=lambda a: order.index(a.place))
        light = [(attack, Against.CONTROL) for attack in due if attack.place is not Place.SCRATCH]
        if heavy is False:
            return light
        untrusted = [
            (attack, Against.BROKEN)
            for attack in attacks
            if self._calibrate_at.get(attack.name, now) <= now and not self._trusted(attack)
        ]
        slow = [*untrusted, *((attack, Against.CONTROL) for attack in due if attack.place is Place.SCRATCH)]
        return slow if heavy else [*light, *slow]

    def _trusted(self, attack: Attack) -> bool:
        """Whether this release has seen the attack succeed against its broken control, with its present source."""
        if attack.name not in self._trusts:
            with self._services.database.system() as tx:
                if store.seen_broken(tx, attack.name, attack.source_sha256, self._services.release):
                    self._trusts.add(attack.name)
        return attack.name in self._trusts

    def _plan(self, attack: Attack, against: Against, finding: Finding, now: datetime) -> None:
        if against is Against.BROKEN:
            if finding.outcome is not Outcome.BROKEN:
                self._calibrate_at[attack.name] = now + CALIBRATION_RETRY
            return
        cadence = self._cadence.get(attack.name)
        if cadence is None:
            return
        wait = cadence if finding.held else min(cadence, RETRY)
        share = int.from_bytes(self._services.entropy(4)) / 2**32
        self._due[attack.name] = now + wait * (1 - JITTER * share)


def calibrate(engine: Engine, names: Iterable[str] | None = None, *, again: bool = False) -> list[Done]:
    """Run attacks against their broken controls and log what came of it; see `Engine.calibrate`."""
    return engine.calibrate(names, again=again)
