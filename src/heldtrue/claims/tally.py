"""How many claims stand where, kept up as time passes and entries come.

A look costs what has changed. A claim's state changes by an entry of the log, or at a moment that is known beforehand:
when a result grows too old, a document begins or expires, an announced run is overdue. Those moments wait in a heap.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from heldtrue.claims.folding import Memory
from heldtrue.claims.model import Claim, State
from heldtrue.claims.verdict import stand, turns

INSTANT = timedelta(microseconds=1)
WORST_FIRST = (State.FAILING, State.STALE, State.ATTESTED, State.PROVEN, State.PROMISED)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which claims are asked for: of a heading, in a state, one page of them."""

    group: str | None = None
    state: State | None = None
    page: int = 1
    size: int = 50
    own: bool | None = None
    """Only the operator's own, or only those that ship."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One page of claims, and how many there are."""

    claims: tuple[Claim, ...]
    total: int
    pages: int
    page: int


class Tallies:
    """States of all claims of a memory, by heading and as a whole."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._claims = {claim.id: claim for claim in memory.catalogue.claims}
        self._order = {name: place for place, name in enumerate(self._claims)}
        self._groups: dict[str, list[str]] = {group.name: [] for group in memory.catalogue.groups}
        for claim in memory.catalogue.claims:
            self._groups.setdefault(claim.group, []).append(claim.id)
        self._states: dict[str, State] = {}
        self._members: dict[State, set[str]] = {state: set() for state in State}
        self._by_group: dict[str, Counter[State]] = {name: Counter() for name in self._groups}
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

    def groups(self) -> Mapping[str, Mapping[State, int]]:
        """Return the same under each heading."""
        return self._by_group

    def choose(self, choice: Choice) -> Chosen:
        """Return one page of what is asked for, in the order of the page; without a state, all of them."""
        names = self._names(choice)
        pages = max(1, -(-len(names) // choice.size))
        page = min(max(1, choice.page), pages)
        shown = names[(page - 1) * choice.size : page * choice.size]
        claims = tuple(self._memory.claim(self._claims[name]) for name in shown)
        return Chosen(claims, len(names), pages, page)

    def _names(self, choice: Choice) -> Sequence[str]:
        if choice.state is not None:
            names: Sequence[str] = sorted(self._members[choice.state], key=self._order.__getitem__)
            if choice.group is not None:
                names = [name for name in names if self._claims[name].group == choice.group]
        elif choice.group is not None:
            names = self._groups.get(choice.group, [])
        else:
            names = list(self._claims)
        if choice.own is not None:
            names = [name for name in names if self._claims[name].own is choice.own]
        return names

    def _judge(self, name: str, now: datetime) -> None:
        claim = self._memory.claim(self._claims[name])
        records = self._memory.records[name]
        state, old = stand(claim, records, now).state, self._states.get(name)
        if state is not old:
            if old is not None:
                self._members[old].discard(name)
                self._by_group[claim.group][old] -= 1
            self._members[state].add(name)
            self._by_group[claim.group][state] += 1
            self._states[name] = state
        turn = turns(claim, records, now)
        if turn is not None:
            heapq.heappush(self._turns, (turn, name))
