"""Requests leased from shared buckets and spent in this process; pure, with time passed in.

A lease is a run of consecutive cells of the generic cell rate algorithm (ITU-T I.371, annex A). Each cell has a stamp:
the theoretical arrival time before it. Whoever spends a cell no later than its stamp has admitted nothing that one
exact bucket would not have admitted, because stamps are an interval apart and none is further ahead than the
tolerance; a cell that is not spent by then is dropped, just as a full bucket takes in nothing more. So unspent leases
expire by themselves, at the rate at which the bucket fills, and can only under-admit.

Cells that calls already wait for count at the moment when the authority gave them, and have a short grace.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from heldtrue.http.limits import Rate, Standing, quoted

AHEAD = 0.1
"""Seconds of the observed rate that a lease is asked for."""
GRACE = 0.1
"""Seconds within which a call that waited takes the cell that was leased for it."""
PAUSE = 0.02
"""Seconds for which an exhausted bucket is not asked about again, so that a flood costs few round trips."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A wish for requests of one shared bucket."""

    bucket: bytes
    """16 bytes that name it."""
    wants: int
    interval: float
    """Seconds in which one request comes back."""
    burst: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What the authority gave."""

    granted: int
    """At most as many as were wanted; 0 when there is no room."""
    level: float
    """Seconds until the bucket is full again, after what was granted."""


class Lease:
    """What this process holds of one bucket, and what it knows of the rest."""

    __slots__ = (
        "__weakref__", "_quoted", "asked", "bucket", "burst", "end", "full_at", "interval", "left", "low", "name",
        "open_at", "rate", "seen_at", "size", "spares", "speed", "spent", "stamp", "step",
    )  # fmt: skip

    def __init__(self, name: str, bucket: bytes, rate: Rate, now: float) -> None:
        self.name = name
        self._quoted = quoted(name)
        self.bucket = bucket
        self.rate = rate
        self.burst = rate.burst
        self.interval = 1.0 / rate.per_second
        self.left = 0
        """Cells left of the present run."""
        self.stamp = -math.inf
        """The stamp of its next cell; in the past of every moment when there is none."""
        self.end = now
        """The stamp after its last cell."""
        self.step = 0.0
        """Between two stamps: the interval, or 0 where all cells of the run are good until `end`."""
        self.size = 0
        """Cells that the run had."""
        self.low = 0
        """When so many are left, `run_low` is to be called."""
        self.spares: deque[tuple[int, float, float]] = deque()
        """Runs after the present one: cells, end, step."""
        self.full_at = now
        """When the authority's bucket is full again, if nobody takes more."""
        self.open_at = now
        """Until then the authority has nothing to give."""
        self.asked = False
        """A round trip is under way or about to be."""
        self.spent = 0
        self.seen_at = now
        self.speed = 0.0
        """Requests a second, as observed between asks."""

    def refresh(self, now: float) -> bool:
        """Drop what expired, go on to the next run where one is over; return whether a cell is at hand."""
        while True:
            if self.left and now > self.stamp:
                kept = min(self.left, math.floor((self.end - now) / self.step + 1e-9)) if self.step else 0
                self.spent += self.size - self.left
                self.left = self.size = max(0, kept)
                self.stamp = self.end - self.left * self.step if self.left else -math.inf
            if self.left:
                return True
            if not self.spares:
                return False
            self.spent += self.size
            self._load(*self.spares.popleft())

    def spend(self) -> None:
        """Take the cell that `refresh` said is at hand."""
        self.left -= 1
        self.stamp += self.step

    def run_low(self) -> bool:
        """Note that `low` was reached; return whether it is time to ask for more."""
        if not self.left:
            self.stamp = -math.inf
        half, self.low = self.low > 0, 0
        return half and not self.asked

    def give_back(self) -> None:
        """Untake the cell that was taken last, in the same instant."""
        self.left += 1
        self.stamp = self.end - self.left * self.step

    def ask(self, now: float, waiting: int) -> Ask:
        """Return what to ask the authority for, now that *waiting* calls need it, or half is spent."""
        self._measure(now)
        self.asked, self.low = True, 0
        wants = max(1, waiting)
        if self.speed * AHEAD >= 1:
            # Cells of a bucket that is nearly full expire as it fills: to have some in AHEAD from now, take those too.
            idle = max(0.0, now + AHEAD - max(self.full_at, now))
            ahead = math.ceil(self.speed * AHEAD) + math.ceil(idle / self.interval)
            wants = max(wants, min(ahead, self.burst // 8))
        return Ask(self.bucket, wants, self.interval, self.burst)

    def install(self, grant: Grant, waiting: int, sent: float, now: float) -> None:
        """Hold what was granted to an ask for *waiting* calls that was sent at *sent* and answered at *now*.

        The grant was made in between: stamps are counted from *sent*, and the time until there is more from *now*.
        """
        self.asked = False
        self.full_at = sent + grant.level
        room_in = grant.level - (self.burst - 1) * self.interval
        self.open_at = now
        if room_in > 0:
            self.open_at += max(room_in, min(PAUSE, (self.burst - 1) * self.interval / 2))
        owed = min(waiting, grant.granted)
        if self.left:
            self.spares.appendleft((self.left, self.end, self.step))
            self.spent += self.size - self.left
            self.left, self.size, self.stamp = 0, 0, -math.inf
        if owed:
            self.spares.appendleft((owed, now + GRACE, 0.0))
        if grant.granted > owed:
            self.spares.append((grant.granted - owed, self.full_at, self.interval))
        self.refresh(now)

    def standing(self, now: float, *, admitted: bool, retry_after: float = 0.0) -> Standing:
        """Return where the bucket stands, counting what is held here and unspent as not taken."""
        remaining, reset = self._remaining(now)
        return Standing(self.name, self.rate, admitted, remaining, reset, retry_after)

    def told(self, now: float) -> str:
        """Return the bucket's member of `RateLimit`."""
        remaining, reset = self._remaining(now)
        return f"{self._quoted};r={remaining};t={reset}"

    def _remaining(self, now: float) -> tuple[int, int]:
        """Return the requests left and the seconds until the bucket is full."""
        held = self.left
        for cells, _, _ in self.spares:
            held += cells
        taken = (self.full_at - now) / self.interval - held
        if taken <= 0:
            return self.burst, 0
        return max(0, math.floor(self.burst - taken + 1e-9)), math.ceil(taken * self.interval)

    def _load(self, cells: int, end: float, step: float) -> None:
        self.left = self.size = cells
        self.end, self.step = end, step
        self.stamp = end - cells * step
        self.low = cells // 2 if step and not self.spares else 0

    def _measure(self, now: float) -> None:
        """Observe the rate since the last ask: up at once, down by halves."""
        taken, since = self.spent + self.size - self.left, now - self.seen_at
        if since >= AHEAD / 4:
            found = taken / since
            self.speed = found if found > self.speed else (found + self.speed) / 2
            self.spent, self.seen_at = self.left - self.size, now
