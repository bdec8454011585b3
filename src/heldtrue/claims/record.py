"""What is remembered of one attack: folded run by run, so that a page never reads a year of results."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from heldtrue.attack import Outcome
from heldtrue.claims.model import Against, Episode, Run, State

KEPT_DAYS = 400
KEPT_EPISODES = 500
KEPT_RUNS = 200


@dataclass(frozen=True, slots=True)
class Day:
    """What one day (UTC) brought."""

    held: int = 0
    failed: int = 0


@dataclass(slots=True)
class Record:
    """The folded history of one attack; feed it runs in the order of the log."""

    attack: str
    max_age: timedelta
    """Of the claim in whose name overdue checks are counted."""
    latest: Run | None = None
    """The latest run against the control."""
    first: Run | None = None
    seen_broken: dict[str, Run] = field(default_factory=dict)
    """By source hash, the latest run that succeeded against a broken control."""
    held_count: int = 0
    control_count: int = 0
    held_since: datetime | None = None
    """Since when every run held and none was overdue; None while the latest did not."""
    held_in_a_row: int = 0
    days: OrderedDict[date, Day] = field(default_factory=OrderedDict)
    episodes: list[Episode] = field(default_factory=list)
    """Ended and open ones, oldest first."""
    recent: list[Run] = field(default_factory=list)
    """The newest runs, both kinds, oldest first."""

    def fold(self, run: Run) -> None:
        """Take in *run*; feed them in the order of the log, each once."""
        self.recent.append(run)
        del self.recent[:-KEPT_RUNS]
        if run.against is Against.BROKEN:
            if run.outcome is Outcome.BROKEN:
                self.seen_broken[run.source_sha256] = run
            return
        overdue = self._close_overdue(run)
        self._count(run)
        if run.outcome is Outcome.HELD:
            self._close_failing(run)
            if self.held_since is None or overdue:
                self.held_since, self.held_in_a_row = run.finished_at, 0
            self.held_in_a_row += 1
            self.held_count += 1
        else:
            self.held_since, self.held_in_a_row = None, 0
            self._open_failing(run)
        self.first = self.first or run
        self.latest = run
        self.control_count += 1

    def trusted_at(self, source_sha256: str) -> Run | None:
        """Return the run that showed this source to see through a broken control, if there was one."""
        return self.seen_broken.get(source_sha256)

    def overdue_since(self, now: datetime) -> datetime | None:
        """Return when the latest run became too old, or None while it is young enough (or there is none)."""
        if self.latest is None:
            return None
        limit = self.latest.finished_at + self.max_age
        return limit if now > limit else None

    def _close_overdue(self, run: Run) -> bool:
        limit = self.overdue_since(run.finished_at)
        if limit is None:
            return False
        self._remember(Episode(State.STALE, self.attack, limit, run.finished_at, None, "not attacked in time"))
        return True

    def _open_failing(self, run: Run) -> None:
        if self.episodes and self.episodes[-1].kind is State.FAILING and self.episodes[-1].ended_at is None:
            return
        self._remember(Episode(State.FAILING, self.attack, run.finished_at, None, run.number, run.result))

    def _close_failing(self, run: Run) -> None:
        for at in range(len(self.episodes) - 1, -1, -1):
            old = self.episodes[at]
            if old.kind is State.FAILING:
                if old.ended_at is None:
                    self.episodes[at] = Episode(
                        old.kind, old.attack, old.started_at, run.finished_at, old.number, old.reason
                    )
                return

    def _remember(self, episode: Episode) -> None:
        self.episodes.append(episode)
        del self.episodes[:-KEPT_EPISODES]

    def _count(self, run: Run) -> None:
        day = run.finished_at.astimezone(UTC).date()
        old = self.days.get(day, Day())
        good = run.outcome is Outcome.HELD
        self.days[day] = Day(old.held + good, old.failed + (not good))
        while len(self.days) > KEPT_DAYS:
            self.days.popitem(last=False)
