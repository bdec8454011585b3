"""The witnesses' part of the worker: one loop each, over the same judged way out as deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from heldtrue.app.services import Services
from heldtrue.app.settings_witness import witnesses
from heldtrue.capabilities.deliveries.dialer import Dialer
from heldtrue.capabilities.deliveries.outgoing import Outgoing
from heldtrue.capabilities.ledger.cosigning import Cosigner, Post, Reply
from heldtrue.capabilities.ledger.sequencer import Sequencer
from heldtrue.capabilities.ledger.witness import Witness
from heldtrue.capabilities.ledger.witness_routes import WitnessView, views
from heldtrue.kernel.errors import HeldtrueError

TIMEOUT = timedelta(seconds=10)
_FAILURES = {
    "connect": "it cannot be reached",
    "timeout": "it does not answer in time",
    "tls": "its certificate is not trusted",
    "refused-address": "its address is not permitted; name its network in destinations.allow if it is yours",
    "protocol": "it does not speak HTTP",
}


def watched(parts: Services) -> tuple[Witness, ...]:
    """Return the configured witnesses."""
    return witnesses(parts.ground.home.settings.witness)


async def run(parts: Services, log: Sequencer, stop: asyncio.Event) -> None:
    """Keep every witness up to date until *stop* is set."""
    home, asked = parts.ground.home, watched(parts)
    outgoing = Outgoing(allow=parts.allow, authorities=home.authorities, timeout=TIMEOUT, concurrency=len(asked))
    async with outgoing.dialer() as dialer, asyncio.TaskGroup() as group:
        for each in asked:
            cosigner = Cosigner(parts.database, home.data.log, home.clock, each, log.cosigned)
            group.create_task(cosigner.run(_post(dialer, parts), stop))


def standings(parts: Services, known: Sequence[Witness]) -> list[WitnessView]:
    """Return where the witnesses stand, for the counters; nothing while the database is away. Blocking."""
    if not known:
        return []
    try:
        with parts.database.system() as tx:
            return views(tx, known, parts.ground.home.clock.now()).witnesses
    except HeldtrueError:
        return []


def _post(dialer: Dialer, parts: Services) -> Post:
    async def post(url: str, body: bytes) -> Reply:
        headers = {"content-type": "text/plain; charset=utf-8", "user-agent": "Heldtrue-Log/1"}
        said = await dialer.post(url, body, headers, parts.ground.home.clock.now())
        return Reply(said.status, said.excerpt or b"", _FAILURES.get(said.failure or "", said.failure or ""))

    return post
