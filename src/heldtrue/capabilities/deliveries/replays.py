"""Send many deliveries again: count them first, then in batches in the background, with progress."""

from __future__ import annotations

from dataclasses import replace

from heldtrue.capabilities.deliveries import replay_store, store
from heldtrue.capabilities.deliveries.model import NoSuchEndpointError
from heldtrue.capabilities.deliveries.replay_model import (
    ListReplays,
    NoSuchReplayError,
    ReplayMany,
    ReplayView,
    TheReplay,
)
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.ids import EndpointId, PayloadId, ReplayId
from heldtrue.op import AuditEvent, Operation

STEP = 500
FINISHED = "replay.finished"


def replay_many(op: Operation, asked: ReplayMany) -> ReplayView:
    """Count what would be sent again and, unless it is a dry run, let the worker begin with it."""
    endpoint = None if asked.endpoint_id is None else EndpointId.parse(asked.endpoint_id).value
    if endpoint is not None and store.endpoint(op.tx, endpoint) is None:
        raise NoSuchEndpointError
    replay = ReplayId.new(op.now, op.entropy)
    row = replay_store.ReplayRow(
        replay_id=replay.value,
        endpoint_id=endpoint,
        payload_id=None if asked.payload_id is None else PayloadId.parse(asked.payload_id).value,
        state=asked.state,
        event_type=asked.event_type,
        created_from=asked.created_from,
        created_to=op.now if asked.created_to is None else min(asked.created_to, op.now),
        matched=0,
        done=0,
        skipped=0,
        reached=None,
        created_at=op.now,
        finished_at=None,
    )
    row = replace(row, matched=replay_store.count(op.tx, row))
    if not asked.dry_run:
        replay_store.insert(op.tx, op.tenant.value, op.environment, row)
    return _view(row, dry_run=asked.dry_run)


def get_replay(op: Operation, asked: TheReplay) -> ReplayView:
    """Tell how far a replay is."""
    row = replay_store.replay(op.tx, ReplayId.parse(asked.replay_id).value)
    if row is None:
        raise NoSuchReplayError
    return _view(row)


def list_replays(op: Operation, asked: ListReplays) -> Listing[ReplayView]:
    """List the environment's replays, newest first."""
    rows = replay_store.replays(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, _view, lambda row: row.replay_id)


def carry_on(op: Operation, replay: ReplayId, limit: int = STEP) -> int:
    """Send the next batch of a replay; return how many deliveries are on their way again. Safe to repeat."""
    row = replay_store.lock(op.tx, replay.value)
    if row is None:
        return 0
    made = replay_store.step(op.tx, row, op.now, limit)
    finished = op.now if made.seen < limit else None
    replay_store.reached(op.tx, replay.value, made, finished)
    if finished is not None:
        total = {"done": row.done + made.done, "skipped": row.skipped + made.seen - made.done}
        op.record(AuditEvent(event=FINISHED, subject=str(replay), detail=total))
    return made.done


def _view(row: replay_store.ReplayRow, *, dry_run: bool = False) -> ReplayView:
    return ReplayView(
        id=None if dry_run else str(ReplayId(row.replay_id)),
        dry_run=dry_run,
        matched=row.matched,
        done=row.done,
        skipped=row.skipped,
        state=row.state,
        endpoint_id=row.endpoint_id and str(EndpointId(row.endpoint_id)),
        payload_id=row.payload_id and str(PayloadId(row.payload_id)),
        event_type=row.event_type,
        created_from=row.created_from,
        created_to=row.created_to,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
