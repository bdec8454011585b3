"""The authority of shared limits by the definition, for simulated time: what the real ones are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from heldtrue.capabilities.edge.leases import Ask, Grant


class Hand:
    """A clock that a test moves."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class Authority:
    """GCRA buckets that grant several cells at once."""

    def __init__(self, clock: Hand) -> None:
        self.clock = clock
        self.arrivals: dict[bytes, float] = {}
        self.round_trips = 0

    def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        """Grant each of *asks* what there is room for."""
        self.round_trips += 1
        return [self._grant(ask) for ask in asks]

    def _grant(self, ask: Ask) -> Grant:
        now = self.clock.at
        before = max(self.arrivals.get(ask.bucket, now), now)
        room = max(0, math.floor(ask.burst - (before - now) / ask.interval + 1e-9))
        granted = min(ask.wants, room)
        level = before - now + granted * ask.interval
        self.arrivals[ask.bucket] = now + level
        return Grant(granted, level)

    def abort(self) -> None:
        """Return: it answers at once."""

    def close(self) -> None:
        """Return: nothing is open."""
