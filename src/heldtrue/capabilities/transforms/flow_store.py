"""Flows in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.transforms.flow_model import FlowState, Trigger
from heldtrue.db.tx import SystemTx, TenantTx


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A row of `heldtrue.flows`."""

    flow_id: UUID
    state: FlowState
    trigger: Trigger
    revision: int
    config_sealed: bytes = field(repr=False)
    next_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DueRow:
    """A flow whose schedule is due."""

    tenant_id: UUID
    environment: str
    flow_id: UUID


def due(tx: SystemTx, now: datetime, limit: int) -> list[DueRow]:
    """Return flows of all organisations whose schedule is due, the longest first."""
    return tx.many(
        DueRow,
        """SELECT tenant_id, environment, flow_id FROM heldtrue.flows
           WHERE next_at <= %s AND state = 'enabled' ORDER BY next_at LIMIT %s""",
        (now, limit),
    )


def insert(tx: TenantTx, tenant: UUID, environment: str, row: FlowRow, transforms: Sequence[UUID]) -> None:
    """Insert a flow."""
    tx.execute(
        """INSERT INTO heldtrue.flows (tenant_id, environment, flow_id, state, trigger, revision, transforms,
             config_sealed, next_at, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            tenant,
            environment,
            row.flow_id,
            row.state,
            row.trigger,
            row.revision,
            list(transforms),
            row.config_sealed,
            row.next_at,
            row.created_at,
        ),
    )


def flow(tx: TenantTx, flow_id: UUID) -> FlowRow | None:
    """Return a flow that is not deleted."""
    return tx.one(
        FlowRow,
        """SELECT flow_id, state, trigger, revision, config_sealed, next_at, created_at FROM heldtrue.flows
           WHERE flow_id = %s AND state <> 'deleted'""",
        (flow_id,),
    )


def lock(tx: TenantTx, flow_id: UUID) -> FlowRow | None:
    """Return a flow that is not deleted, locked until the transaction ends."""
    return tx.one(
        FlowRow,
        """SELECT flow_id, state, trigger, revision, config_sealed, next_at, created_at FROM heldtrue.flows
           WHERE flow_id = %s AND state <> 'deleted' FOR UPDATE""",
        (flow_id,),
    )


def taking(tx: TenantTx) -> list[FlowRow]:
    """Return the enabled flows that payloads begin, locked against a change while runs of them are made."""
    return tx.many(
        FlowRow,
        """SELECT flow_id, state, trigger, revision, config_sealed, next_at, created_at FROM heldtrue.flows
           WHERE state = 'enabled' AND trigger = 'payload' ORDER BY flow_id FOR SHARE""",
    )


def count(tx: TenantTx) -> int:
    """Return how many flows there are."""
    return tx.value("SELECT count(*) FROM heldtrue.flows WHERE state <> 'deleted'")


def flows(tx: TenantTx, after: UUID | None, limit: int) -> list[FlowRow]:
    """Return flows that are not deleted, newest first."""
    return tx.many(
        FlowRow,
        """SELECT flow_id, state, trigger, revision, config_sealed, next_at, created_at FROM heldtrue.flows
           WHERE state <> 'deleted' AND (%s::uuid IS NULL OR flow_id < %s) ORDER BY flow_id DESC LIMIT %s""",
        (after, after, limit),
    )


def uses(tx: TenantTx, transform_id: UUID) -> bool:
    """Return whether a flow has a step that runs this transform."""
    return tx.value(
        "SELECT EXISTS (SELECT FROM heldtrue.flows WHERE state <> 'deleted' AND %s = ANY(transforms))", (transform_id,)
    )


def change(tx: TenantTx, row: FlowRow, transforms: Sequence[UUID]) -> None:
    """Write a flow anew."""
    tx.execute(
        """UPDATE heldtrue.flows SET state = %s, trigger = %s, revision = %s, transforms = %s, config_sealed = %s,
             next_at = %s WHERE flow_id = %s""",
        (row.state, row.trigger, row.revision, list(transforms), row.config_sealed, row.next_at, row.flow_id),
    )


def set_state(tx: TenantTx, flow_id: UUID, state: FlowState, next_at: datetime | None) -> None:
    """Enable or disable a flow."""
    tx.execute("UPDATE heldtrue.flows SET state = %s, next_at = %s WHERE flow_id = %s", (state, next_at, flow_id))


def set_next(tx: TenantTx, flow_id: UUID, next_at: datetime) -> None:
    """Note when a schedule is due next."""
    tx.execute("UPDATE heldtrue.flows SET next_at = %s WHERE flow_id = %s", (next_at, flow_id))


def delete(tx: TenantTx, flow_id: UUID) -> None:
    """Mark a flow deleted and forget what its owner wrote."""
    tx.execute(
        """UPDATE heldtrue.flows SET state = 'deleted', config_sealed = '', transforms = '{}', next_at = NULL
           WHERE flow_id = %s""",
        (flow_id,),
    )
