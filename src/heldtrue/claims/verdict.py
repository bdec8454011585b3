"""From what is remembered of its attacks to where a claim stands: one pure function.

The separate verifier computes the same from the log alone: proven if, and only if, the latest run of every attack of
the claim held, is at most the maximum age old, and used a source that has been seen to succeed against a broken
control.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from heldtrue.attack import Outcome
from heldtrue.capabilities.attestations.model import in_force
from heldtrue.claims.model import Annotation, Claim, Episode, Run, State
from heldtrue.claims.record import FAILED, NOTHING, Record, ordinal
from heldtrue.claims.terms import Loosening

_OVERDUE = ord("s")
_RANK = {NOTHING: 0, ord("h"): 1, _OVERDUE: 2, FAILED: 3}
_WORSE = {
    letter: bytes(other if _RANK.get(other, -1) > rank else letter for other in range(256))
    for letter, rank in _RANK.items()
}
"""By letter, what it makes of every other: the worse of the two."""
SLOTS = 120
"""Days of history that a verdict carries, the present day last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackStanding:
    """Where one attack of a claim stands."""

    attack: str
    latest: Run | None
    seen_to_fail: Run | None
    """The run against a broken control with the same source as the latest run."""
    held_count: int
    control_count: int
    recent: tuple[int, ...]
    """Entries of the log that hold the newest results, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Where a claim stands at one moment, and what it went through."""

    claim: Claim
    state: State
    reason: str
    """Why, in one sentence; empty for proven, and what is missing for promised."""
    at: datetime
    since: datetime | None
    """Since when it is in this state."""
    continuous_since: datetime | None
    """Since when every attack held without an overdue check; None unless all hold now."""
    held_in_a_row: int
    last_attacked: datetime | None
    """The time of the attack that was attacked longest ago: the age of the claim is the age of its oldest evidence."""
    attacks: tuple[AttackStanding, ...]
    failures: tuple[Episode, ...]
    """Newest first; those that go on have no end."""
    failure_count: int = 0
    """How many there were, beyond those that are listed."""
    annotations: tuple[Annotation, ...] = ()
    """What the operator said of them, oldest first."""
    loosened: tuple[Loosening, ...] = ()
    """When it began to ask for less than before, oldest first."""
    history: str
    """One letter a day, oldest first: `.` nothing, `h` held, `f` failed at least once, `s` overdue."""

    @property
    def age(self) -> timedelta | None:
        """How old the oldest of the latest results is."""
        return None if self.last_attacked is None else self.at - self.last_attacked

    @property
    def open_failures(self) -> tuple[Episode, ...]:
        """What goes on now."""
        return tuple(episode for episode in self.failures if episode.ended_at is None)


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a claim stands, without its past."""

    state: State
    reason: str
    since: datetime | None


def judge(
    claim: Claim, records: Mapping[str, Record], now: datetime, annotations: tuple[Annotation, ...] = ()
) -> Verdict:
    """Return where *claim* stands at *now*, given what is remembered of its attacks; annotations change nothing."""
    mine = _mine(claim, records)
    stood = stand(claim, records, now)
    latest = [record.latest for record in mine]
    attacked = [run.finished_at for run in latest if run is not None]
    starts = [record.held_since for record in mine]
    whole = all(start is not None for start in starts) and stood.state is State.PROVEN
    failures = _failures(mine, now)
    return Verdict(
        claim=claim,
        state=stood.state,
        reason=stood.reason,
        at=now,
        since=stood.since,
        continuous_since=max((start for start in starts if start), default=None) if whole else None,
        held_in_a_row=min((record.held_in_a_row for record in mine), default=0),
        last_attacked=min(attacked) if attacked and len(attacked) == len(mine) else None,
        attacks=tuple(_standing(record) for record in mine),
        failures=failures,
        history=history(mine, failures, now),
        failure_count=sum(record.episode_count for record in mine)
        + len(failures)
        - sum(len(record.episodes) for record in mine),
        annotations=annotations,
    )


def stand(claim: Claim, records: Mapping[str, Record], now: datetime) -> Stand:
    """Return where *claim* stands at *now*; costs the same however long its attacks have run."""
    mine = _mine(claim, records)
    if not mine:
        return _stand_on_paper(claim, now)
    return _stand_failing(mine, now) or _stand_stale(mine, now) or Stand(State.PROVEN, "", _proven_since(mine))


def turns(claim: Claim, records: Mapping[str, Record], now: datetime) -> datetime | None:
    """Return when *claim* may stand elsewhere without anything new in the log, None for never."""
    moments = [moment for record in _mine(claim, records) if (moment := record.turns(now)) is not None]
    if not claim.attacks and claim.document is not None:
        for day in (claim.document.dated, claim.document.expires):
            if (moment := datetime.combine(day, time(), UTC)) >= now:
                moments.append(moment)
    return min(moments, default=None)


def _mine(claim: Claim, records: Mapping[str, Record]) -> list[Record]:
    return [records.get(name) or Record(name, claim.max_age, claim.cadence) for name in claim.attacks]


def _standing(record: Record) -> AttackStanding:
    latest = record.latest
    return AttackStanding(
        attack=record.attack,
        latest=latest,
        seen_to_fail=record.trusted_at(latest.source_sha256) if latest else _newest_broken(record),
        held_count=record.held_count,
        control_count=record.control_count,
        recent=tuple(reversed(record.recent)),
    )


def _newest_broken(record: Record) -> Run | None:
    return max(record.seen_broken.values(), key=lambda run: run.number, default=None)


def _stand_failing(mine: list[Record], now: datetime) -> Stand | None:
    opened = [
        episode
        for record in mine
        if record.latest and record.latest.outcome is not Outcome.HELD
        for episode in record.episodes
        if episode.kind is State.FAILING and episode.ended_at is None
    ]
    opened += [episode for record in mine for episode in _left_out(record, now)]
    if not opened:
        return None
    first = min(opened, key=lambda episode: episode.started_at)
    return Stand(State.FAILING, first.reason, first.started_at)


def _left_out(record: Record, now: datetime) -> list[Episode]:
    """Return what the log leaves out of an attack's runs: a result that should be there, a number that is skipped."""
    found: list[Episode] = []
    if (open_run := record.unanswered(now)) is not None:
        number, at = open_run
        text = f"Run {number} of the attack {record.attack} was announced and never completed."
        found.append(Episode(State.FAILING, record.attack, at, None, None, text))
    if record.gap is not None:
        text = f"Run {record.gap} of the attack {record.attack} is missing from the log."
        found.append(Episode(State.FAILING, record.attack, now, None, None, text))
    return found


def _stand_stale(mine: list[Record], now: datetime) -> Stand | None:
    if any(record.latest is None for record in mine):
        return Stand(State.STALE, "Not attacked yet.", None)
    overdue = [since for record in mine if (since := record.overdue_since(now))]
    if overdue:
        return Stand(State.STALE, "Not attacked in time: counted as a failure until it is.", min(overdue))
    if any(record.latest and not record.trusted_at(record.latest.source_sha256) for record in mine):
        why = "Held, but the attack has not yet been seen to fail against a broken control."
        return Stand(State.STALE, why, None)
    return None


def _proven_since(mine: list[Record]) -> datetime:
    since = [record.held_since for record in mine if record.held_since]
    trusted = [run.finished_at for r in mine if r.latest and (run := r.trusted_at(r.latest.source_sha256))]
    return max([*since, *(at for at in trusted if at > max(since))])


def _stand_on_paper(claim: Claim, now: datetime) -> Stand:
    paper = claim.document
    if paper is None:
        return Stand(State.PROMISED, claim.promised, None)
    expires = datetime.combine(paper.expires, time(), UTC)
    if now >= expires:
        return Stand(State.STALE, f"The document expired on {paper.expires.isoformat()}.", expires)
    if not in_force(paper, now):
        return Stand(State.STALE, f"The document is dated {paper.dated.isoformat()}, and that day has not come.", None)
    return Stand(State.ATTESTED, f"Stated by {paper.owner}.", datetime.combine(paper.dated, time(), UTC))


def _failures(mine: list[Record], now: datetime) -> tuple[Episode, ...]:
    found = [episode for record in mine for episode in record.episodes]
    for record in mine:
        found += _left_out(record, now)
        since = record.overdue_since(now)
        if since is not None:
            found.append(Episode(State.STALE, record.attack, since, None, None, "not attacked in time"))
    return tuple(sorted(found, key=lambda episode: (episode.ended_at is None, episode.started_at), reverse=True))


def history(mine: list[Record], failures: Iterable[Episode], now: datetime) -> str:
    """Return one letter for each of the last `SLOTS` days, the worst of all attacks on that day."""
    today = ordinal(now)
    letters, *others = [record.days.window(today, SLOTS) for record in mine] or [bytearray(b"." * SLOTS)]
    for window in others:
        letters = bytearray(max(pair, key=_RANK.__getitem__) for pair in zip(letters, window, strict=True))
    beginning = now - timedelta(days=SLOTS)
    for episode in failures:
        if episode.ended_at is not None and episode.ended_at < beginning:
            continue
        first = max(ordinal(episode.started_at), today - SLOTS + 1)
        last = min(ordinal(episode.ended_at or now), today)
        if first <= last:
            days = slice(first - today + SLOTS - 1, last - today + SLOTS)
            letters[days] = letters[days].translate(_WORSE[FAILED if episode.kind is State.FAILING else _OVERDUE])
    return letters.decode()
