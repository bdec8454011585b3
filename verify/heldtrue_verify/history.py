"""What became of a claim's attacks over time, under the terms that were logged at the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Terms:
    """How old a result might be, from some moment on until the next terms."""

    since: datetime
    max_age: timedelta


@dataclass(frozen=True, slots=True)
class Result:
    """One finished run against the control."""

    number: int
    held: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which an attack succeeded, could not run, or was not run in time."""

    kind: str
    """`failing` or `stale`."""
    attack: str
    started_at: datetime
    ended_at: datetime | None = None
    number: int | None = None
    """The run that began a failing one."""


@dataclass(frozen=True, slots=True)
class History:
    """An attack's past: since when it held without a gap (None while it does not), and every time that it did not."""

    held_since: datetime | None
    held: int
    """How many runs held since then."""
    episodes: tuple[Episode, ...]


def changes_of(terms: Sequence[Terms]) -> list[datetime]:
    """Give the moments at which the greatest age became another."""
    return [new.since for old, new in pairwise(terms) if new.max_age != old.max_age]


def overdue_from(last: datetime, until: datetime, terms: Sequence[Terms]) -> datetime | None:
    """Give the first moment before *until* when a result of *last* was older than the terms of that moment allowed."""
    for place, term in enumerate(terms):
        end = min(until, terms[place + 1].since) if place + 1 < len(terms) else until
        moment = max(last + term.max_age, term.since)
        if moment < end:
            return moment
    return None


def recall(attack: str, results: Iterable[Result], terms: Sequence[Terms], at: datetime) -> History:
    """Fold the results of *attack*, in the order of the log, into its history at *at*."""
    last: datetime | None = None
    held_since: datetime | None = None
    held = 0
    episodes: list[Episode] = []
    failing: Episode | None = None
    for result in results:
        gap = None if last is None else overdue_from(last, result.at, terms)
        if gap is not None:
            episodes.append(Episode("stale", attack, gap, result.at))
        if result.held:
            if failing is not None:
                episodes.append(replace(failing, ended_at=result.at))
            failing = None
            if held_since is None or gap is not None:
                held_since, held = result.at, 0
            held += 1
        else:
            failing = failing or Episode("failing", attack, result.at, None, result.number)
            held_since, held = None, 0
        last = result.at
    if failing is not None:
        episodes.append(failing)
    if last is not None and (gap := overdue_from(last, at, terms)) is not None:
        episodes.append(Episode("stale", attack, gap))
    return History(held_since, held, tuple(episodes))
