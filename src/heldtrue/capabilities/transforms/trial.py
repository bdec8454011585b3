"""Run a version on a sample, in the runner and for nobody: nothing is stored but that it was tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from heldtrue.capabilities.transforms import store
from heldtrue.capabilities.transforms.actions import code_of
from heldtrue.capabilities.transforms.flow_model import Outcome
from heldtrue.capabilities.transforms.model import MAX_VERSIONS, NoSuchTransformError, NoSuchVersionError
from heldtrue.http.exchange import Answer, Exchange
from heldtrue.http.route import Route
from heldtrue.http.transaction import tenant_operation
from heldtrue.http.wire import InvalidValueError, UnknownMemberError
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import TransformId
from heldtrue.policy.permissions import Permission
from heldtrue.sandbox.jobs import Job, JobFile, OutputFile, RunResult

Run = Callable[[Job], Awaitable[RunResult]]
"""Execute one job; raise an `UnavailableError` when no runner answers."""
LARGEST_SAMPLE = 1 << 20
AT_ONCE = 2
"""Trials of a process under way at once: flows come first."""
PATIENCE = 20.0
"""Seconds that a trial waits for its turn."""
META: Mapping[str, Any] = {
    "id": "pay_00000000000000000000000000000000",
    "source": "http",
    "received_at": "2026-01-01T00:00:00.000Z",
    "envelope": None,
}
"""What is told of every sample, so that a trial gives the same each time."""


class TrialsBusyError(UnavailableError):
    """Other trials are under way; try again in some seconds."""

    code = "trials-busy"


class TriedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the code attached to an output."""

    of: int | None
    """The number of the sample's attachment; null: the code made it."""
    name: str | None
    content_type: str | None
    size: int | None


class TransformTried(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial came to. Calls to the outside are refused in it."""

    transform_id: str
    version: int
    digest: str
    outcome: Outcome
    outputs: list[Any]
    attachments: list[list[TriedFile]]
    """What the code attached to each output; empty where it attached nothing to any."""
    logs: list[str]
    logs_cut: bool
    error: str | None
    wall_ms: int
    cpu_ms: int
    peak_bytes: int | None
    sandbox: str
    level: str
    """At which the code was isolated: `full`, `older-kernel` or `landlock-seccomp`."""


@dataclass(frozen=True, slots=True)
class _Sample:
    version: int | None
    config: Mapping[str, Any]
    file: JobFile


def trial_routes(run: Run) -> list[Route]:
    """Return the route that tries a transform out by *run*."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def test(exchange: Exchange) -> Answer:
        """Run a version on the body that is sent."""
        return await try_transform(exchange, run, turns)

    return [
        Route(
            at="POST /v1/transforms/{transform_id}/test",
            action=test,
            summary="Run a transform on a sample, and keep nothing",
            gives=TransformTried,
            needs=Permission.TRANSFORM_WRITE,
            audits="transform.tested",
            streams=True,
            tags=("transforms",),
        )
    ]


async def try_transform(exchange: Exchange, run: Run, turns: asyncio.Semaphore) -> Answer:
    """Run the version that `?version=` names, or the current one, on the body as a payload; `?config=` is its context.

    It runs before it is recorded: a crash between the two leaves a trial that nobody can look up, and that changed
    nothing.
    """
    transform = TransformId.parse(exchange.path["transform_id"])
    sample = _sample(exchange.query, exchange.content_type, await exchange.whole_body(LARGEST_SAMPLE))
    row, job = await exchange.in_thread(_prepare, exchange, transform, sample)
    try:
        async with asyncio.timeout(PATIENCE):
            await turns.acquire()
    except TimeoutError as error:
        raise TrialsBusyError from error
    try:
        result = await run(job)
    finally:
        turns.release()
    told = _told(transform, row, result)
    detail = {"version": row.number, "digest": row.digest.hex(), "outcome": result.outcome}
    return await exchange.transact(lambda _: Answer(body=told, subject=str(transform), detail=detail))


def _sample(query: Mapping[str, str], content_type: str, body: bytes) -> _Sample:
    for name in query:
        if name not in {"version", "config", "name"}:
            raise UnknownMemberError(f"There is no query parameter {name[:80]!r} here.")
    version = query.get("version")
    if version is not None and not (version.isascii() and version.isdigit() and 1 <= int(version) <= MAX_VERSIONS):
        raise InvalidValueError(f"version: a number from 1 to {MAX_VERSIONS}.")
    try:
        config = msgspec.json.decode(query.get("config", "{}"), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidValueError("config: must be a JSON object.") from error
    file = JobFile(query.get("name"), content_type, body)
    return _Sample(None if version is None else int(version), config, file)


def _prepare(exchange: Exchange, transform: TransformId, sample: _Sample) -> tuple[store.VersionRow, Job]:
    with tenant_operation(exchange.ports, exchange.actor, exchange.request) as op:
        found = store.transform(op.tx, transform.value)
        if found is None:
            raise NoSuchTransformError
        row = store.version(op.tx, transform.value, sample.version or found.current)
        if row is None:
            raise NoSuchVersionError
        tenant = f"{op.tenant.value.hex}/{op.environment}"
        code = code_of(op, row)
    return row, Job(
        tenant=tenant, language=row.language, code=code, payload=sample.file, meta=META, context=sample.config
    )


def tried_file(one: OutputFile) -> TriedFile:
    """Return what is told of a file."""
    if one.of is not None:
        return TriedFile(of=one.of, name=None, content_type=None, size=None)
    return TriedFile(of=None, name=one.name, content_type=one.content_type, size=len(one.data))


def _told(transform: TransformId, row: store.VersionRow, result: RunResult) -> TransformTried:
    return TransformTried(
        transform_id=str(transform),
        version=row.number,
        digest=f"sha256:{row.digest.hex()}",
        outcome=result.outcome,
        outputs=[msgspec.json.decode(one) for one in result.outputs],
        attachments=[[tried_file(one) for one in files] for files in result.files],
        logs=list(result.logs),
        logs_cut=result.logs_cut,
        error=result.error,
        wall_ms=result.wall_ms,
        cpu_ms=result.cpu_ms,
        peak_bytes=result.peak_bytes,
        sandbox=result.sandbox,
        level=result.level,
    )
