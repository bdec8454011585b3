"""Leases of several processes admit nothing that one exact bucket would refuse, and waste little."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

from authority import Authority, Hand
from hypothesis import given, settings
from hypothesis import strategies as st

from heldtrue.capabilities.edge.leases import Grant, Lease
from heldtrue.http.limits import Gcra, Rate

rates = st.builds(
    Rate, st.integers(1, 400), st.sampled_from([0.05, 0.5, 1.0, 3.0, 10.0, 33.3, 100.0, 1000.0, 20_000.0])
)


@dataclass
class Process:
    """One process, which asks at most once at a time."""

    lease: Lease
    waiting: list[float] = field(default_factory=list)
    granted_at: float = 0.0


class Simulation:
    """Processes that share one bucket; a round trip takes time, and the answer may come late."""

    def __init__(self, rate: Rate, processes: int, start: float = 1000.0) -> None:
        self.clock = Hand(start)
        self.rate = rate
        self.authority = Authority(self.clock)
        self.processes = [Process(Lease("key", b"k" * 16, rate, start)) for _ in range(processes)]
        self.events: list[tuple[float, int, str, int, object]] = []
        self.numbers = itertools.count()
        self.admitted: list[float] = []
        self.refused: list[tuple[float, float]] = []

    def at(self, when: float, what: str, process: int, more: object = None) -> None:
        heapq.heappush(self.events, (when, next(self.numbers), what, process, more))

    def run(self, latency: float) -> None:
        while self.events:
            when, _, what, number, more = heapq.heappop(self.events)
            self.clock.at = when
            process = self.processes[number]
            if what == "call":
                self._call(number, process, when, latency)
            elif what == "grant":
                sent, waiting, ask = more
                process.granted_at = when
                self.at(when + latency / 2, "answer", number, (sent, waiting, self.authority.lease([ask])[0]))
            else:
                sent, waiting, grant = more
                process.lease.install(grant, waiting, sent, when)
                again, process.waiting = process.waiting, []
                for since in again:
                    self._call(number, process, since, latency)

    def _call(self, number: int, process: Process, since: float, latency: float) -> None:
        lease, now = process.lease, self.clock.at
        if lease.refresh(now):
            # A cell that was waited for counts when it was granted.
            self.admitted.append(process.granted_at if lease.step == 0 else now)
            lease.spend()
            if lease.left <= lease.low and lease.run_low() and now >= lease.open_at:
                self._ask(number, process, 0, latency)
        elif lease.open_at > now:
            self.refused.append((now, lease.open_at - now))
        else:
            process.waiting.append(since)
            if not lease.asked:
                self._ask(number, process, len(process.waiting), latency)

    def _ask(self, number: int, process: Process, waiting: int, latency: float) -> None:
        now = self.clock.at
        self.at(now + latency / 2, "grant", number, (now, waiting, process.lease.ask(now, waiting)))


def exact(rate: Rate, moments: list[float]) -> bool:
    """Return whether one exact bucket admits all of *moments*."""
    clock = Hand()
    bucket = Gcra("key", rate, clock)
    for moment in sorted(moments):
        clock.at = moment
        if not bucket.take("k").admitted:
            return False
    return True


calls = st.lists(st.tuples(st.floats(0.0, 0.4), st.integers(0, 3)), min_size=1, max_size=120)


@settings(max_examples=100, deadline=None)
@given(rates, calls, st.sampled_from([0.0, 0.001, 0.03, 0.3]), st.floats(0.01, 4.0))
def test_processes_together_never_admit_more_than_one_exact_bucket(
    rate: Rate, gaps: list[tuple[float, int]], latency: float, pace: float
) -> None:
    simulation = Simulation(rate, 4)
    when = 1000.0
    for gap, process in gaps:
        when += gap * pace * min(1.0, 10 / rate.per_second)
        simulation.at(when, "call", process)
    simulation.run(latency)
    assert exact(rate, simulation.admitted)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.1, 3.0),
    st.sampled_from([5.0, 50.0, 300.0]),
    st.integers(1, 4),
    st.sampled_from([0.0005, 0.004]),
)
def test_a_flood_gets_what_it_may_have_and_no_more(
    seconds: float, per_second: float, processes: int, latency: float
) -> None:
    rate = Rate(max(1, int(seconds * per_second)), per_second)
    simulation = Simulation(rate, processes)
    flooding = max(4 * rate.per_second, 200.0)
    for number in range(int(flooding * 2)):
        simulation.at(1000.0 + number / flooding, "call", number % processes)
    simulation.run(latency)
    assert exact(rate, simulation.admitted)
    allowed = rate.burst + 2.0 * rate.per_second
    got = len(simulation.admitted)
    assert got >= 0.75 * min(allowed, flooding * 2) - 2, (got, allowed)


@settings(max_examples=60, deadline=None)
@given(rates, st.integers(0, 600))
def test_whoever_is_refused_and_comes_back_when_told_is_admitted(rate: Rate, before: int) -> None:
    simulation = Simulation(rate, 1)
    for number in range(before):
        simulation.at(1000.0 + number * 1e-4, "call", 0)
    simulation.at(1000.0 + before * 1e-4, "call", 0)
    simulation.run(0.001)
    if not simulation.refused or simulation.refused[-1][0] < 1000.0 + before * 1e-4:
        return  # the last call was admitted, and perhaps took what an earlier one was told to come back for
    when, wait = simulation.refused[-1]
    admitted = len(simulation.admitted)
    simulation.at(when + wait, "call", 0)
    simulation.run(0.001)
    assert len(simulation.admitted) == admitted + 1


def test_a_flood_costs_few_round_trips() -> None:
    simulation = Simulation(Rate(200, 100), 1)
    for number in range(20_000):
        simulation.at(1000.0 + number / 5_000, "call", 0)
    simulation.run(0.001)
    assert simulation.authority.round_trips < 4.0 / 0.02 + 40
    assert exact(Rate(200, 100), simulation.admitted)


def test_a_busy_key_within_its_limit_waits_only_at_its_beginning() -> None:
    simulation = Simulation(Rate(1000, 1000), 1)
    waited = 0
    for number in range(2000):
        simulation.at(1000.0 + number / 500, "call", 0)
    original = simulation._ask

    def counted(number: int, process: Process, waiting: int, latency: float) -> None:
        nonlocal waited
        waited += waiting > 0 and simulation.clock.at > 1000.3
        original(number, process, waiting, latency)

    simulation._ask = counted
    simulation.run(0.002)
    assert waited == 0
    assert len(simulation.admitted) == 2000


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([Rate(80, 40), Rate(200, 200), Rate(30, 200), Rate(300, 50)]),
    st.integers(1, 6),
    st.floats(0.2, 1.5),
    st.floats(0.0, 0.6),
    st.sampled_from([0.0, 0.01, 0.2]),
)
def test_what_busy_processes_hold_does_not_add_up_while_they_pause(
    rate: Rate, processes: int, share: float, pause: float, latency: float
) -> None:
    simulation = Simulation(rate, processes)
    each = share * rate.per_second / processes  # calls a second, so that the processes take leases ahead
    for number in range(int(each * 1.5)):
        for process in range(processes):
            simulation.at(1000.0 + number / each, "call", process)
    for number in range(rate.burst * 2):
        simulation.at(1001.5 + latency + pause + number * 1e-6, "call", number % processes)
    simulation.run(latency)
    assert exact(rate, simulation.admitted)


def test_an_answer_that_was_long_under_way_is_worth_what_it_would_be_now() -> None:
    rate = Rate(80, 40)
    lease = Lease("key", b"k" * 16, rate, 1000.0)
    lease.install(Grant(5, 5 / 40), 0, sent=1000.0, now=1000.0 + 3.5 / 40)
    assert lease.refresh(1000.0 + 3.5 / 40)
    assert lease.left == 1  # the bucket would be back at 80 but for one and a half


def test_the_standing_counts_what_is_held_as_not_taken() -> None:
    clock = Hand()
    authority = Authority(clock)
    lease = Lease("key", b"k" * 16, Rate(10, 1), clock.at)
    ask = lease.ask(clock.at, 3)
    lease.install(authority.lease([ask])[0], 3, clock.at, clock.at)
    assert lease.standing(clock.at, admitted=True).remaining == 10
    lease.refresh(clock.at)
    lease.spend()
    assert lease.standing(clock.at, admitted=True).remaining == 9
    assert lease.told(clock.at) == '"key";r=9;t=1'
