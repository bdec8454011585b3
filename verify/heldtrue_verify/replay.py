"""Replay the log's clear entries: keys, schedules, and every run of every attack; then say where each claim stands."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
from heldtrue_verify.history import Terms
from heldtrue_verify.papers import Paper
from heldtrue_verify.receipt import KeyEntry, speaks_for
from heldtrue_verify.schedule import Loosening, Schedule
from heldtrue_verify.standing import Run, Standing, State, is_overdue, stand
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError, VerifyError

TENANT_ENTRY = re.compile(rb'\{"c":"[A-Za-z0-9+/]{43}=","kind":"tenant","v":1\}')
BACKDATED = timedelta(minutes=10)
"""How much earlier than the latest one before it an entry may be dated: runs side by side end in any order."""
__all__ = ["Replay", "Run", "Standing", "State"]
OUTCOMES = ("held", "broken", "error", "missing")


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
    papers: dict[str, Paper] = field(default_factory=dict[str, Paper])
    """By claim, the document that the log names last."""
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict[str, list[Run]](list))
    not_before: datetime | None = None
    """The latest date of an entry so far: what comes later cannot be dated earlier."""

    def take(self, index: int, entry: bytes) -> None:
        """Take in the next entry."""
        if TENANT_ENTRY.fullmatch(entry):
            return
        try:
            document = parse_object(entry)
            takes = {
                "key": self._key,
                "schedule": self._schedule,
                "intent": self._intent,
                "evidence": self._evidence,
                "attestation": self._attestation,
            }
            kind = text_in(document, "kind")
            if kind in takes:
                takes[kind](index, document)
            else:  # what it says is not judged here; when it was said bounds what comes later
                for name in ("at", "minute"):
                    if name in document:
                        self.advance(instant_in(document, name))
            if kind == "succession":
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

    def _attestation(self, index: int, entry: JsonObject) -> None:
        self.papers.pop(text_in(entry, "claim"), None)  # one that is refused leaves nothing in its place
        paper = Paper.read(index, entry)
        self._dated(f"the document of {paper.claim}, entry {index},", paper.at)
        self.papers[paper.claim] = paper

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
            if run.index is None and is_overdue(self.schedules, attack, run, at)
        ]

    def postdated(self, at: datetime, clock: str) -> list[str]:
        """Name what is dated after *at*, when by *clock* it was in the log already."""
        return [
            f"Run {run.number} of the attack {attack} is dated after the log's own time: it says {show_time(latest)}, "
            f"and was in the log by {show_time(at)}, by {clock}."
            for attack, runs in self.runs.items()
            for run in runs
            if (latest := max(run.at, run.finished_at or run.at)) > at + SKEW
        ] + [
            f"The document of {paper.claim}, entry {paper.index}, is dated {paper.dated}, and was in the log by "
            f"{show_time(at)}, by {clock}: it is postdated."
            for paper in self.papers.values()
            if paper.at > at + SKEW or paper.postdated(at)
        ]

    def advance(self, at: datetime) -> None:
        """Take note that everything so far was in the log at *at*: nothing that follows can be dated before."""
        self.not_before = max(at, self.not_before or at)

    def standings(self, at: datetime) -> dict[str, Standing]:
        """Say where each scheduled claim stands at the log's time *at*."""
        return {
            claim: stand(schedule, self, at) for claim, schedule in self.schedules.items() if not schedule.withdrawn
        }
