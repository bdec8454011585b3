"""What a step under way may call: written before it begins, granted for each execution, written when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from heldtrue.capabilities.egress.client import BrokerAwayError, Line
from heldtrue.capabilities.egress.grants import Calls, Grant
from heldtrue.capabilities.egress.sessions import Opened
from heldtrue.capabilities.transforms.steps import Work
from heldtrue.capabilities.transforms.worker import FlowWorker
from heldtrue.sandbox.jobs import Job

log = structlog.get_logger("heldtrue.flows")


class Outside(Protocol):
    """Where grants are given; see `egress.client.Broker`."""

    async def open(self, grant: Grant) -> Line:
        """Return the line of one execution."""
        ...


@dataclass(slots=True)
class StepCalls:
    """The calls of one try of a step."""

    opened: Opened | None
    outside: Outside | None
    called: list[Calls] = field(default_factory=list[Calls])
    lost: bool = False
    """Whether the broker went away with what it knew: nobody can tell what was called."""

    @asynccontextmanager
    async def allowed(self, job: Job) -> AsyncGenerator[Job]:
        """Yield *job* with a grant of its own, which ends with the block; raise `BrokerAwayError` without a broker."""
        if self.opened is None or self.outside is None:
            yield job
            return
        line = await self.outside.open(self.opened.grant())
        try:
            yield replace(job, egress=line.token)
        finally:
            try:
                self.called.append(await line.revoke())
            except BrokerAwayError:
                self.lost = True


@asynccontextmanager
async def calls_of(work: Work, worker: FlowWorker, outside: Outside | None) -> AsyncGenerator[StepCalls]:
    """Open a session where the step may call out, and close it with what was called."""
    opened = await asyncio.to_thread(worker.open_egress, work) if work.reaches and outside is not None else None
    calls = StepCalls(opened, outside)
    try:
        yield calls
    finally:
        if opened is not None and calls.lost:
            log.warning("the broker went away, nobody knows what was called", run=str(work.run))
            await asyncio.to_thread(worker.lose_egress, work)
        elif opened is not None:
            await asyncio.to_thread(worker.close_egress, work, opened, calls.called)
