"""The engine: forward what was accepted, send what is due, until it is told to stop. Losing it loses nothing.

It keeps no state that matters: the queue is in the database, and starting after a crash is starting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from heldtrue.capabilities.deliveries.claiming import ClaimRow
from heldtrue.capabilities.deliveries.dialer import Post, Response
from heldtrue.capabilities.deliveries.outgoing import Outgoing
from heldtrue.capabilities.deliveries.pace import Pace
from heldtrue.capabilities.deliveries.sender import Outcome, Prepared
from heldtrue.capabilities.deliveries.upkeep import Upkeep
from heldtrue.capabilities.deliveries.worker import Place, Worker, WorkerServices, by_place
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import PayloadId

BATCH = 64
FEW = 16
"""Claimed at once for endpoints that took nothing lately: what is prepared for them holds others up no longer."""
KEEP = 1.0
"""Seconds between two looks for bulk replays and failing endpoints."""
POLL = 0.25
"""Seconds between two looks at an idle queue."""
GATHER, LONGEST_GATHER = 0.005, 0.03
"""Seconds between two looks at what has gathered, and the most that is waited for half of what fits: a claim and a
record of sixty cost little more than those of six."""
UNRECORDED = 256
"""Outcomes that may wait to be recorded before no more is claimed."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 5.0
"""Seconds between two tries while the database is away."""
RECORD_TRIES = 12
RECORDERS = {True: 2, False: 1}
"""How many record what was delivered, and what was not: the first never waits for the circuits of the others."""
BRISK = 3
"""Outcomes between two looks that are worth waiting for more."""
FIRST_PASS, LONGEST_PASS = timedelta(seconds=1), timedelta(minutes=5)

__all__ = ["Engine", "Outgoing"]
log = structlog.get_logger("heldtrue.deliveries")


class Engine:
    """Forwards and sends; one a process, any number of processes."""

    def __init__(self, services: WorkerServices, outgoing: Outgoing) -> None:
        self._worker = Worker(services)
        self._upkeep = Upkeep(self._worker, services)
        self._clock = services.clock
        self._outgoing = outgoing
        self._pace = Pace(outgoing.concurrency, services.each)
        self._passed: dict[PayloadId, tuple[datetime, timedelta]] = {}
        self._wakes = {True: asyncio.Event(), False: asyncio.Event()}
        """Set when there may be something to send to endpoints that are proven, and to others."""
        self._claiming = asyncio.Lock()
        self._outcomes = {kind: asyncio.Queue[tuple[Place, Outcome]]() for kind in RECORDERS}
        """What was delivered, and what was not."""
        self._patience = FIRST_WAIT

    # ------------------------------------------------------------ steps

    def step_forward(self, limit: int = BATCH) -> int:
        """Forward up to *limit* payloads that wait; return how many were (T2). Blocking.

        One that cannot be forwarded is passed over for a while, and does not keep the others back.
        """
        now = self._clock.now()
        passed = [payload for payload, (until, _) in self._passed.items() if now < until]
        done = 0
        for place, payloads in self._worker.waiting(passed, limit).items():
            try:
                done += self._worker.forward(place, payloads)
            except UnavailableError:
                raise
            except Exception:  # noqa: BLE001 - logged where it is known which payload it was
                if len(payloads) == 1:
                    self._pass_over(payloads[0])
                else:
                    done += self._one_by_one(place, payloads)
        return done

    async def step_send(self, limit: int = BATCH, post: Post | None = None) -> int:
        """Claim up to *limit* deliveries that are due, send them, record what came; return how many (T3, T4)."""
        if post is None:
            async with self._outgoing.dialer() as dialer:
                return await self.step_send(limit, dialer.post)
        claims = await asyncio.to_thread(self._worker.claim, limit, self._pace.room(self._clock.now()))
        sent = 0
        for place, group in by_place(claims).items():
            ready = await asyncio.to_thread(self._worker.prepare, place, group)
            outcomes = await asyncio.gather(*(self._attempt(post, prepared) for prepared in ready))
            await self._record(place, outcomes)
            sent += len(outcomes)
        return sent

    def step_keep(self) -> int:
        """Carry each unfinished replay on by one batch, and look after failing endpoints; return how many. Blocking."""
        return self._upkeep.replay() + self._upkeep.watch()

    # ------------------------------------------------------------ running

    async def run(self, stop: asyncio.Event) -> None:
        """Forward and send until *stop* is set; attempts under way are finished and recorded before it returns."""
        async with self._outgoing.dialer() as dialer, asyncio.TaskGroup() as recorders:
            recording = [
                recorders.create_task(self._recording(self._outcomes[kind]))
                for kind, count in RECORDERS.items()
                for _ in range(count)
            ]
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._forwarding(stop))
                    tasks.create_task(self._sending(stop, dialer.post, proven=True))
                    tasks.create_task(self._sending(stop, dialer.post, proven=False))
                    tasks.create_task(self._keeping(stop))
                for outcomes in self._outcomes.values():
                    await outcomes.join()
            finally:
                for task in recording:
                    task.cancel()

    async def _forwarding(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            forwarded = await self._patiently(lambda: asyncio.to_thread(self.step_forward), stop)
            if forwarded:
                self._wake_all()
            else:
                await _wait(stop, POLL)

    async def _sending(self, stop: asyncio.Event, post: Post, *, proven: bool) -> None:
        """Send to endpoints that took something lately, or to all others: so the first never wait for the others."""
        wake = self._wakes[proven]
        async with asyncio.TaskGroup() as sends:

            async def step() -> int:
                wake.clear()
                await _gather(lambda: self._pace.crowded(self._clock.now(), proven=proven) and not stop.is_set())
                claims = await self._claim(proven=proven)
                for place, group in by_place(claims).items():
                    for prepared in await self._prepare(place, group):
                        sends.create_task(self._deliver(post, place, prepared))
                return len(claims)

            while not stop.is_set():
                if not await self._patiently(step, stop):
                    await _wait(wake, POLL)

    async def _claim(self, *, proven: bool) -> list[ClaimRow]:
        """Claim for one kind of endpoints; one claim at a time, so that none takes what another is about to take."""
        pace = self._pace
        async with self._claiming:
            now = self._clock.now()
            room, free = pace.share(now, proven=proven), min(pace.free, BATCH if proven else FEW)
            unrecorded = sum(outcomes.qsize() for outcomes in self._outcomes.values())
            if free <= 0 or (proven and not any(room.values())) or unrecorded > UNRECORDED:
                return []
            each = 0 if proven else pace.strangers
            claims = await asyncio.to_thread(self._worker.claim, free, room, each)
            for claim in claims:
                pace.begin(claim.endpoint_id, now, concurrency=claim.concurrency, rate=claim.rate, probe=claim.probe)
        return claims

    async def _keeping(self, stop: asyncio.Event) -> None:
        """Carry bulk replays on, and disable what fails for too long, now and then."""
        while not stop.is_set():
            if await self._patiently(lambda: asyncio.to_thread(self.step_keep), stop):
                self._wake_all()
            else:
                await _wait(stop, KEEP)

    async def _recording(self, queue: asyncio.Queue[tuple[Place, Outcome]]) -> None:
        """Record outcomes as they come, those of one place that wait together in one transaction."""
        while True:
            waiting = [await queue.get()]
            await _while_they_come(queue)
            while len(waiting) < BATCH and not queue.empty():
                waiting.append(queue.get_nowait())
            groups: dict[Place, list[Outcome]] = {}
            for place, outcome in waiting:
                groups.setdefault(place, []).append(outcome)
            for place, outcomes in groups.items():
                await self._record(place, outcomes)
            for _, outcome in waiting:
                if not outcome.freed:
                    self._end(outcome.prepared.claim.endpoint_id)
                queue.task_done()

    def _end(self, endpoint: UUID) -> None:
        """Note that a delivery is not under way any more."""
        self._pace.end(endpoint)
        self._wakes[self._pace.proven(endpoint, self._clock.now())].set()

    def _wake_all(self) -> None:
        for wake in self._wakes.values():
            wake.set()

    # ------------------------------------------------------------ parts of steps

    async def _prepare(self, place: Place, group: Sequence[ClaimRow]) -> list[Prepared]:
        """Prepare claims of one place; what cannot be prepared now is left to its lease's end."""
        try:
            ready = await asyncio.to_thread(self._worker.prepare, place, group)
        except Exception:
            log.exception("deliveries not prepared", count=len(group))
            ready = []
            if len(group) > 1:
                return [prepared for claim in group for prepared in await self._prepare(place, [claim])]
        kept = {prepared.claim.delivery_id for prepared in ready}
        for claim in group:
            if claim.delivery_id not in kept:
                self._pace.end(claim.endpoint_id)
        return ready

    async def _deliver(self, post: Post, place: Place, prepared: Prepared) -> None:
        outcome = await self._attempt(post, prepared)
        if outcome.freed:
            self._end(prepared.claim.endpoint_id)
        self._outcomes[outcome.response.delivered].put_nowait((place, outcome))

    async def _attempt(self, post: Post, prepared: Prepared) -> Outcome:
        started = self._clock.now()
        headers = prepared.secrets.headers(prepared.id, started, prepared.body)
        try:
            response = await post(prepared.url, prepared.body, headers, started)
        except Exception:
            log.exception("an attempt failed in an unknown way", delivery=prepared.id)
            response = Response(failure="protocol")
        self._pace.answered(prepared.claim.endpoint_id, response, self._clock.now())
        return Outcome(prepared, started, response)

    async def _record(self, place: Place, outcomes: Sequence[Outcome]) -> None:
        """Record outcomes, patiently while the database is away; given up, they are unknown and tried again."""
        wait = FIRST_WAIT
        for _ in range(RECORD_TRIES):
            try:
                counted = await asyncio.to_thread(self._worker.record, place, outcomes)
            except UnavailableError:
                log.warning("outcomes not recorded yet", count=len(outcomes), again_in=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT)
            except Exception:
                log.exception("outcomes not recorded", count=len(outcomes))
                if len(outcomes) > 1:
                    for outcome in outcomes:
                        await self._record(place, [outcome])
                return
            else:
                if counted < len(outcomes):
                    log.warning("late outcomes refused by their fence", count=len(outcomes) - counted)
                return
        log.error("outcomes given up", count=len(outcomes))

    async def _patiently(self, step: Callable[[], Awaitable[int]], stop: asyncio.Event) -> int:
        """Return what *step* returns; wait after a failure, longer each time."""
        try:
            done = await step()
        except UnavailableError as error:
            log.warning("deliveries wait", code=error.code, again_in=self._patience)
        except Exception:
            log.exception("a step failed", again_in=self._patience)
        else:
            self._patience = FIRST_WAIT
            return done
        await _wait(stop, self._patience)
        self._patience = min(self._patience * 2, LONGEST_WAIT)
        return 0

    def _one_by_one(self, place: Place, payloads: Sequence[PayloadId]) -> int:
        done = 0
        for payload in payloads:
            try:
                done += self._worker.forward(place, [payload])
            except UnavailableError:
                raise
            except Exception:  # noqa: BLE001 - logged there
                self._pass_over(payload)
        return done

    def _pass_over(self, payload: PayloadId) -> None:
        """Leave a payload alone for a while, longer each time; called while its failure is handled."""
        _, wait = self._passed.get(payload, (None, FIRST_PASS / 2))
        wait = min(wait * 2, LONGEST_PASS)
        self._passed[payload] = (self._clock.now() + wait, wait)
        log.exception("payload not forwarded", payload=str(payload), again_in=wait.total_seconds())


async def _gather(few: Callable[[], bool]) -> None:
    """Wait while there are *few*, for a moment."""
    for _ in range(int(LONGEST_GATHER / GATHER)):
        if not few():
            return
        await asyncio.sleep(GATHER)


async def _while_they_come(queue: asyncio.Queue[tuple[Place, Outcome]]) -> None:
    """Wait for a moment, and on while outcomes come one upon the other, until there is half a batch."""
    before = 0
    for _ in range(int(LONGEST_GATHER / GATHER)):
        await asyncio.sleep(GATHER)
        there = queue.qsize()
        if there >= BATCH // 2 or there - before < BRISK:
            return
        before = there


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Return whether *event* was set within *seconds*."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
