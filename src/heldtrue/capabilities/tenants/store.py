"""The rows of organisations and environments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from heldtrue.db.tx import SystemTx


@dataclass(frozen=True, slots=True)
class OrganisationRow:
    """An organisation with its name sealed."""

    tenant_id: UUID
    kind: str
    state: str
    name_sealed: bytes
    created_at: datetime
    environments: list[str]


def insert(tx: SystemTx, tenant: UUID, kind: str, name_sealed: bytes, now: datetime) -> None:
    """Add an organisation."""
    tx.execute(
        "INSERT INTO heldtrue.organisations (tenant_id, kind, name_sealed, created_at) VALUES (%s, %s, %s, %s)",
        [tenant, kind, name_sealed, now],
    )


def insert_environment(tx: SystemTx, tenant: UUID, environment: str, now: datetime) -> bool:
    """Add an environment; return whether it is new."""
    return (
        tx.execute(
            "INSERT INTO heldtrue.environments (tenant_id, environment, created_at) VALUES (%s, %s, %s)"
            " ON CONFLICT (tenant_id, environment) DO NOTHING",
            [tenant, environment, now],
        )
        == 1
    )


def get(tx: SystemTx, tenant: UUID) -> OrganisationRow | None:
    """Return one organisation."""
    return tx.one(
        OrganisationRow,
        """SELECT o.tenant_id, o.kind, o.state, o.name_sealed, o.created_at,
                  ARRAY(SELECT e.environment FROM heldtrue.environments e WHERE e.tenant_id = o.tenant_id
                        ORDER BY e.environment) AS environments
           FROM heldtrue.organisations o WHERE o.tenant_id = %s""",
        [tenant],
    )


def operator(tx: SystemTx) -> UUID | None:
    """Return the operator's organisation, None before the first start is over."""
    return tx.value("SELECT tenant_id FROM heldtrue.organisations WHERE kind = 'operator'")


def page(tx: SystemTx, after: UUID | None, limit: int) -> list[OrganisationRow]:
    """Return up to *limit* organisations older than *after*, the newest first."""
    return tx.many(
        OrganisationRow,
        """SELECT o.tenant_id, o.kind, o.state, o.name_sealed, o.created_at,
                  ARRAY(SELECT e.environment FROM heldtrue.environments e WHERE e.tenant_id = o.tenant_id
                        ORDER BY e.environment) AS environments
           FROM heldtrue.organisations o WHERE %s::uuid IS NULL OR o.tenant_id < %s::uuid
           ORDER BY o.tenant_id DESC LIMIT %s""",
        [after, after, limit],
    )
