"""What can be done with flows: create, change, look at, enable, disable, delete."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.transforms import flow_store, run_store, schedule, store
from heldtrue.capabilities.transforms.flow_model import (
    MAX_CONFIG,
    MAX_FLOWS,
    ChangeFlow,
    CreateFlow,
    FlowConfig,
    FlowDeleted,
    FlowShapeError,
    FlowState,
    FlowView,
    ListFlows,
    NoSuchFlowError,
    TheFlow,
    Trigger,
)
from heldtrue.capabilities.transforms.model import PURPOSE, NoSuchTransformError, NoSuchVersionError
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.errors import ConflictError
from heldtrue.kernel.ids import EndpointId, FlowId, PayloadId, TransformId
from heldtrue.op import Operation


def create_flow(op: Operation, asked: CreateFlow) -> FlowView:
    """Create a flow; enabled, it takes payloads from now on."""
    if flow_store.count(op.tx) >= MAX_FLOWS:
        raise ConflictError(f"the environment has {MAX_FLOWS} flows", advice="Delete those that nothing needs.")
    config = FlowConfig(
        name=asked.name,
        filters=asked.filters,
        schedule=asked.schedule,
        steps=tuple(asked.steps),
        endpoint_ids=tuple(asked.endpoint_ids),
        event_type=asked.event_type,
        alert_endpoint_ids=tuple(asked.alert_endpoint_ids),
    )
    _judge(op, asked.trigger, config)
    flow = FlowId.new(op.now, op.entropy)
    state: FlowState = "enabled" if asked.enabled else "disabled"
    _judge_steps(config, state)
    row = flow_store.FlowRow(
        flow_id=flow.value,
        state=state,
        trigger=asked.trigger,
        revision=1,
        config_sealed=_seal(op, flow, config),
        next_at=_next(config, state, op.now),
        created_at=op.now,
    )
    flow_store.insert(op.tx, op.tenant.value, op.environment, row, config.transforms)
    return _view(row, config)


def change_flow(op: Operation, asked: ChangeFlow) -> FlowView:
    """Change a flow; runs that are not settled begin anew with the steps as they are now."""
    flow, row = _locked(op, asked.flow_id)
    before = config_of(op, row)
    config = _changed(before, asked)
    trigger = asked.trigger or row.trigger
    _judge(op, trigger, config)
    _judge_steps(config, row.state)
    same = config.schedule == before.schedule and trigger == row.trigger
    changed = replace(
        row,
        trigger=trigger,
        revision=row.revision + (config.steps != before.steps),
        config_sealed=_seal(op, flow, config),
        next_at=row.next_at if same else _next(config, row.state, op.now),
    )
    flow_store.change(op.tx, changed, config.transforms)
    return _view(changed, config)


def _changed(before: FlowConfig, asked: ChangeFlow) -> FlowConfig:
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name in ("name", "steps", "endpoint_ids", "event_type", "alert_endpoint_ids")
        if (value := getattr(asked, name)) is not None
    }
    for name in ("filters", "schedule"):
        if (value := getattr(asked, name)) is not msgspec.UNSET:
            given[name] = value
    return msgspec.structs.replace(before, **given)


def list_flows(op: Operation, asked: ListFlows) -> Listing[FlowView]:
    """List the environment's flows, newest first."""
    rows = flow_store.flows(op.tx, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: _view(row, config_of(op, row)), lambda row: row.flow_id)


def get_flow(op: Operation, asked: TheFlow) -> FlowView:
    """Tell what is known of a flow."""
    row = flow_store.flow(op.tx, FlowId.parse(asked.flow_id).value)
    if row is None:
        raise NoSuchFlowError
    return _view(row, config_of(op, row))


def enable_flow(op: Operation, asked: TheFlow) -> FlowView:
    """Let a flow take payloads; its schedule goes on from now."""
    return _set_state(op, asked, "enabled")


def disable_flow(op: Operation, asked: TheFlow) -> FlowView:
    """Let a flow take nothing more; runs that have begun go on."""
    return _set_state(op, asked, "disabled")


def delete_flow(op: Operation, asked: TheFlow) -> FlowDeleted:
    """Forget a flow; its runs that are not done are cancelled."""
    flow, _ = _locked(op, asked.flow_id)
    cancelled = run_store.cancel_for_flow(op.tx, flow.value, op.now)
    intake.mark_forwarded(op, [PayloadId(payload) for payload in run_store.all_settled(op.tx, cancelled)])
    flow_store.delete(op.tx, flow.value)
    return FlowDeleted(id=str(flow), state="deleted", cancelled=len(cancelled))


def config_of(op: Operation, row: flow_store.FlowRow) -> FlowConfig:
    """Open what the owner wrote."""
    plain = op.keys.open(PURPOSE, "flows", "config", str(row.flow_id), row.config_sealed)
    return msgspec.json.decode(plain, type=FlowConfig)


def _set_state(op: Operation, asked: TheFlow, state: FlowState) -> FlowView:
    flow, row = _locked(op, asked.flow_id)
    config = config_of(op, row)
    _judge_steps(config, state)
    next_at = row.next_at if state == row.state else _next(config, state, op.now)
    flow_store.set_state(op.tx, flow.value, state, next_at)
    return _view(replace(row, state=state, next_at=next_at), config)


def _judge_steps(config: FlowConfig, state: FlowState) -> None:
    if state == "enabled" and not config.steps:
        raise FlowShapeError("a flow without steps cannot be enabled", advice="Give it a step, or `enabled: false`.")


def _judge(op: Operation, trigger: Trigger, config: FlowConfig) -> None:
    """Return when the configuration can work."""
    if (trigger == "schedule") != (config.schedule is not None):
        raise FlowShapeError("a flow has a schedule exactly where its trigger is `schedule`")
    if trigger == "schedule" and config.filters is not None:
        raise FlowShapeError("filters choose among payloads; a scheduled flow takes none")
    if config.schedule is not None:
        schedule.check(config.schedule)
    for endpoint in (*config.endpoint_ids, *config.alert_endpoint_ids):
        EndpointId.parse(endpoint)
    if len(msgspec.json.encode(config)) > MAX_CONFIG:
        raise FlowShapeError(f"the flow's configuration is over {MAX_CONFIG} bytes of JSON")
    for transform in config.transforms:
        if store.share(op.tx, transform) is None:
            raise NoSuchTransformError(f"there is no transform {TransformId(transform)} here")
    for step in config.steps:
        transform = TransformId.parse(step.transform_id).value
        if step.version is not None and store.version(op.tx, transform, step.version) is None:
            raise NoSuchVersionError(f"{step.transform_id} has no version {step.version}")


def _next(config: FlowConfig, state: FlowState, now: datetime) -> datetime | None:
    return schedule.next_after(config.schedule, now) if config.schedule and state == "enabled" else None


def _locked(op: Operation, text: str) -> tuple[FlowId, flow_store.FlowRow]:
    flow = FlowId.parse(text)
    row = flow_store.lock(op.tx, flow.value)
    if row is None:
        raise NoSuchFlowError
    return flow, row


def _seal(op: Operation, flow: FlowId, config: FlowConfig) -> bytes:
    return op.keys.seal(PURPOSE, "flows", "config", str(flow.value), msgspec.json.encode(config))


def _view(row: flow_store.FlowRow, config: FlowConfig) -> FlowView:
    return FlowView(
        id=str(FlowId(row.flow_id)),
        name=config.name,
        state=row.state,
        trigger=row.trigger,
        filters=config.filters,
        schedule=config.schedule,
        steps=list(config.steps),
        endpoint_ids=list(config.endpoint_ids),
        event_type=config.event_type,
        alert_endpoint_ids=list(config.alert_endpoint_ids),
        revision=row.revision,
        next_at=row.next_at,
        created_at=row.created_at,
    )
