"""What `heldtrue doctor` looks at of the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from heldtrue.app import instance, runner
from heldtrue.app.findings import Finding, Level
from heldtrue.app.instance import DataDir
from heldtrue.app.settings_transforms import Transforms
from heldtrue.kernel.errors import UnavailableError
from heldtrue.sandbox.client import RunnerClient
from heldtrue.sandbox.jobs import About

FULL = "full"
PATIENCE = 10.0
"""Seconds that the runner gets to answer."""


def examine_transforms(data: DataDir, settings: Transforms) -> Iterator[Finding]:
    """Yield at which level customers' code is isolated, as the runner that serves says."""
    if settings.enabled is False:
        yield Finding("sandbox", Level.OK, "transforms are off by the setting; flows wait")
        return
    if instance.holder(data) is None:
        yield Finding("sandbox", Level.OK, "not asked: nothing runs")
        return
    try:
        about = ask(data)
    except (UnavailableError, TimeoutError, OSError):
        yield Finding(
            "sandbox",
            Level.ADVICE,
            "the runner does not answer, so flows wait",
            "Its last words in the log say why; see docs/runbooks/flow-fails.md.",
        )
        return
    missing = "; ".join(f"without {layer} ({why})" for layer, why in about.missing.items())
    yield Finding(
        "sandbox",
        Level.OK if about.level == FULL else Level.ADVICE,
        f"level {about.level}, memory held by {about.memory_by}{'; ' if missing else ''}{missing}",
        "" if about.level == FULL else "A newer kernel, or user namespaces for its user, make it full.",
    )


def ask(data: DataDir) -> About:
    """Return what the runner says of itself; raise `UnavailableError`, `TimeoutError` or `OSError` otherwise."""
    return asyncio.run(_ask(data))


async def _ask(data: DataDir) -> About:
    with runner.short(data.run) as folder:
        client = RunnerClient(folder / runner.SOCKET)
        try:
            async with asyncio.timeout(PATIENCE):
                return await client.about()
        finally:
            await client.close()
