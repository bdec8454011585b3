"""Carry a plan out: the good credential first, then every bad one; one route after the other within each lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from heldtrue.capabilities.probe import assess
from heldtrue.capabilities.probe.assess import Case
from heldtrue.capabilities.probe.file import ProbeFile
from heldtrue.capabilities.probe.inventory import ApiRoute
from heldtrue.capabilities.probe.judge import Reply, baseline
from heldtrue.capabilities.probe.model import (
    SAFE_METHODS,
    Check,
    Ended,
    RouteResult,
    Unmade,
)
from heldtrue.capabilities.probe.plan import OVERRIDES, RoutePlan, Shot, plan
from heldtrue.capabilities.probe.sender import EndedError, Request, Sender, UnansweredError
from heldtrue.capabilities.probe.values import Owner, Value, Values, point, target
from heldtrue.capabilities.probe.wallet import Wallet, Who

_UNMADE = {Ended.BUDGET: Unmade.BUDGET, Ended.TROUBLE: Unmade.TROUBLE}


@dataclass(slots=True)
class Run:
    """One run: what is asked, and what came of it so far."""

    file: ProbeFile
    routes: list[ApiRoute]
    wallet: Wallet
    sender: Sender
    told: Callable[[RouteResult], None] = lambda _result: None
    """Is told of each route when it is done."""
    results: list[RouteResult] = field(default_factory=list[RouteResult])
    marks: frozenset[str] = frozenset()

    async def go(self) -> list[RouteResult]:
        """Carry everything out and return a result for every route, in the order of the plan."""
        found = await discover(self)
        values = Values.of(self.file, found)
        self.marks = values.of_a() | frozenset(self.file.organisations.a.marks)
        plans = plan(self.routes, self.file, values, self.sender.rules.methods, self.wallet.has)
        done: dict[str, RouteResult] = {}
        lanes = asyncio.Semaphore(self.sender.rules.concurrency)

        async def one(each: RoutePlan) -> None:
            async with lanes:
                done[each.route.at] = result = await route(self, each)
                self.told(result)

        async with asyncio.TaskGroup() as group:
            for each in plans:
                if each.route.method in SAFE_METHODS:
                    group.create_task(one(each))
        for each in plans:  # what changes things is tried one by one, after everything was read
            if each.route.method not in SAFE_METHODS:
                await one(each)
        self.results = [done[each.route.at] for each in plans]
        return self.results


async def discover(run: Run) -> dict[str, Value]:
    """Ask the target's lists for values that the file says are found there."""
    found: dict[str, Value] = {}
    for name, parameter in run.file.parameters.items():
        if parameter.discover is None:
            continue
        at = parameter.discover.route
        method, _, path = at.partition(" ")
        asked = ApiRoute(method, path)
        known = Values.of(run.file, found).of_route(asked)
        if method != "GET" or any(value.a is None for value in known.values()):
            continue
        values: dict[Owner, str | None] = {}
        for who, owner in ((Who.A, Owner.A), (Who.B, Owner.B)):
            request = Request("GET", target(asked, known, owner), run.wallet.headers(who))
            try:
                reply = await run.sender.send(request)
            except (UnansweredError, EndedError):
                values[owner] = None
            else:
                values[owner] = point(reply.json(), parameter.discover.pointer) if reply.served else None
        found[name] = Value(values[Owner.A], values[Owner.B])
    return found


async def route(run: Run, planned: RoutePlan) -> RouteResult:
    """Try one route and return what came of it."""
    result = RouteResult(planned.route.at, unmade=dict(planned.unmade))
    if planned.not_judged is not None:
        result.not_judged, result.why = planned.not_judged, planned.why
        return result
    case = Case(planned, result, run.wallet, run.file, run.sender.base, run.marks)
    try:
        await _try(run, case)
    except EndedError as error:
        _end(case, _UNMADE.get(error.ended, Unmade.STOPPED), error.message)
    except UnansweredError as error:
        _end(case, error.why, error.message)
    return result


async def _try(run: Run, case: Case) -> None:
    planned = case.planned
    if not planned.last and not await _measure(run, case):
        return
    for place, shot in enumerate(planned.shots):
        if case.over(shot):
            continue
        try:
            await _shoot(run, case, shot)
        except UnansweredError as error:
            case.result.unmade[shot.check] = error.why
        if case.gone:
            for rest in planned.shots[place + 1 :]:
                case.result.unmade[rest.check] = Unmade.GONE
            return
    if planned.last and not await _measure(run, case):
        case.result.made.clear()


async def _measure(run: Run, case: Case) -> bool:
    """Ask with the good credential, and as b for b's own; return whether the route can be judged."""
    planned = case.planned
    reply = await _ask(run, case, Shot(Check.NO_CREDENTIAL, planned.baseline, planned.route.method))
    if not reply.served:
        case.result.not_judged = Unmade.BASELINE
        case.result.why = f"the good credential got {reply.status}, so a refusal of others would prove nothing"
        return False
    other: Reply | None = None
    if planned.compares:
        try:
            other = await _ask(run, case, Shot(Check.LEAK, Who.B, planned.route.method, Owner.B))
        except UnansweredError as error:
            case.result.unmade[Check.LEAK] = error.why
    case.owner = baseline(reply, other, run.marks, case.sent(Owner.A))
    if not planned.last:
        assess.own_answers(case, reply, other)
    return True


async def _shoot(run: Run, case: Case, shot: Shot) -> None:
    writes = shot.method not in SAFE_METHODS and case.planned.before
    before = await _look(run, case) if writes and shot.check in assess.ACROSS else None
    reply = await _ask(run, case, shot)
    if not writes or not reply.served or before is None:
        assess.shot(case, shot, reply, await _control(run, case, shot, reply))
        case.gone = case.planned.last and shot.check in case.found
        return
    after = await _look(run, case)
    case.gone = case.planned.last and not after.served
    assess.write(case, shot, reply, before, after, await _control(run, case, shot, reply))


async def _control(run: Run, case: Case, shot: Shot, reply: Reply) -> Reply | None:
    """Ask for what does not exist where a success without content proves nothing by itself."""
    if shot.check not in assess.ACROSS or shot.method in SAFE_METHODS or not reply.served:
        return None
    return await _ask(run, case, Shot(shot.check, shot.who, shot.method, Owner.ABSENT))


async def _look(run: Run, case: Case) -> Reply:
    """Read, with the owner's credential, what a writing route is about."""
    run_headers = run.wallet.headers(case.planned.baseline)
    case.result.requests += 1
    return await run.sender.send(Request("GET", case.planned.target(Owner.A), run_headers))


async def _ask(run: Run, case: Case, shot: Shot) -> Reply:
    case.result.requests += 1
    return await run.sender.send(request_of(case, shot, run.wallet))


def request_of(case: Case, shot: Shot, wallet: Wallet) -> Request:
    """Return the request that *shot* is."""
    headers = wallet.headers(shot.who)
    if shot.override:
        headers |= dict.fromkeys(OVERRIDES, shot.override)
    where = case.planned.target(shot.owner, shot.variant)
    if shot.parameter:
        credential = wallet.known[case.planned.baseline].reveal()
        where += ("&" if "?" in where else "?") + assess.query(shot.parameter, credential)
    owner = Owner.B if shot.owner is Owner.B else Owner.A
    body = case.planned.bodies.get(owner) if shot.method not in SAFE_METHODS else None
    return Request(shot.method, where, headers, body)


def _end(case: Case, why: Unmade, message: str) -> None:
    """Report what is left of a route as not made; a route of which nothing was judged is not judged."""
    for shot in case.planned.shots:
        if shot.check not in case.result.made:
            case.result.unmade.setdefault(shot.check, why)
    case.result.why = message
    if not case.result.made or case.owner is None:
        case.result.made.clear()
        case.result.not_judged = why
