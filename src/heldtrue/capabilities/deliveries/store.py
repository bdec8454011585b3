"""Endpoints in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.deliveries.model import EndpointState
from heldtrue.db.tx import TenantTx


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """A row of `heldtrue.endpoints`."""

    endpoint_id: UUID
    state: EndpointState
    disabled_for: str | None
    config_sealed: bytes = field(repr=False)
    secrets_sealed: bytes = field(repr=False)
    created_at: datetime
    concurrency: int = 8
    rate: float | None = None


def insert(tx: TenantTx, tenant: UUID, environment: str, row: EndpointRow) -> None:
    """Insert an endpoint."""
    tx.execute(
        """INSERT INTO heldtrue.endpoints (tenant_id, environment, endpoint_id, state, disabled_for, config_sealed,
             secrets_sealed, created_at, concurrency, rate) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            tenant,
            environment,
            row.endpoint_id,
            row.state,
            row.disabled_for,
            row.config_sealed,
            row.secrets_sealed,
            row.created_at,
            row.concurrency,
            row.rate,
        ),
    )


def endpoint(tx: TenantTx, endpoint_id: UUID) -> EndpointRow | None:
    """Return an endpoint that is not deleted."""
    return tx.one(
        EndpointRow,
        """SELECT endpoint_id, state, disabled_for, config_sealed, secrets_sealed, created_at, concurrency, rate
           FROM heldtrue.endpoints
           WHERE endpoint_id = %s AND state <> 'deleted'""",
        (endpoint_id,),
    )


def lock(tx: TenantTx, endpoint_id: UUID) -> EndpointRow | None:
    """Return an endpoint that is not deleted, locked until the transaction ends."""
    return tx.one(
        EndpointRow,
        """SELECT endpoint_id, state, disabled_for, config_sealed, secrets_sealed, created_at, concurrency, rate
           FROM heldtrue.endpoints
           WHERE endpoint_id = %s AND state <> 'deleted' FOR UPDATE""",
        (endpoint_id,),
    )


def endpoints_of(tx: TenantTx, endpoint_ids: Sequence[UUID]) -> dict[UUID, EndpointRow]:
    """Return those of *endpoint_ids* that are not deleted."""
    found = tx.many(
        EndpointRow,
        """SELECT endpoint_id, state, disabled_for, config_sealed, secrets_sealed, created_at, concurrency, rate
           FROM heldtrue.endpoints WHERE endpoint_id = ANY(%s) AND state <> 'deleted'""",
        (list(endpoint_ids),),
    )
    return {row.endpoint_id: row for row in found}


def receiving(tx: TenantTx) -> list[EndpointRow]:
    """Return all endpoints that are not deleted, oldest first, locked against a change of their state.

    A delivery that is made while its endpoint is being disabled would otherwise stay pending.
    """
    return tx.many(
        EndpointRow,
        """SELECT endpoint_id, state, disabled_for, config_sealed, secrets_sealed, created_at, concurrency, rate
           FROM heldtrue.endpoints
           WHERE state <> 'deleted' ORDER BY endpoint_id FOR SHARE""",
    )


def endpoints(tx: TenantTx, after: UUID | None, limit: int) -> list[EndpointRow]:
    """Return endpoints that are not deleted, newest first."""
    return tx.many(
        EndpointRow,
        """SELECT endpoint_id, state, disabled_for, config_sealed, secrets_sealed, created_at, concurrency, rate
           FROM heldtrue.endpoints
           WHERE state <> 'deleted' AND (%s::uuid IS NULL OR endpoint_id < %s)
           ORDER BY endpoint_id DESC LIMIT %s""",
        (after, after, limit),
    )


def set_state(tx: TenantTx, endpoint_id: UUID, state: EndpointState, disabled_for: str | None) -> None:
    """Enable or disable an endpoint."""
    tx.execute(
        "UPDATE heldtrue.endpoints SET state = %s, disabled_for = %s WHERE endpoint_id = %s",
        (state, disabled_for, endpoint_id),
    )


def set_options(tx: TenantTx, endpoint_id: UUID, config_sealed: bytes, concurrency: int, rate: float | None) -> None:
    """Replace an endpoint's settings."""
    tx.execute(
        "UPDATE heldtrue.endpoints SET config_sealed = %s, concurrency = %s, rate = %s WHERE endpoint_id = %s",
        (config_sealed, concurrency, rate, endpoint_id),
    )


def set_secrets(tx: TenantTx, endpoint_id: UUID, sealed: bytes) -> None:
    """Replace an endpoint's sealed secrets."""
    tx.execute("UPDATE heldtrue.endpoints SET secrets_sealed = %s WHERE endpoint_id = %s", (sealed, endpoint_id))


def delete(tx: TenantTx, endpoint_id: UUID) -> None:
    """Mark an endpoint deleted and forget its URL, description and secrets."""
    tx.execute(
        """UPDATE heldtrue.endpoints SET state = 'deleted', disabled_for = NULL, config_sealed = '', secrets_sealed = ''
           WHERE endpoint_id = %s""",
        (endpoint_id,),
    )
