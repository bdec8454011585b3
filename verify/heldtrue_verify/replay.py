"""Replay the log's clear entries: keys, schedules, and every run of every attack; then say where each claim stands."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from heldtrue_verify.canonical import (
    JsonObject,
    instant_in,
    integer_in,
    object_in,
    parse_object,
    text_in,
)
from heldtrue_verify.checkpoint import SKEW, show_time
from heldtrue_verify.data_integrity import created_of, method_of, verify_proof
from heldtrue_verify.history import Episode, History, Result, Terms, recall
from heldtrue_verify.receipt import KeyEntry, speaks_for
from heldtrue_verify.schedule import Loosening, Schedule
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError, VerifyError

PATIENCE = timedelta(minutes=10)
"""How long an announced run may take where no cadence says otherwise."""
TENANT_ENTRY = re.compile(rb'\{"c":"[A-Za-z0-9+/]{43}=","kind":"tenant","v":1\}')
BACKDATED = timedelta(minutes=10)
"""How much earlier than the latest one before it an entry may be dated: runs side by side end in any order."""
OUTCOMES = ("held", "broken", "error", "missing")


class State(IntEnum):
    """Where a claim stands, the better the higher; what has attacks in the log cannot retreat to a mere promise."""

    FAILING = 0
    STALE = 1
    PROMISED = 2
    ATTESTED = 3
    PROVEN = 4


@dataclass(slots=True)
class Run:
    """One announced run of an attack, and its result once it is in the log."""

    number: int
    against: str
    at: datetime
    index: int | None = None
    outcome: str = ""
    source: str = ""
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a claim stands by the log alone, and why."""

    state: State
    why: str
    last_attacked: datetime | None = None
    since: datetime | None = None
    """Since when every attack held without a gap, or since when it does not."""
    episodes: tuple[Episode, ...] = ()
    """Every time that it did not hold or was not checked, newest first."""


@dataclass
class Replay:
    """What the entries taken so far say; `problems` are sentences about what must not be in a log."""

    origin: str
    problems: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    keys: dict[str, KeyEntry] = field(default_factory=dict[str, KeyEntry])
    compromised: dict[str, str] = field(default_factory=dict[str, str])
    retired: dict[str, datetime] = field(default_factory=dict[str, datetime])
    successor: bool = False
    """Whether this log begins where another ended: then the numbers go on, and what came before is not in it."""
    schedules: dict[str, Schedule] = field(default_factory=dict[str, Schedule])
    terms: dict[str, list[Terms]] = field(default_factory=lambda: defaultdict[str, list[Terms]](list))
    loosened: list[Loosening] = field(default_factory=list[Loosening])
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict[str, list[Run]](list))
    not_before: datetime | None = None
    """The latest date of an entry so far: what comes later cannot be dated earlier."""

    def take(self, index: int, entry: bytes) -> None:
        """Take in the next entry."""
        if TENANT_ENTRY.fullmatch(entry):
            return
        try:
            document = parse_object(entry)
            takes = {"key": self._key, "schedule": self._schedule, "intent": self._intent, "evidence": self._evidence}
            kind = text_in(document, "kind")
            if kind in takes:
                takes[kind](index, document)
            elif kind == "succession":
                self.successor = index == 0
                self.notes.append(f"Entry {index} says that this log succeeds another: {entry.decode()}")
        except VerifyError as error:
            self.problems.append(f"Entry {index}: {error}")

    def _key(self, _index: int, entry: JsonObject) -> None:
        key = KeyEntry.read(entry)
        if key.event == "compromised":
            self.compromised.setdefault(key.public, text_in(entry, "at"))
        elif key.event == "deactivated":
            self.retired.setdefault(key.public, instant_in(entry, "at"))
        elif key.event == "activated" and self.keys.setdefault(key.public, key) != key:
            raise DoesNotHoldError(f"the key {key.public} is activated a second time, with other dates.")

    def _dated(self, what: str, at: datetime) -> None:
        """Refuse an entry that is dated before others that were in the log already."""
        if self.not_before is not None and at < self.not_before - BACKDATED:
            self.problems.append(
                f"{what[:1].upper()}{what[1:]} is dated {show_time(at)}, and what is before it in the log "
                f"{show_time(self.not_before)}: it was backdated."
            )
        self.advance(at)

    def _schedule(self, index: int, entry: JsonObject) -> None:
        new = Schedule.read(entry)
        claim = new.claim
        self._dated(f"the schedule of {claim}, entry {index},", new.at)
        old = self.schedules.get(claim)
        if old and (how := new.looser_than(old)):
            self.loosened.append(Loosening(claim, index, new.at, how))
            self.notes.append(f"Entry {index} of {show_time(new.at)} loosened the claim {claim}: {how}.")
        self.schedules[claim] = new
        self.terms[claim].append(Terms(new.at, new.max_age))

    def _intent(self, _index: int, entry: JsonObject) -> None:
        attack, number, against = text_in(entry, "attack"), integer_in(entry, "number"), text_in(entry, "against")
        runs = self.runs[attack]
        expected = runs[-1].number + 1 if runs else number if self.successor else 1
        runs.append(Run(number, against, instant_in(entry, "at")))
        self._dated(f"run {number} of the attack {attack}", runs[-1].at)
        if number != expected:
            runs.sort(key=lambda run: run.number)
            raise DoesNotHoldError(f"run {number} of the attack {attack} is announced where run {expected} is due.")

    def _evidence(self, index: int, entry: JsonObject) -> None:
        attack, number, against = text_in(entry, "attack"), integer_in(entry, "number"), text_in(entry, "against")
        called = f"run {number} of the attack {attack}"
        run = next((run for run in reversed(self.runs[attack]) if run.number == number), None)
        if run is None and self.successor and not self.runs[attack]:
            self.notes.append(f"{called} was announced in the log that this one succeeds; it does not count.")
            return
        if run is None:
            raise DoesNotHoldError(f"{called} has a result, but was never announced in the log.")
        if run.index is not None:
            raise DoesNotHoldError(f"{called} has a second result.")
        if run.against != against:
            raise DoesNotHoldError(f"{called} was announced against the {run.against}, not the {against}.")
        outcome, source = text_in(entry, "outcome"), text_in(object_in(entry, "method"), "source_sha256")
        if outcome not in OUTCOMES:
            raise MalformedError(f'{called} has the unknown outcome "{outcome}".')
        finished, created, (controller, public) = instant_in(entry, "finished_at"), created_of(entry), method_of(entry)
        key = self.keys.get(public)
        if key is None or key.purpose != "evidence" or not speaks_for(controller, self.origin):
            raise DoesNotHoldError(f"{called} is signed by a key that the log did not activate for evidence: {public}.")
        try:
            verify_proof(entry, public)
            key.require_signing_at(created)
        except VerifyError as error:
            raise DoesNotHoldError(f"the evidence of {called} does not hold: {error}") from error
        if public in self.compromised and outcome == "held":
            raise DoesNotHoldError(f"{called} is signed by a key that the log declared compromised before.")
        if created > self.retired.get(public, created):
            raise DoesNotHoldError(f"{called} is signed after its key was retired.")
        if finished != run.at:
            self._dated(f"the result of {called}", finished)
        run.index, run.outcome, run.source, run.finished_at = index, outcome, source, finished

    def incomplete(self, at: datetime) -> list[str]:
        """Name the runs that were announced and never completed at the log's time *at*."""
        return [
            f"Run {run.number} of the attack {attack} was announced at {show_time(run.at)} "
            "and never completed: a missing completion is a failure."
            for attack, runs in self.runs.items()
            for run in runs
            if run.index is None and self._overdue(attack, run, at)
        ]

    def postdated(self, at: datetime, clock: str) -> list[str]:
        """Name what is dated after *at*, when by *clock* it was in the log already."""
        return [
            f"Run {run.number} of the attack {attack} is dated after the log's own time: it says {show_time(latest)}, "
            f"and was in the log by {show_time(at)}, by {clock}."
            for attack, runs in self.runs.items()
            for run in runs
            if (latest := max(run.at, run.finished_at or run.at)) > at + SKEW
        ]

    def advance(self, at: datetime) -> None:
        """Take note that everything so far was in the log at *at*: nothing that follows can be dated before."""
        self.not_before = max(at, self.not_before or at)

    def _overdue(self, attack: str, run: Run, at: datetime) -> bool:
        cadences = [s.cadence for s in self.schedules.values() if attack in s.attacks]
        return at - run.at > max(PATIENCE, min(cadences, default=PATIENCE))

    def standings(self, at: datetime) -> dict[str, Standing]:
        """Say where each scheduled claim stands at the log's time *at*."""
        return {
            claim: self._stand(schedule, at) for claim, schedule in self.schedules.items() if not schedule.withdrawn
        }

    def _stand(self, schedule: Schedule, at: datetime) -> Standing:
        if not schedule.attacks:
            return Standing(State.PROMISED, "no attack is scheduled")
        worst = Standing(State.PROVEN, "every attack held in time")
        ages: list[datetime] = []
        histories = [self._recall(attack, self.terms[schedule.claim], at) for attack in schedule.attacks]
        for attack in schedule.attacks:
            found = self._stand_attack(attack, schedule.max_age, at)
            if found.last_attacked is not None:
                ages.append(found.last_attacked)
            if found.state < worst.state:
                worst = found
        episodes = sorted((e for h in histories for e in h.episodes), key=lambda e: e.started_at, reverse=True)
        since = max((h.held_since for h in histories if h.held_since), default=None)
        if worst.state is not State.PROVEN:
            since = min((e.started_at for e in episodes if e.ended_at is None), default=None)
        oldest = min(ages) if len(ages) == len(schedule.attacks) else None
        return Standing(worst.state, worst.why, oldest, since, tuple(episodes))

    def _recall(self, attack: str, terms: list[Terms], at: datetime) -> History:
        """Fold the runs against the control, in the order in which their results entered the log."""
        done = [(r.index, r) for r in self.runs[attack] if r.against == "control" and r.index is not None]
        results = [
            Result(r.number, r.outcome == "held", r.finished_at)
            for _, r in sorted(done, key=lambda pair: pair[0])
            if r.finished_at is not None
        ]
        return recall(attack, results, terms, at)

    def _stand_attack(self, attack: str, max_age: timedelta, at: datetime) -> Standing:
        """Judge the latest run against the control; an announced run that never completed counts as missing."""
        runs = [r for r in self.runs[attack] if r.against == "control" and (r.outcome or self._overdue(attack, r, at))]
        if not runs:
            return Standing(State.STALE, f"the attack {attack} has never been run")
        last = runs[-1]
        called, when = f"run {last.number} of the attack {attack}", last.finished_at
        if last.outcome != "held" or when is None:
            since = f" at {show_time(when)}" if when else ""
            return Standing(State.FAILING, f"{called} ended {last.outcome or 'missing'}{since}", when)
        if at - when > max_age:
            return Standing(State.STALE, f"{called} held, too long ago: {show_time(when)}", when)
        if not any(
            r.against != "control" and r.outcome == "broken" and r.source == last.source for r in self.runs[attack]
        ):
            return Standing(State.STALE, f"{called} held, but that attack was never seen to succeed", when)
        return Standing(State.PROVEN, f"{called} held", when)
