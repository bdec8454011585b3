"""Messages between the worker and the runner: u32be length of a JSON head, the head, then the blobs whose sizes it
lists.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from heldtrue.sandbox.jobs import About, Job, JobFile, OutputFile, RunLimits, RunResult

LARGEST_HEAD = 4 << 20
LARGEST_BLOBS = 512 << 20


class WireError(Exception):
    """The other side does not speak this protocol; close the connection."""


async def read(reader: asyncio.StreamReader) -> tuple[dict[str, Any], list[bytes]]:
    """Read one message; raise `WireError` for one that cannot be meant, `IncompleteReadError` at the end."""
    (size,) = struct.unpack(">I", await reader.readexactly(4))
    if size > LARGEST_HEAD:
        raise WireError("the head is too long")
    try:
        head = json.loads(await reader.readexactly(size))
        sizes = [int(each) for each in head["blobs"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WireError("the head cannot be read") from error
    if any(each < 0 for each in sizes) or sum(sizes) > LARGEST_BLOBS:
        raise WireError("the blobs are too long")
    return head, [await reader.readexactly(each) for each in sizes]


async def write(writer: asyncio.StreamWriter, head: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
    """Write one message."""
    text = json.dumps({**head, "blobs": [len(each) for each in blobs]}).encode()
    writer.write(struct.pack(">I", len(text)) + text)
    for each in blobs:
        writer.write(each)
        await writer.drain()
    await writer.drain()


def job_out(job: Job) -> tuple[dict[str, Any], list[bytes]]:
    """Return a job as a message."""
    files = [job.payload, *job.attachments]
    head: dict[str, Any] = {
        "do": "run",
        "tenant": job.tenant,
        "language": job.language,
        "files": [[each.name, each.content_type] for each in files],
        "meta": dict(job.meta),
        "context": dict(job.context),
        "limits": asdict(job.limits),
        "egress": job.egress,
    }
    return head, [job.code, *(each.data for each in files)]


def job_in(head: dict[str, Any], blobs: list[bytes]) -> Job:
    """Read a job; raise `WireError` when something of it is missing or of another type."""
    try:
        code, *data = blobs
        payload, *attachments = (
            JobFile(name, kind, each) for (name, kind), each in zip(head["files"], data, strict=True)
        )
        if head["language"] not in {"python", "javascript", "builtin"}:
            raise ValueError(head["language"])
        return Job(
            tenant=head["tenant"], language=head["language"], code=code, payload=payload, meta=head["meta"],
            attachments=attachments, context=head["context"], limits=RunLimits(**head["limits"]),
            egress=head["egress"],
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise WireError(f"the job cannot be read: {error}") from error


def result_out(result: RunResult) -> tuple[dict[str, Any], list[bytes]]:
    """Return a result as a message."""
    told = [[[each.of, each.name, each.content_type] for each in files] for files in result.files]
    head = {"result": asdict(replace(result, outputs=(), files=())), "files": told}
    return head, [*result.outputs, *(each.data for files in result.files for each in files)]


def result_in(head: dict[str, Any], blobs: list[bytes]) -> RunResult:
    """Read a result."""
    try:
        plain: dict[str, Any] = {**head["result"]}
        data = iter(blobs[len(blobs) - sum(map(len, head["files"])) :])
        files = tuple(
            tuple(OutputFile(of=of, name=name, content_type=kind, data=next(data)) for of, name, kind in each)
            for each in head["files"]
        )
        outputs = tuple(blobs[: len(blobs) - sum(map(len, files))])
        return replace(RunResult(**plain), outputs=outputs, files=files, logs=tuple(plain["logs"]))
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"the result cannot be read: {error}") from error


def about_in(head: dict[str, Any]) -> About:
    """Read what the runner says of itself."""
    try:
        return About(**head["about"])
    except (KeyError, TypeError) as error:
        raise WireError(f"the answer cannot be read: {error}") from error
