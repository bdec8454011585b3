"""The transactions of a run: look at what comes next, keep a step, finish, fail, give back.

Between any two of them the runner is all that happens, and it changes nothing: whoever takes over runs the step again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from heldtrue.capabilities.deliveries.forward import Signer, forward_outputs
from heldtrue.capabilities.deliveries.selecting import reader
from heldtrue.capabilities.egress import sessions as egress
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.model import stamp
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.outputs import actions as outputs
from heldtrue.capabilities.outputs.model import Draft, Maker, Output
from heldtrue.capabilities.transforms import flow_store, run_store, store
from heldtrue.capabilities.transforms.actions import code_of
from heldtrue.capabilities.transforms.flow_actions import config_of
from heldtrue.capabilities.transforms.flow_model import FlowConfig, Step
from heldtrue.capabilities.transforms.handing import Input, first, packed, unpacked
from heldtrue.capabilities.transforms.model import NoSuchVersionError
from heldtrue.kernel.ids import FlowId, RunId, TransformId
from heldtrue.op import AuditEvent, Operation
from heldtrue.sandbox.jobs import Job, OutputFile, RunLimits

FINISHED = "flow.finished"
REACHING = RunLimits(wall_ms=25_000)
"""Where code waits for others, its clock runs longer; its processor time does not."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a step has to do, for whoever holds the fence."""

    claim: run_store.ClaimRow
    flow: FlowId
    config: FlowConfig
    payload: intake.Stored
    position: int
    tries: int
    version: store.VersionRow
    code: bytes = field(repr=False)
    inputs: Sequence[Input] = field(repr=False)
    before: tuple[Maker, ...]
    """The steps that are done."""
    reaches: bool = False
    """Whether the code may call anybody."""

    @property
    def run(self) -> RunId:
        """The run."""
        return RunId(self.claim.run_id)

    @property
    def step(self) -> Step:
        """The step as the owner wrote it."""
        return self.config.steps[self.position]

    @property
    def egress(self) -> egress.Step:
        """What is remembered of its calls under."""
        claim = self.claim
        return egress.Step(
            self.run, self.payload.id, self.position, claim.fence, TransformId(self.version.transform_id)
        )

    @property
    def last(self) -> bool:
        """Whether no step follows."""
        return self.position + 1 == len(self.config.steps)

    def jobs(self) -> list[Job]:
        """Return a job for each input."""
        payload = self.payload
        meta: dict[str, Any] = {
            "id": str(payload.id),
            "source": payload.source,
            "received_at": stamp(payload.received_at),
            "envelope": _envelope(payload),
            "scan": payload.meta.scan,
        }
        return [
            Job(
                tenant=f"{self.claim.tenant_id.hex}/{self.claim.environment}",
                language=self.version.language,
                code=self.code,
                payload=one.file,
                meta=meta,
                attachments=one.attachments,
                context=self.step.config,
                limits=REACHING if self.reaches else RunLimits(),
            )
            for one in self.inputs
        ]


@dataclass(slots=True)
class Tried:
    """What came of a step, all of its inputs together."""

    outcome: Any = "ok"
    outputs: list[bytes] = field(default_factory=list[bytes])
    files: list[tuple[OutputFile, ...]] = field(default_factory=list[tuple[OutputFile, ...]])
    """What is attached to each output; what is kept of the payload's attachments by their number there."""
    logs: list[str] = field(default_factory=list[str])
    logs_cut: bool = False
    error: str | None = None
    wall_ms: int = 0
    cpu_ms: int = 0
    peak_bytes: int | None = None
    sandbox: str | None = None


class Logs(msgspec.Struct, frozen=True):
    """What a step wrote; sealed."""

    lines: list[str]
    cut: bool


def look(op: Operation, claim: run_store.ClaimRow, objects: ObjectStore) -> Work | None:
    """Return what comes next of a claimed run; None when it is ours no more, or there is nothing to do."""
    row = run_store.fenced(op.tx, claim.run_id, claim.fence)
    if row is None:
        return None
    flow = flow_store.flow(op.tx, row.flow_id)
    if flow is None:
        run_store.write(op.tx, _settled(row, op.now, "cancelled", "cancelled"))
        return None
    config = config_of(op, flow)
    if flow.revision != row.revision:
        row = replace(row, step=0, steps=len(config.steps), revision=flow.revision, tries=0, outcome="changed")
        run_store.write(op.tx, row)
    payload = intake.get_stored(op, intake.PayloadId(row.payload_id))
    done = {found.position: found for found in run_store.steps(op.tx, row.run_id) if found.position < row.step}
    version = _version(op, config.steps[row.step])
    return Work(
        claim=claim,
        flow=FlowId(row.flow_id),
        config=config,
        payload=payload,
        position=row.step,
        tries=row.tries,
        version=version,
        code=code_of(op, version),
        inputs=_inputs(op, payload, done.get(row.step - 1), objects),
        before=tuple(_maker(done[position]) for position in range(row.step)),
        reaches=egress.reaches(op, TransformId(version.transform_id)),
    )


def keep(op: Operation, work: Work, tried: Tried, lease_until: datetime) -> bool:
    """Write a step's outputs, so that it is never run again; False when the run is ours no more."""
    row = run_store.fenced(op.tx, work.claim.run_id, work.claim.fence)
    if row is None:
        return False
    _put(op, work, tried, result=packed(tried.outputs, tried.files), tries=row.tries + 1)
    run_store.write(op.tx, replace(row, step=row.step + 1, tries=0, outcome="ok", lease_until=lease_until))
    return True


def finish(
    op: Operation,
    work: Work,
    tried: Tried,
    drafts: Sequence[Draft],
    signer: Signer,
    origin: str,
    objects: ObjectStore,
) -> bool:
    """Write outputs, receipts, deliveries and their entries, all at once (T2); False when the run is ours no more."""
    intake.lock(op, work.payload.id)
    row = run_store.fenced(op.tx, work.claim.run_id, work.claim.fence)
    if row is None:
        return False
    _put(op, work, tried, result=None, tries=row.tries + 1)
    run_store.forget_results(op.tx, row.run_id)
    kept = outputs.keep(op, work.payload.id, work.payload.key, work.run, drafts)
    wanted = work.config.endpoints
    deliveries = forward_outputs(
        op, work.payload, [(output, wanted) for output in kept], signer, origin, reader(objects)
    )
    done = replace(_settled(row, op.now, "done", "ok"), step=row.step + 1, tries=0, outputs=len(kept))
    run_store.write(op.tx, done)
    op.record(
        AuditEvent(
            event=FINISHED,
            subject=str(work.run),
            detail={
                "flow": str(work.flow),
                "payload": str(work.payload.id),
                "outputs": _told(kept),
                "deliveries": deliveries,
            },
        )
    )
    settle_payload(op, work.payload.id)
    return True


def settle_payload(op: Operation, payload: intake.PayloadId) -> None:
    """Note that a locked payload is forwarded when none of its runs has anything left to do."""
    if not run_store.open_for_payload(op.tx, payload.value):
        intake.mark_forwarded(op, [payload])


def put_tried(op: Operation, work: Work, tried: Tried, tries: int) -> None:
    """Write a try that failed."""
    _put(op, work, tried, result=None, tries=tries)


def _told(kept: Sequence[Output]) -> list[Mapping[str, Any]]:
    return [{"id": str(output.id), "sha256": output.meta.sha256} for output in kept[:100]]


def _settled(row: run_store.RunRow, now: datetime, state: Any, outcome: Any) -> run_store.RunRow:
    return replace(row, state=state, outcome=outcome, due_at=None, lease_until=None, settled_at=now)


def maker_of(work: Work, sandbox: str | None) -> Maker:
    """Return the step that is being done, as receipts tell it."""
    version = work.version
    return Maker(str(TransformId(version.transform_id)), version.number, version.digest.hex(), sandbox)


def _maker(row: run_store.StepRow) -> Maker:
    return Maker(str(TransformId(row.transform_id)), row.version, row.digest.hex(), row.sandbox)


def _version(op: Operation, step: Step) -> store.VersionRow:
    transform = TransformId.parse(step.transform_id).value
    found = store.transform(op.tx, transform)
    version = found and store.version(op.tx, transform, step.version or found.current)
    if version is None:
        raise NoSuchVersionError(f"step: {step.transform_id} has no version to run")
    return version


def _inputs(
    op: Operation, payload: intake.Stored, before: run_store.StepRow | None, objects: ObjectStore
) -> list[Input]:
    if before is None:
        return first(op, payload, objects)
    place = _place(before.run_id, before.position)
    handed = op.keys.open_object(payload.key, "run_steps", "result", place, before.result_sealed or b"")
    return unpacked(op, payload, handed, objects)


def _envelope(payload: intake.Stored) -> Any:
    mail = payload.meta.mail
    return None if mail is None else msgspec.to_builtins(mail)


def _put(op: Operation, work: Work, tried: Tried, *, result: bytes | None, tries: int) -> None:
    place = _place(work.claim.run_id, work.position)

    def seal(column: str, plain: bytes | None) -> bytes | None:
        return None if plain is None else op.keys.seal_object(work.payload.key, "run_steps", column, place, plain)

    logs = msgspec.json.encode(Logs(tried.logs, tried.logs_cut)) if tried.logs or tried.logs_cut else None
    row = run_store.StepRow(
        run_id=work.claim.run_id,
        position=work.position,
        payload_id=work.payload.id.value,
        transform_id=work.version.transform_id,
        version=work.version.number,
        digest=work.version.digest,
        outcome=tried.outcome,
        sandbox=tried.sandbox,
        inputs=len(work.inputs),
        outputs=len(tried.outputs),
        tries=tries,
        wall_ms=tried.wall_ms,
        cpu_ms=tried.cpu_ms,
        peak_bytes=tried.peak_bytes,
        result_sealed=seal("result", result),
        logs_sealed=seal("logs", logs),
        error_sealed=seal("error", None if tried.error is None else tried.error.encode()),
        finished_at=op.now,
    )
    run_store.put_step(op.tx, op.tenant.value, op.environment, row)


def _place(run: Any, position: int) -> str:
    return f"{run}/{position}"
