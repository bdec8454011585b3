"""What is remembered of one attack: folded run by run, so that a page never reads a year of results.

A record stays small however long its attack has run: a byte a day, the newest episodes, the newest entries by number.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from heldtrue.attack import Outcome
from heldtrue.claims.model import Against, Episode, Run, State

KEPT_DAYS = 400
KEPT_EPISODES = 100
"""Of one attack; older ones are counted, and their runs stay in the log."""
KEPT_RUNS = 100
KEPT_SOURCES = 8
PATIENCE = timedelta(minutes=10)
"""How long an announced run may take where its cadence is shorter; the separate verifier has the same."""
NOTHING, HELD, FAILED = b".hf"


def ordinal(at: datetime) -> int:
    """Return the number of a moment's day (UTC)."""
    return at.astimezone(UTC).date().toordinal()


@dataclass(slots=True)
class Days:
    """The worst of each day: one byte a day, `.` nothing, `h` held, `f` failed at least once."""

    first: int = 0
    letters: bytearray = field(default_factory=bytearray)

    def note(self, at: datetime, *, good: bool) -> None:
        """Count a run that ended at *at*."""
        day = ordinal(at)
        if not self.letters:
            self.first = day
        missing = day - self.first - len(self.letters) + 1
        if missing > 0:
            self.letters.extend(b"." * missing)
            surplus = len(self.letters) - KEPT_DAYS
            if surplus > 0:
                del self.letters[:surplus]
                self.first += surplus
        at_day = day - self.first
        if at_day >= 0:
            self.letters[at_day] = FAILED if not good or self.letters[at_day] == FAILED else HELD

    def window(self, last: int, count: int) -> bytearray:
        """Return the letters of *count* days, the day *last* being the last of them."""
        found = bytearray(b"." * count)
        for at in range(max(self.first, last - count + 1), min(last, self.first + len(self.letters) - 1) + 1):
            found[at - last + count - 1] = self.letters[at - self.first]
        return found


@dataclass(slots=True)
class Record:
    """The folded history of one attack; feed it entries in the order of the log."""

    attack: str
    max_age: timedelta
    """Of the claim in whose name overdue checks are counted."""
    cadence: timedelta = timedelta()
    latest: Run | None = None
    """The latest run against the control."""
    seen_broken: dict[str, Run] = field(default_factory=dict)
    """By source hash, the latest run that succeeded against a broken control; the newest sources."""
    held_count: int = 0
    control_count: int = 0
    held_since: datetime | None = None
    """Since when every run held and none was overdue; None while the latest did not."""
    held_in_a_row: int = 0
    days: Days = field(default_factory=Days)
    episodes: list[Episode] = field(default_factory=list)
    """The newest, ended and open ones, oldest first."""
    episode_count: int = 0
    recent: array[int] = field(default_factory=lambda: array("q"))
    """Indices of the newest results, both kinds, oldest first."""
    last_number: int = 0
    announced: dict[int, tuple[Against, datetime]] = field(default_factory=dict)
    """Runs that have no result yet, by number."""
    gap: int | None = None
    """The first number that the log leaves out."""
    terms_from: datetime | None = None
    """Since when `max_age` is as it is, by the log."""
    lapsed: bool = False
    """Whether a check was overdue when the terms changed, and none has come since."""

    def retune(self, max_age: timedelta, at: datetime) -> None:
        """Judge by another age from *at* on; what was overdue by the old one stays on record."""
        limit = self.overdue_since(at)
        if limit is not None and max_age != self.max_age:
            self._remember(Episode(State.STALE, self.attack, limit, at, None, "not attacked in time"))
            self.lapsed = True
        if max_age != self.max_age or self.terms_from is None:
            self.max_age, self.terms_from = max_age, at

    def begin_anew(self) -> None:
        """Rest on another log from here on: runs of the last one prove nothing in it. Failures and days stay."""
        del self.recent[:]
        self.announced.clear()
        self.seen_broken.clear()
        self.last_number = self.held_count = self.control_count = self.held_in_a_row = 0
        self.latest = self.held_since = self.gap = None
        self.lapsed = False

    def announce(self, number: int, against: Against, at: datetime, *, successor: bool = False) -> None:
        """Take in an announcement."""
        expected = self.last_number + 1
        if number != expected and not (successor and self.last_number == 0) and self.gap is None:
            self.gap = expected
        self.last_number = max(self.last_number, number)
        self.announced[number] = (against, at)

    def fold(self, run: Run) -> None:
        """Take in *run*; feed them in the order of the log, each once."""
        self.announced.pop(run.number, None)
        self.recent.append(run.index)
        del self.recent[:-KEPT_RUNS]
        if run.against is Against.BROKEN:
            if run.outcome is Outcome.BROKEN:
                self.seen_broken.pop(run.source_sha256, None)
                self.seen_broken[run.source_sha256] = run
                for old in list(self.seen_broken)[:-KEPT_SOURCES]:
                    del self.seen_broken[old]
            return
        overdue = self._close_overdue(run) or self.lapsed
        self.lapsed = False
        held = run.outcome is Outcome.HELD
        self.days.note(run.finished_at, good=held)
        if held:
            self._close_failing(run)
            if self.held_since is None or overdue:
                self.held_since, self.held_in_a_row = run.finished_at, 0
            self.held_in_a_row += 1
            self.held_count += 1
        else:
            self.held_since, self.held_in_a_row = None, 0
            self._open_failing(run)
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
        limit = limit if self.terms_from is None else max(limit, self.terms_from)
        return limit if now > limit else None

    def unanswered(self, now: datetime) -> tuple[int, datetime] | None:
        """Return the first run against the control that was announced and should have had a result by now, if any."""
        patience = max(PATIENCE, self.cadence)
        for number, (against, at) in self.announced.items():
            if against is Against.CONTROL and now - at > patience:
                return number, at
        return None

    def turns(self, now: datetime) -> datetime | None:
        """Return when this record says something else without anything new, None for never."""
        moments = [at + max(PATIENCE, self.cadence) for _, at in self.announced.values()]
        if self.latest is not None:
            moments.append(self.latest.finished_at + self.max_age)
        return min((moment for moment in moments if moment >= now), default=None)

    def _close_overdue(self, run: Run) -> bool:
        limit = self.overdue_since(run.finished_at)
        if limit is None:
            return False
        self._remember(Episode(State.STALE, self.attack, limit, run.finished_at, None, "not attacked in time"))
        return True

    def _open_failing(self, run: Run) -> None:
        if any(old.kind is State.FAILING and old.ended_at is None for old in self.episodes):
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
        self.episode_count += 1
        self.episodes.append(episode)
        if len(self.episodes) > KEPT_EPISODES:
            ended = next(at for at, old in enumerate(self.episodes) if old.ended_at is not None or at == KEPT_EPISODES)
            del self.episodes[ended]
