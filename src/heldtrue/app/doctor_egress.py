"""What `heldtrue doctor` looks at of the broker that calls hosts for customers' code."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from heldtrue.app import broker, instance
from heldtrue.app.accounts import service_account
from heldtrue.app.findings import Finding, Level
from heldtrue.app.instance import DataDir
from heldtrue.app.processes import ChildFailedError, ask
from heldtrue.app.settings import Settings
from heldtrue.capabilities.egress.client import Broker
from heldtrue.capabilities.egress.grants import Grant

PATIENCE = 20.0


def examine_egress(data: DataDir, settings: Settings) -> Iterator[Finding]:
    """Yield whether the broker takes grants from the worker's user, as whom it is asked."""
    if not settings.transforms.reaches_out:
        yield Finding("egress broker", Level.OK, "off by the settings; customers' code calls nobody")
        return
    if instance.holder(data) is None:
        yield Finding("egress broker", Level.OK, "not asked: nothing runs")
        return
    try:
        with _opened(data.run) as run:
            ask(lambda: _greeted(run), service_account(settings.service_user), seconds=PATIENCE)
    except ChildFailedError:
        yield Finding(
            "egress broker",
            Level.ADVICE,
            "it does not answer, so steps whose code may call out wait",
            "Its last words in the log say why; see docs/runbooks/egress.md.",
        )
        return
    whom = settings.transforms.broker_user if service_account(settings.transforms.broker_user) else "this user"
    yield Finding("egress broker", Level.OK, f"takes grants, and calls as {whom}; addresses of your own are refused")


@contextmanager
def _opened(folder: Path) -> Generator[int]:
    """Open a folder to whose parents another user may have no right."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _greeted(run: int) -> bytes:
    """Grant nothing to nobody, and take it back; in a process of its own."""

    async def greet() -> None:
        line = await Broker(Path(broker.GRANTS)).open(Grant(rules=()))
        await line.revoke()

    os.fchdir(run)  # the whole path may be too long for a socket's
    asyncio.run(greet())
    return b"+"
