"""One process's edge: decide, take a lease where one is missing, put it on record, and only then answer.

Whatever fails on the way is a refusal. What was decided about somebody known is in the ledger before the verdict is
given, refusals included; strangers are counted by the minute, so that they cannot make the log grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from heldtrue.capabilities.edge.decision import Decision
from heldtrue.capabilities.edge.gatekeeper import Gatekeeper
from heldtrue.capabilities.edge.journal import Journal
from heldtrue.capabilities.edge.lessors import PgLessor
from heldtrue.capabilities.edge.limits import DEFAULT, Admission, Lessor, Limiter
from heldtrue.capabilities.edge.model import (
    Caller,
    EdgeCall,
    EdgeFailedError,
    EdgePolicy,
    RouteRule,
    StaleFeedError,
    Verdict,
)
from heldtrue.capabilities.edge.refusing import refusal
from heldtrue.capabilities.edge.served import Served
from heldtrue.capabilities.edge.uses import Uses
from heldtrue.crypto.keyring import KeyCache
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.tx import Database
from heldtrue.http.credential import UnknownCredentialError
from heldtrue.http.limits import source_of
from heldtrue.http.problems import known, status_of
from heldtrue.http.refusals import MINUTE, Refusals, RefusedSummary
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import BadInputError, HeldtrueError, UnauthenticatedError
from heldtrue.kernel.ids import Entropy, KeyId, TenantId

_log = structlog.get_logger("heldtrue.edge")


class Limits(Protocol):
    """Decides a call whose lease is missing."""

    async def take(self, tenant: TenantId, key: KeyId, route_class: str) -> Admission:
        """Return whether the call is within its limits; raise `LimiterUnavailableError` when that cannot be told."""
        ...


class Record(Protocol):
    """Puts requests on record."""

    async def append(self, served: Served) -> None:
        """Return when it is durable; raise what is an `UnavailableError` otherwise."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeParts:
    """What an edge is made of; plain values and pools, made after the fork."""

    database: Database
    platform: PlatformKey
    cache: KeyCache
    clock: Clock
    entropy: Entropy
    issuer: str
    """Of the session tokens (`access.sessions.issuer_of`), and their audience."""
    policy: EdgePolicy
    record_refusals: Callable[[RefusedSummary], None]
    """Keep one minute's count of refused strangers. Blocking."""
    lessor: Lessor | None = None
    """Who shares the limits out; by default PostgreSQL."""
    naming: bytes = field(default=b"", repr=False)
    """What the limits' buckets are named with; the same in every process that shares the lessor."""
    door: str = "edge"
    """The door that calls come through where they do not say."""


class EdgeRuntime:
    """Judges the calls of one process, from its event loop."""

    def __init__(
        self,
        gatekeeper: Gatekeeper,
        limiter: Limits | None,
        journal: Record,
        uses: Uses | None,
        clock: Clock,
        record_refusals: Callable[[RefusedSummary], None],
        door: str = "edge",
    ) -> None:
        self.gatekeeper = gatekeeper
        self._limiter = limiter
        self._journal = journal
        self._uses = uses
        self._clock = clock
        self._record_refusals = record_refusals
        self._door = door
        self._refusals = Refusals()

    async def judge(self, call: EdgeCall, door: str = "") -> Verdict:
        """Return the verdict on *call*; never raise: what fails is a refusal."""
        try:
            return await self._judge(call, door or self._door)
        except Exception as error:  # noqa: BLE001 - fail closed, whatever it was
            return self._refused(call, error)

    def behind(self, door: str) -> Callable[[EdgeCall], Awaitable[Verdict]]:
        """Return `judge` for the calls that come through *door*."""
        return partial(self.judge, door=door)

    def count_stranger(self, address: str, code: str) -> None:
        """Count a refusal of somebody unknown, by its problem's code."""
        self._refusals.count(self._clock.now(), source_of((address, 0)), code)

    async def _judge(self, call: EdgeCall, door: str) -> Verdict:
        try:
            decision = self.gatekeeper.decider.decide(call)
        except UnknownCredentialError:
            decision = await self._decide_again(call)
        caller, rule = decision.caller, decision.rule
        if caller is None:
            return Verdict(True, 200, "", "", "", None, rule, ())
        denied: HeldtrueError | None = None
        try:
            admission = decision.admission
            if decision.waits and self._limiter is not None:
                admission = await self._limiter.take(
                    caller.tenant, caller.key, DEFAULT if rule is None else rule.route_class
                )
            decision.admission = admission
            denied = decision.denial if admission is None or admission.admitted else admission.refusal()
        except HeldtrueError as error:
            denied = error
        outcome = "allowed" if denied is None else denied.code
        served = _served(call, caller, rule, outcome, self._clock.now(), door)
        await self._journal.append(served)
        if self._uses is not None:
            self._uses.note(caller.key, caller.tenant, caller.environment, served.at)
        if denied is None:
            headers = () if decision.admission is None else decision.admission.headers()
            return Verdict(True, 200, "", "", "", caller, rule, headers)
        limits = () if decision.admission is None else decision.admission.headers()
        return refusal(denied, caller, rule, limits)

    async def _decide_again(self, call: EdgeCall) -> Decision:
        """Decide after the next agreement: an unknown credential may have been made a moment ago."""
        if not await self.gatekeeper.agreed():
            raise StaleFeedError
        return self.gatekeeper.decider.decide(call)

    def _refused(self, call: EdgeCall, error: Exception) -> Verdict:
        meant = known(error)
        status = status_of(type(meant))
        if status in {500, 507}:
            _log.error("failed, so refused", request=call.request, code=meant.code, exc_info=error)
            meant = EdgeFailedError()
        elif status > 500:
            _log.warning("refused for want of an answer", request=call.request, code=meant.code, why=meant.message)
        if isinstance(meant, UnauthenticatedError | BadInputError):
            self.count_stranger(call.address, meant.code)
        return refusal(meant)

    async def collect_refusals(self) -> None:
        """Record the counts of strangers, minute by minute, until cancelled."""
        while True:
            now = self._clock.now()
            await asyncio.sleep(MINUTE.total_seconds() - now.second - now.microsecond / 1e6 + 0.01)
            for summary in self._refusals.collect(self._clock.now()):
                await asyncio.to_thread(self._keep, summary)

    async def record_rest(self) -> None:
        """Record the counts that are left."""
        for summary in self._refusals.collect(None):
            await asyncio.to_thread(self._keep, summary)

    def _keep(self, summary: RefusedSummary) -> None:
        try:
            self._record_refusals(summary)
        except Exception:  # noqa: BLE001 - the count is kept, and tried again
            _log.exception("refusals not recorded, kept for later", count=summary.count)
            self._refusals.put_back(summary)


def _served(call: EdgeCall, caller: Caller, rule: RouteRule | None, outcome: str, now: datetime, door: str) -> Served:
    """Return what goes on record."""
    return Served(
        caller.tenant,
        caller.environment,
        caller.key,
        caller.subject,
        caller.session,
        call.request,
        now,
        call.method,
        call.target.decode("latin-1").partition("?")[0],
        None if rule is None else rule.pattern,
        outcome,
        door,
    )


@asynccontextmanager
async def open_runtime(parts: EdgeParts) -> AsyncGenerator[EdgeRuntime]:
    """Open the edge of this process: the keys are loaded, if the database answers, before the block begins."""
    database, clock = parts.database, parts.clock
    lessor = parts.lessor or PgLessor(database.dsns.system)
    limiter = Limiter(parts.policy.limits, lessor, naming=parts.naming) if parts.policy.limits else None
    gatekeeper = Gatekeeper(database.dsns.edge, clock, parts.issuer, policy=parts.policy, limiter=limiter)
    journal = Journal(database, parts.platform, parts.cache, clock, parts.entropy)
    uses = Uses(database)
    runtime = EdgeRuntime(gatekeeper, limiter, journal, uses, clock, parts.record_refusals, parts.door)
    uses.start()
    await asyncio.to_thread(gatekeeper.feed.start)
    collecting = asyncio.create_task(runtime.collect_refusals())
    try:
        yield runtime
    finally:
        collecting.cancel()
        await journal.close()
        await asyncio.to_thread(gatekeeper.feed.close)
        if limiter is not None:
            await asyncio.to_thread(limiter.close)
        await asyncio.to_thread(uses.close)
        await runtime.record_rest()
