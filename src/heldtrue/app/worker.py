"""The worker process: forwards, sends, sequences the log, attacks the claims, sweeps. Losing it loses nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
import uvloop

from heldtrue.app import flows, sweeps, witnesses
from heldtrue.app.boot import Ground
from heldtrue.app.health import REFUSED
from heldtrue.app.metrics import WorkerMetrics
from heldtrue.app.processes import Ready
from heldtrue.app.services import Services, services
from heldtrue.capabilities.deliveries.engine import Engine, Outgoing
from heldtrue.capabilities.deliveries.sender import LEASE
from heldtrue.capabilities.deliveries.worker import WorkerServices
from heldtrue.capabilities.keystore.actions import sequencer as sequencer_of
from heldtrue.capabilities.ledger.sequencer import Sequencer
from heldtrue.capabilities.post.worker import Postman, PostServices
from heldtrue.capabilities.transforms.planning import planner
from heldtrue.db.tx import PoolSizes
from heldtrue.kernel.errors import HeldtrueError, UnavailableError

BEAT = 1.0
Attack = Callable[[Services, asyncio.Event], Coroutine[Any, Any, None]]
"""Attack the claims until the event is set."""
OpenAttacks = Callable[[Ground], AbstractContextManager[Attack]]
_log = structlog.get_logger("heldtrue.worker")


def work(ground: Ground, ready: Ready, attacks: OpenAttacks | None = None, lease: timedelta = LEASE) -> int:
    """Work until SIGTERM; return the exit code. A part that fails for good ends the process, to be started again.

    *attacks* are opened first, while this process has one thread. *lease* is how long a delivery is this worker's.
    """
    with ExitStack() as stack:
        attack = stack.enter_context(attacks(ground)) if attacks is not None else None
        parts = stack.enter_context(services(ground, PoolSizes(tenant=8, edge=1, system=8)))
        uvloop.run(_work(parts, attack, ready, lease))
    return 0


async def _work(parts: Services, attack: Attack | None, ready: Ready, lease: timedelta) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    home = parts.ground.home
    log = await asyncio.to_thread(sequencer_of, parts.database, home.data.log, home.platform, home.clock)
    made, standing = replace(worker_services(parts), lease=lease), flows.Standing()
    async with asyncio.TaskGroup() as group:
        running = {
            "deliveries": group.create_task(engine(parts, made).run(stop)),
            "log": group.create_task(log.run(stop)),
            "sweeps": group.create_task(_every(sweeps.EVERY.total_seconds(), stop, lambda: _sweep(parts))),
        }
        if home.settings.transforms.enabled is not False:
            running["flows"] = group.create_task(flows.run(parts, made, standing, stop))
        if (man := postman(parts)) is not None:
            running["post"] = group.create_task(man.run(stop))
        if home.settings.witness:
            running["witnesses"] = group.create_task(witnesses.run(parts, log, stop))
        if attack is not None:
            running["claims"] = group.create_task(attack(parts, stop))
        group.create_task(_beat(parts, log, running, standing, stop))
        ready()
    try:
        await asyncio.to_thread(log.step)  # what the last deliveries left is logged before we go
    except HeldtrueError as error:
        _log.warning("the log waits for the next start", why=error.message)


def worker_services(parts: Services) -> WorkerServices:
    """Return what forwarding, sending and flows need."""
    home = parts.ground.home
    return WorkerServices(
        database=parts.database,
        platform=home.platform,
        cache=parts.cache,
        clock=home.clock,
        entropy=parts.entropy,
        objects=parts.objects,
        signers=parts.signers,
        origin=home.identity.origin,
        urls=parts.urls,
        plan=planner(parts.objects),
    )


def engine(parts: Services, made: WorkerServices | None = None) -> Engine:
    """Return the engine that forwards and sends."""
    home = parts.ground.home
    return Engine(made or worker_services(parts), Outgoing(allow=parts.allow, authorities=home.authorities))


def postman(parts: Services) -> Postman | None:
    """Return what sends mail; None where nothing is set that takes it."""
    home = parts.ground.home
    if home.smarthost is None:
        return None
    return Postman(
        PostServices(
            database=parts.database,
            platform=home.platform,
            cache=parts.cache,
            clock=home.clock,
            entropy=parts.entropy,
            smarthost=home.smarthost,
        )
    )


async def _beat(
    parts: Services,
    log: Sequencer,
    running: dict[str, asyncio.Task[None]],
    standing: flows.Standing,
    stop: asyncio.Event,
) -> None:
    """Leave a sign of life for each part that runs, and the counters, until *stop* is set."""
    home = parts.ground.home
    metrics = WorkerMetrics(home.data.run / "worker.prom")
    watched = witnesses.watched(parts)
    while not stop.is_set():
        for part, task in running.items():
            if not task.done():
                refused = part == "log" and log.refusal is not None
                parts.ground.pulse.beat(part, REFUSED if refused else 0)
                metrics.rounds.labels(part).inc()
        metrics.sandbox(standing.level)
        metrics.witnesses(await asyncio.to_thread(witnesses.standings, parts, watched) if watched else [])
        metrics.clock_behind.set(home.clock.behind().total_seconds())
        try:
            metrics.write()
        except OSError as error:
            _log.warning("metrics not written", why=error.strerror)
        await _rest(stop, BEAT)


async def _sweep(parts: Services) -> None:
    await asyncio.to_thread(sweeps.sweep, parts, parts.ground.home.clock.now())


async def _every(seconds: float, stop: asyncio.Event, act: Callable[[], Awaitable[None]]) -> None:
    """Do *act* now and every so many seconds; when a part it needs is away, try again soon."""
    while not stop.is_set():
        pause = seconds
        try:
            await act()
        except UnavailableError as error:
            _log.warning("postponed", why=error.message)
            pause = min(seconds, 30.0)
        await _rest(stop, pause)


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    """Wait until *stop* is set, *seconds* at most."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
