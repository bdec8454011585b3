"""What `heldtrue doctor` looks at of virus scanning."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from heldtrue.app.findings import Finding, Level
from heldtrue.app.settings_scanning import Scan, scanner


def examine_scanning(scan: Scan) -> Iterator[Finding]:
    """Yield whether the configured clamd answers; nothing where none is configured."""
    configured = scanner(scan)
    if configured is None:
        return
    if asyncio.run(replace(configured, step_seconds=3.0).ping()):
        yield Finding("virus scanner", Level.OK, f"clamd answers at {scan.clamd}")
        return
    yield Finding(
        "virus scanner",
        Level.WRONG,
        f"clamd does not answer at {scan.clamd}: "
        + ("no body is accepted" if scan.when_away == "refuse" else "bodies are accepted unscanned, and marked so"),
        "Start clamd, or let the service user open its socket (clamd's LocalSocketGroup and LocalSocketMode).",
    )
