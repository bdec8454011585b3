"""What can be done with runs: look at them, retry them, cancel them, forget what they held with its payload."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from heldtrue.capabilities.egress import sessions as egress
from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.outputs import actions as outputs
from heldtrue.capabilities.transforms import flow_store, run_store
from heldtrue.capabilities.transforms.flow_model import (
    ListRuns,
    NoSuchFlowError,
    NoSuchRunError,
    RunBusyError,
    RunSettledError,
    RunSummary,
    RunView,
    StepView,
    TheRun,
)
from heldtrue.capabilities.transforms.steps import Logs, settle_payload
from heldtrue.crypto.keyring import KeyDestroyedError
from heldtrue.crypto.sealing import key_id_of
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.ids import FlowId, PayloadId, RunId, TransformId
from heldtrue.op import Operation


def list_runs(op: Operation, asked: ListRuns) -> Listing[RunSummary]:
    """List the environment's runs, newest first."""
    rows = run_store.runs(
        op.tx,
        flow_id=asked.of_flow(),
        payload_id=asked.of_payload(),
        state=asked.state,
        after=asked.after(),
        limit=asked.limit + 1,
    )
    return listing(rows, asked, _summary, lambda row: row.run_id)


def get_run(op: Operation, asked: TheRun) -> RunView:
    """Tell what is known of a run, the newest try of each step included."""
    row = run_store.run(op.tx, RunId.parse(asked.run_id).value)
    if row is None:
        raise NoSuchRunError
    attempted = [_step(op, found) for found in run_store.steps(op.tx, row.run_id)]
    called = egress.sessions_of(op, row.run_id)
    return RunView(**msgspec.structs.asdict(_summary(row)), attempted=attempted, egress=called)


def retry_run(op: Operation, asked: TheRun) -> RunSummary:
    """Try a run again at once, from the step that failed and with as many tries as at first."""
    row = _locked(op, asked)
    if row.state == "done":
        raise RunSettledError
    if row.state == "running" and row.lease_until is not None and row.lease_until > op.now:
        raise RunBusyError
    if flow_store.flow(op.tx, row.flow_id) is None:
        raise NoSuchFlowError("the flow of this run was deleted")
    again = replace(row, state="queued", tries=0, due_at=op.now, lease_until=None, settled_at=None)
    run_store.write(op.tx, again)
    intake.mark_processing(op, [PayloadId(row.payload_id)])
    return _summary(again)


def cancel_run(op: Operation, asked: TheRun) -> RunSummary:
    """End a run without outputs; a step that is under way is finished, and what it gives is dropped."""
    row = _locked(op, asked)
    if row.state == "done":
        raise RunSettledError
    ended = replace(
        row, state="cancelled", outcome="cancelled", due_at=None, lease_until=None, fence=row.fence + 1,
        settled_at=row.settled_at or op.now,
    )  # fmt: skip
    run_store.write(op.tx, ended)
    settle_payload(op, PayloadId(row.payload_id))
    return _summary(ended)


def forget(op: Operation, payload: PayloadId) -> list[str]:
    """Cancel what runs on a payload that is erased, forget all that its runs held and made; return its objects."""
    run_store.forget(op.tx, payload.value, op.now)
    egress.forget(op, payload)
    return outputs.forget(op, payload)


def _locked(op: Operation, asked: TheRun) -> run_store.RunRow:
    """Return a run, locked after its payload."""
    run = RunId.parse(asked.run_id).value
    found = run_store.run(op.tx, run)
    if found is None:
        raise NoSuchRunError
    intake.lock(op, PayloadId(found.payload_id))
    row = run_store.lock(op.tx, run)
    if row is None:
        raise NoSuchRunError
    return row


def _summary(row: run_store.RunRow) -> RunSummary:
    return RunSummary(
        id=str(RunId(row.run_id)),
        flow_id=str(FlowId(row.flow_id)),
        payload_id=str(PayloadId(row.payload_id)),
        state=row.state,
        step=row.step,
        steps=row.steps,
        tries=row.tries,
        outcome=row.outcome,
        outputs=row.outputs,
        due_at=row.due_at,
        created_at=row.created_at,
        settled_at=row.settled_at,
    )


def _step(op: Operation, row: run_store.StepRow) -> StepView:
    logs = _opened(op, row, "logs", row.logs_sealed)
    error = _opened(op, row, "error", row.error_sealed)
    said = Logs([], cut=False) if logs is None else msgspec.json.decode(logs, type=Logs)
    return StepView(
        position=row.position,
        transform_id=str(TransformId(row.transform_id)),
        version=row.version,
        digest=f"sha256:{row.digest.hex()}",
        outcome=row.outcome,
        sandbox=row.sandbox,
        inputs=row.inputs,
        outputs=row.outputs,
        tries=row.tries,
        wall_ms=row.wall_ms,
        cpu_ms=row.cpu_ms,
        peak_bytes=row.peak_bytes,
        finished_at=row.finished_at,
        error=None if error is None else error.decode("utf-8"),
        logs=said.lines,
        logs_cut=said.cut,
    )


def _opened(op: Operation, row: run_store.StepRow, column: str, sealed: bytes | None) -> bytes | None:
    if sealed is None:
        return None
    try:
        key = op.keys.object_key(key_id_of(sealed))
    except KeyDestroyedError:
        return None
    return op.keys.open_object(key, "run_steps", column, f"{row.run_id}/{row.position}", sealed)
