"""Flows in the worker process: the engine that runs them, and what the runner says of its walls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from heldtrue.app import broker, runner
from heldtrue.app.services import Services
from heldtrue.capabilities.deliveries.worker import WorkerServices
from heldtrue.capabilities.egress.client import Broker
from heldtrue.capabilities.transforms.engine import FlowEngine
from heldtrue.capabilities.transforms.worker import FlowWorker
from heldtrue.kernel.errors import UnavailableError
from heldtrue.sandbox.client import RunnerClient
from heldtrue.sandbox.jobs import About

ASK_AGAIN = 10.0
"""Seconds between two questions which walls stand."""
OFF = "off"
_log = structlog.get_logger("heldtrue.flows")


@dataclass(slots=True)
class Standing:
    """What was heard of the runner last."""

    level: str = OFF


async def run(parts: Services, services: WorkerServices, standing: Standing, stop: asyncio.Event) -> None:
    """Run flows until *stop* is set; without a runner they wait, and nothing is lost."""
    home = parts.ground.home
    with runner.short(home.data.run) as folder:
        client = RunnerClient(folder / runner.SOCKET)
        engine = FlowEngine(
            FlowWorker(services),
            client.run,
            at_once=home.settings.transforms.at_once,
            outside=Broker(folder / broker.GRANTS) if home.settings.transforms.reaches_out else None,
        )
        asking = asyncio.create_task(_ask(client, standing))
        try:
            await engine.run(stop)
        finally:
            asking.cancel()
            await client.close()


async def _ask(client: RunnerClient, standing: Standing) -> None:
    while True:
        pause = ASK_AGAIN
        try:
            about: About = await client.about()
        except UnavailableError:
            standing.level, pause = OFF, 1.0
        else:
            if standing.level != about.level:
                _log.info("sandbox", level=about.level, missing=dict(about.missing), memory_by=about.memory_by)
            standing.level = about.level
        await asyncio.sleep(pause)
