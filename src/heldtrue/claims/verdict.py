"""From what is remembered of its attacks to where a claim stands: one pure function.

The separate verifier computes the same from the log alone: proven if, and only if, the latest run of every attack of
the claim held, is at most the maximum age old, and used a source that has been seen to succeed against a broken
control.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from heldtrue.attack import Outcome
from heldtrue.claims.model import Claim, Episode, Run, State
from heldtrue.claims.record import Record

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
    recent: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Where a claim stands at one moment, and what it went through."""

    claim: Claim
    state: State
    reason: str
    """Why, in one sentence; empty for proven and promised."""
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


def judge(claim: Claim, records: Mapping[str, Record], now: datetime) -> Verdict:
    """Return where *claim* stands at *now*, given what is remembered of its attacks."""
    mine = [records.get(name, Record(name, claim.max_age)) for name in claim.attacks]
    state, reason, since = _stand(claim, mine, now)
    latest = [record.latest for record in mine]
    attacked = [run.finished_at for run in latest if run is not None]
    starts = [record.held_since for record in mine]
    whole = all(start is not None for start in starts) and state is State.PROVEN
    return Verdict(
        claim=claim,
        state=state,
        reason=reason,
        at=now,
        since=since,
        continuous_since=max((start for start in starts if start), default=None) if whole else None,
        held_in_a_row=min((record.held_in_a_row for record in mine), default=0),
        last_attacked=min(attacked) if attacked and len(attacked) == len(mine) else None,
        attacks=tuple(_standing(record) for record in mine),
        failures=_failures(mine, now),
        history=history(mine, now),
    )


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


def _stand(claim: Claim, mine: list[Record], now: datetime) -> tuple[State, str, datetime | None]:
    if not mine:
        return _stand_on_paper(claim, now)
    failing = [record for record in mine if record.latest and record.latest.outcome is not Outcome.HELD]
    if failing:
        opened = [e for record in failing for e in record.episodes if e.kind is State.FAILING and e.ended_at is None]
        first = min(opened, key=lambda episode: episode.started_at)
        return State.FAILING, first.reason, first.started_at
    if any(record.latest is None for record in mine):
        return State.STALE, "Not attacked yet.", None
    overdue = [since for record in mine if (since := record.overdue_since(now))]
    if overdue:
        return State.STALE, "Not attacked in time: counted as a failure until it is.", min(overdue)
    if any(record.latest and not record.trusted_at(record.latest.source_sha256) for record in mine):
        return State.STALE, "Held, but the attack has not yet been seen to fail against a broken control.", None
    since = [record.held_since for record in mine if record.held_since]
    trusted = [run.finished_at for r in mine if r.latest and (run := r.trusted_at(r.latest.source_sha256))]
    return State.PROVEN, "", max([*since, *(at for at in trusted if at > max(since))])


def _stand_on_paper(claim: Claim, now: datetime) -> tuple[State, str, datetime | None]:
    paper = claim.document
    if paper is None:
        return State.PROMISED, "", None
    dated = datetime.combine(paper.dated, time(), UTC)
    expires = datetime.combine(paper.expires, time(), UTC)
    if now >= expires:
        return State.STALE, f"The document expired on {paper.expires.isoformat()}.", expires
    return State.ATTESTED, f"Stated by {paper.owner}.", dated


def _failures(mine: list[Record], now: datetime) -> tuple[Episode, ...]:
    found = [episode for record in mine for episode in record.episodes]
    for record in mine:
        since = record.overdue_since(now)
        if since is not None:
            found.append(Episode(State.STALE, record.attack, since, None, None, "not attacked in time"))
    return tuple(sorted(found, key=lambda episode: (episode.ended_at is None, episode.started_at), reverse=True))


def history(mine: list[Record], now: datetime) -> str:
    """Return one letter for each of the last `SLOTS` days, the worst of all attacks on that day."""
    today = now.astimezone(UTC).date()
    letters: list[str] = []
    episodes = _failures(mine, now)
    for back in range(SLOTS - 1, -1, -1):
        day = today - timedelta(days=back)
        begin = datetime.combine(day, time(), UTC)
        touching = [e for e in episodes if e.started_at < begin + timedelta(days=1) and (e.ended_at or now) >= begin]
        counts = [record.days.get(day) for record in mine]
        if any(count and count.failed for count in counts) or any(e.kind is State.FAILING for e in touching):
            letters.append("f")
        elif touching:
            letters.append("s")
        elif any(count and count.held for count in counts):
            letters.append("h")
        else:
            letters.append(".")
    return "".join(letters)
