"""Where a claim stands by the log alone: its schedule, the runs of its attacks, and the documents behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum
from typing import Protocol

from heldtrue_verify.checkpoint import show_time
from heldtrue_verify.history import Episode, History, Result, Terms, recall
from heldtrue_verify.papers import Paper
from heldtrue_verify.schedule import Schedule

PATIENCE = timedelta(minutes=10)
"""How long an announced run may take where no cadence says otherwise."""


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
    paper: Paper | None = None
    """The document that the log names for it."""
    held: int = 0
    """How many runs in a row held, of the attack with the fewest."""


class Said(Protocol):
    """What the entries so far say."""

    schedules: dict[str, Schedule]
    terms: dict[str, list[Terms]]
    papers: dict[str, Paper]
    runs: dict[str, list[Run]]


def is_overdue(schedules: Mapping[str, Schedule], attack: str, run: Run, at: datetime) -> bool:
    """Tell whether a run that was announced should have had its result by *at*."""
    cadences = [s.cadence for s in schedules.values() if attack in s.attacks]
    return at - run.at > max(PATIENCE, min(cadences, default=PATIENCE))


def stand(schedule: Schedule, log: Said, at: datetime) -> Standing:
    """Say where one claim stands at the log's time *at*."""
    if not schedule.attacks:
        return _stand_on_paper(log.papers.get(schedule.claim), at)
    worst = Standing(State.PROVEN, "every attack held in time")
    ages: list[datetime] = []
    histories = [_recall(log, attack, log.terms[schedule.claim], at) for attack in schedule.attacks]
    for attack in schedule.attacks:
        found = _stand_attack(log, attack, schedule.max_age, at)
        if found.last_attacked is not None:
            ages.append(found.last_attacked)
        if found.state < worst.state:
            worst = found
    episodes = sorted((e for h in histories for e in h.episodes), key=lambda e: e.started_at, reverse=True)
    since = max((h.held_since for h in histories if h.held_since), default=None)
    if worst.state is not State.PROVEN:
        since = min((e.started_at for e in episodes if e.ended_at is None), default=None)
    oldest = min(ages) if len(ages) == len(schedule.attacks) else None
    held = min(h.held for h in histories)
    return Standing(worst.state, worst.why, oldest, since, tuple(episodes), held=held)


def _stand_on_paper(paper: Paper | None, at: datetime) -> Standing:
    if paper is None:
        return Standing(State.PROMISED, "no attack is scheduled")
    why = paper.in_force(at)
    if paper.withdrawn:
        return Standing(State.PROMISED, why, paper=paper)
    since = None if why else datetime.combine(paper.dated, time(), UTC)
    said = why or f"it rests on the document of {paper.dated}, entry {paper.index}"
    return Standing(State.STALE if why else State.ATTESTED, said, since=since, paper=paper)


def _recall(log: Said, attack: str, terms: list[Terms], at: datetime) -> History:
    """Fold the runs against the control, in the order in which their results entered the log."""
    done = [(r.index, r) for r in log.runs[attack] if r.against == "control" and r.index is not None]
    results = [
        Result(r.number, r.outcome == "held", r.finished_at)
        for _, r in sorted(done, key=lambda pair: pair[0])
        if r.finished_at is not None
    ]
    return recall(attack, results, terms, at)


def _stand_attack(log: Said, attack: str, max_age: timedelta, at: datetime) -> Standing:
    """Judge the latest run against the control; an announced run that never completed counts as missing."""
    runs = [
        r
        for r in log.runs[attack]
        if r.against == "control" and (r.outcome or is_overdue(log.schedules, attack, r, at))
    ]
    if not runs:
        return Standing(State.STALE, f"the attack {attack} has never been run")
    last, before = runs[-1], max((r.finished_at for r in runs if r.finished_at), default=None)
    called, when = f"run {last.number} of the attack {attack}", last.finished_at
    if last.outcome != "held" or when is None:
        since = f" at {show_time(when)}" if when else ""
        return Standing(State.FAILING, f"{called} ended {last.outcome or 'missing'}{since}", when or before)
    if at - when > max_age:
        return Standing(State.STALE, f"{called} held, too long ago: {show_time(when)}", when)
    trusted = [r.source for r in log.runs[attack] if r.against != "control" and r.outcome == "broken"]
    if last.source not in trusted:
        return Standing(State.STALE, f"{called} held, but that attack was never seen to succeed", when)
    return Standing(State.PROVEN, f"{called} held", when)
