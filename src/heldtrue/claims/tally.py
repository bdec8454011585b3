"""How many claims stand where, kept up as time passes and entries come.

A look costs what has changed. A claim's state changes by an entry of the log, or at a moment that is known beforehand:
when a result grows too old, a document begins or expires, an announced run is overdue. Those moments wait in a heap.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from datetime import datetime, timedelta

from heldtrue.claims.folding import Memory
from heldtrue.claims.model import Claim, State
from heldtrue.claims.verdict import stand, turns

INSTANT = timedelta(microseconds=1)
WORST_FIRST = (State.FAILING, State.STALE, State.ATTESTED, State.PROVEN, State.PROMISED)


class Tallies:
    """States of all claims of a memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._claims = {claim.id: claim for claim in memory.catalogue.claims}
        self._order = {name: place for place, name in enumerate(self._claims)}
        self._states: dict[str, State] = {}
        self._members: dict[State, set[str]] = {state: set() for state in State}
        self._turns: list[tuple[datetime, str]] = []
        self._fresh = True

    def settle(self, now: datetime) -> None:
        """Judge what has something new, and what time has changed since."""
        due = self._memory.touched if not self._fresh else self._memory.touched | self._claims.keys()
        self._memory.touched = set()
        self._fresh = False
        while self._turns and self._turns[0][0] < now:
            due.add(heapq.heappop(self._turns)[1])
        for name in due:
            if name in self._claims:
                self._judge(name, now)

    def states(self) -> Mapping[str, State]:
        """Return the state of every claim, as of the last `settle`."""
        return self._states

    def total(self) -> dict[State, int]:
        """Return how many claims are in each state."""
        return {state: len(self._members[state]) for state in State}

    def first(self, state: State, most: int) -> tuple[Claim, ...]:
        """Return the first claims in *state*, in the order of the page."""
        names = sorted(self._members[state], key=self._order.__getitem__)[:most]
        return tuple(self._memory.claim(self._claims[name]) for name in names)

    def _judge(self, name: str, now: datetime) -> None:
        claim = self._memory.claim(self._claims[name])
        records = self._memory.records[name]
        state, old = stand(claim, records, now).state, self._states.get(name)
        if state is not old:
            if old is not None:
                self._members[old].discard(name)
            self._members[state].add(name)
            self._states[name] = state
        turn = turns(claim, records, now)
        if turn is not None:
            heapq.heappush(self._turns, (turn, name))
