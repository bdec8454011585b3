"""Try a transform out on a sample, in the same sandbox as the runner's, without an instance."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from heldtrue.capabilities.transforms.trial import META
from heldtrue.sandbox.engine import Engine
from heldtrue.sandbox.jobs import Job, JobFile, RunResult

Named = tuple[str, str, bytes]
"""Name, content type and bytes of a file."""


def cache() -> Path:
    """Return where the sandbox's image is kept between trials; readable by whom root's trials run as."""
    if os.geteuid() == 0:
        return Path("/var/cache/heldtrue/sandbox")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heldtrue/sandbox"


def try_out(
    language: Any, code: bytes, payload: Named, context: Mapping[str, Any], attachments: Sequence[Named] = ()
) -> RunResult:
    """Run *code* once; raise `SandboxRefusedError` where this machine cannot isolate."""
    job = Job(
        tenant="trial",
        language=language,
        code=code,
        payload=JobFile(*payload),
        meta=META,
        attachments=tuple(JobFile(*one) for one in attachments),
        context=context,
    )

    async def run() -> RunResult:
        async with Engine(images=cache(), pool=1, tenants=1) as engine:
            return await engine.run(job)

    return asyncio.run(run())
