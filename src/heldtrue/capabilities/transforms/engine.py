"""The flow engine: claim runs, have their steps executed, keep what came. Losing it loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from heldtrue.capabilities.transforms.handing import Input
from heldtrue.capabilities.transforms.outside import Outside, StepCalls, calls_of
from heldtrue.capabilities.transforms.run_store import ClaimRow
from heldtrue.capabilities.transforms.steps import Tried, Work
from heldtrue.capabilities.transforms.worker import FlowWorker
from heldtrue.crypto.canonical import canonicalize, parse_strict
from heldtrue.kernel.errors import BadInputError, TooLargeError, UnavailableError
from heldtrue.sandbox.jobs import Job, RunLimits, RunResult

Run = Callable[[Job], Awaitable[RunResult]]
"""Execute one job; raise an `UnavailableError` when no runner answers."""

AT_ONCE = 4
POLL = 0.25
LOOK = 1.0
"""Seconds between two looks at the schedules."""
PATIENCE = 45.0
"""Seconds that one execution may take with its wait for a free place; less than the lease."""
STOP_GRACE = 6.0
"""Seconds that an execution under way gets to end when the process is asked to stop."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 5.0
_LIMITS = RunLimits()
log = structlog.get_logger("heldtrue.flows")


class FlowEngine:
    """Runs flows; one a process, any number of processes."""

    def __init__(
        self,
        worker: FlowWorker,
        run: Run,
        *,
        at_once: int = AT_ONCE,
        patience: float = PATIENCE,
        outside: Outside | None = None,
    ) -> None:
        """Without *outside* no code calls anybody, whatever its rules say."""
        self._worker = worker
        self._run = run
        self._outside = outside
        self._at_once = at_once
        self._patience = patience
        self._wait = FIRST_WAIT

    async def step(self, limit: int = AT_ONCE, stop: asyncio.Event | None = None) -> int:
        """Claim up to *limit* runs that are due and take each as far as it goes; return how many."""
        claims = await asyncio.to_thread(self._worker.claim, limit)
        await asyncio.gather(*(self._carry(claim, stop or asyncio.Event()) for claim in claims))
        return len(claims)

    async def run(self, stop: asyncio.Event) -> None:
        """Run flows and keep schedules until *stop* is set; what is under way is given back for the next process."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._scheduling(stop))
            tasks.create_task(self._running(stop))

    async def _running(self, stop: asyncio.Event) -> None:
        under_way = set[asyncio.Task[None]]()
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                free = self._at_once - len(under_way)
                claims = await self._patiently(lambda free=free: asyncio.to_thread(self._worker.claim, free), stop)
                for claim in claims or ():
                    task = tasks.create_task(self._carry(claim, stop))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                if len(under_way) >= self._at_once:
                    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                elif not claims:
                    await _rest(stop, POLL)

    async def _scheduling(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._patiently(lambda: asyncio.to_thread(self._worker.fire_due), stop)
            await _rest(stop, LOOK)

    # ------------------------------------------------------------ one run

    async def _carry(self, claim: ClaimRow, stop: asyncio.Event) -> None:
        """Take a run as far as it goes; what goes wrong here is left to the end of its lease."""
        try:
            while (work := await asyncio.to_thread(self._worker.look, claim)) is not None:
                if stop.is_set() or not await self._step(work, stop):
                    break
        except UnavailableError as error:
            log.warning("a run waits", run=str(claim.run_id), code=error.code)
        except Exception:
            log.exception("a run stopped in an unknown way, it is taken up again", run=str(claim.run_id))
        if stop.is_set():
            await self._give_back(claim)

    async def _step(self, work: Work, stop: asyncio.Event) -> bool:
        """Execute the step on each of its inputs and keep what came; return whether a step may follow."""
        async with calls_of(work, self._worker, self._outside) as calls:
            tried = await self._try(work, calls, stop)
        if tried is None:
            return False
        if tried.outcome != "ok":
            await asyncio.to_thread(self._worker.fail, work, tried)
            return False
        return await asyncio.to_thread(self._worker.keep, work, tried)

    async def _try(self, work: Work, calls: StepCalls, stop: asyncio.Event) -> Tried | None:
        """Return what came of the step; None when it has to wait, or is ours no more."""
        tried = Tried()
        for number, job in enumerate(work.jobs()):
            if number and (stop.is_set() or not await asyncio.to_thread(self._worker.renew, work.claim)):
                return None
            try:
                async with calls.allowed(job) as allowed:
                    result = await self._execute(allowed, stop)
            except (UnavailableError, TimeoutError) as error:
                log.warning("no runner, the run waits", run=str(work.run), why=str(error) or "it did not answer")
                await asyncio.to_thread(self._worker.wait, work.claim)
                return None
            except (TooLargeError, BadInputError) as error:
                tried.outcome, tried.error = "refused", error.message
            else:
                if result is None:
                    return None
                add(tried, result, work.inputs[number])
            if tried.outcome != "ok":
                break
        return tried

    async def _execute(self, job: Job, stop: asyncio.Event) -> RunResult | None:
        """Return what the runner answers; None when it has not by the time that a stop grants it."""
        run = asyncio.ensure_future(self._run(job))
        stopping = asyncio.create_task(stop.wait())
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.wait((run, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not run.done():
                    await asyncio.wait((run,), timeout=STOP_GRACE)
            return run.result() if run.done() else None
        finally:
            stopping.cancel()
            run.cancel()

    async def _give_back(self, claim: ClaimRow) -> None:
        try:
            await asyncio.to_thread(self._worker.give_back, claim)
        except UnavailableError as error:
            log.warning("a run was not given back; its lease ends by itself", run=str(claim.run_id), code=error.code)

    async def _patiently(
        self, step: Callable[[], Awaitable[list[ClaimRow] | int]], stop: asyncio.Event
    ) -> list[ClaimRow]:
        """Return what *step* returns; wait after a failure, longer each time."""
        try:
            done = await step()
        except UnavailableError as error:
            log.warning("flows wait", code=error.code, again_in=self._wait)
        except Exception:
            log.exception("a step of the flows failed", again_in=self._wait)
        else:
            self._wait = FIRST_WAIT
            return done if isinstance(done, list) else []
        await _rest(stop, self._wait)
        self._wait = min(self._wait * 2, LONGEST_WAIT)
        return []


def add(tried: Tried, result: RunResult, given: Input) -> None:
    """Add what one execution made of an input to what the step gave so far, and judge it."""
    tried.outcome = result.outcome
    tried.error = result.error
    tried.sandbox = result.sandbox
    tried.wall_ms += result.wall_ms
    tried.cpu_ms += result.cpu_ms
    if result.peak_bytes is not None:
        tried.peak_bytes = max(tried.peak_bytes or 0, result.peak_bytes)
    room = _LIMITS.log_bytes - sum(len(line.encode()) for line in tried.logs)
    for line in result.logs:
        room -= len(line.encode())
        if room < 0:
            tried.logs_cut = True
            break
        tried.logs.append(line)
    tried.logs_cut = tried.logs_cut or result.logs_cut
    if result.outcome != "ok":
        return
    try:
        for output in result.outputs:
            canonicalize(parse_strict(output))
    except BadInputError as error:
        tried.outcome, tried.error = "output", f"what transform returned cannot be sent as JSON: {error.message}"
        return
    tried.outputs += result.outputs
    tried.files += map(given.traced, result.files or ((),) * len(result.outputs))
    size = sum(map(len, tried.outputs)) + sum(len(file.data) for files in tried.files for file in files)
    if len(tried.outputs) > _LIMITS.outputs or size > _LIMITS.output_bytes:
        most = f"{_LIMITS.outputs} outputs and {_LIMITS.output_bytes // 1024**2} MiB"
        tried.outcome, tried.error = "output", f"a step gives at most {most} from all of its inputs together"


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
