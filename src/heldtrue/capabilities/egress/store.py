"""Credentials, rules and what was called, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from heldtrue.db.tx import TenantTx


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A row of `heldtrue.credentials` that is not deleted."""

    credential_id: UUID
    version: int
    config_sealed: bytes = field(repr=False)
    value_sealed: bytes = field(repr=False)
    created_at: datetime
    replaced_at: datetime | None


@dataclass(frozen=True, slots=True)
class RulesRow:
    """A row of `heldtrue.transform_egress`."""

    transform_id: UUID
    rules_sealed: bytes = field(repr=False)
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A row of `heldtrue.egress_sessions`."""

    session_id: UUID
    run_id: UUID
    payload_id: UUID
    position: int
    fence: int
    outcome: Literal["open", "closed", "unknown"]
    opened_at: datetime
    closed_at: datetime | None
    calls_sealed: bytes | None = field(repr=False)


def hold_names(tx: TenantTx, tenant: UUID, environment: str) -> None:
    """Let nobody else name credentials of this environment until the transaction ends."""
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7007))", (f"credentials {tenant} {environment}",))


def insert(tx: TenantTx, tenant: UUID, environment: str, row: CredentialRow) -> None:
    """Insert a credential."""
    tx.execute(
        """INSERT INTO heldtrue.credentials (tenant_id, environment, credential_id, version, config_sealed,
             value_sealed, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (tenant, environment, row.credential_id, row.version, row.config_sealed, row.value_sealed, row.created_at),
    )


def credential(tx: TenantTx, credential_id: UUID) -> CredentialRow | None:
    """Return a credential that is not deleted."""
    return tx.one(
        CredentialRow,
        """SELECT credential_id, version, config_sealed, value_sealed, created_at, replaced_at
           FROM heldtrue.credentials WHERE credential_id = %s AND state = 'active'""",
        (credential_id,),
    )


def lock(tx: TenantTx, credential_id: UUID) -> CredentialRow | None:
    """Return a credential that is not deleted, locked until the transaction ends."""
    return tx.one(
        CredentialRow,
        """SELECT credential_id, version, config_sealed, value_sealed, created_at, replaced_at
           FROM heldtrue.credentials WHERE credential_id = %s AND state = 'active' FOR UPDATE""",
        (credential_id,),
    )


def credentials(tx: TenantTx, after: UUID | None, limit: int) -> list[CredentialRow]:
    """Return credentials that are not deleted, newest first."""
    return tx.many(
        CredentialRow,
        """SELECT credential_id, version, config_sealed, value_sealed, created_at, replaced_at
           FROM heldtrue.credentials WHERE state = 'active' AND (%s::uuid IS NULL OR credential_id < %s)
           ORDER BY credential_id DESC LIMIT %s""",
        (after, after, limit),
    )


def named(tx: TenantTx, credential_ids: Sequence[UUID]) -> list[CredentialRow]:
    """Return those of the credentials that are not deleted."""
    return tx.many(
        CredentialRow,
        """SELECT credential_id, version, config_sealed, value_sealed, created_at, replaced_at
           FROM heldtrue.credentials WHERE credential_id = ANY(%s) AND state = 'active'""",
        (list(credential_ids),),
    )


def replace(tx: TenantTx, row: CredentialRow) -> None:
    """Write what was replaced of a credential that is locked."""
    tx.execute(
        """UPDATE heldtrue.credentials SET version = %s, config_sealed = %s, value_sealed = %s, replaced_at = %s
           WHERE credential_id = %s""",
        (row.version, row.config_sealed, row.value_sealed, row.replaced_at, row.credential_id),
    )


def delete(tx: TenantTx, credential_id: UUID) -> None:
    """Mark a credential deleted and forget all that was sealed of it."""
    tx.execute(
        """UPDATE heldtrue.credentials SET state = 'deleted', config_sealed = '', value_sealed = NULL
           WHERE credential_id = %s""",
        (credential_id,),
    )


# ---------------------------------------------------------------- rules


def rules(tx: TenantTx, transform_id: UUID) -> RulesRow | None:
    """Return the rules of a transform."""
    return tx.one(
        RulesRow,
        "SELECT transform_id, rules_sealed, changed_at FROM heldtrue.transform_egress WHERE transform_id = %s",
        (transform_id,),
    )


def put_rules(tx: TenantTx, tenant: UUID, environment: str, row: RulesRow) -> None:
    """Write rules in the place of those before."""
    tx.execute(
        """INSERT INTO heldtrue.transform_egress (tenant_id, environment, transform_id, rules_sealed, changed_at)
           VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (tenant_id, transform_id) DO UPDATE SET rules_sealed = EXCLUDED.rules_sealed,
             changed_at = EXCLUDED.changed_at""",
        (tenant, environment, row.transform_id, row.rules_sealed, row.changed_at),
    )


# ---------------------------------------------------------------- sessions


def open_session(tx: TenantTx, tenant: UUID, environment: str, row: SessionRow) -> None:
    """Write that a step is about to begin that may call out."""
    tx.execute(
        """INSERT INTO heldtrue.egress_sessions (tenant_id, environment, session_id, run_id, payload_id, position,
             fence, opened_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (tenant, environment, row.session_id, row.run_id, row.payload_id, row.position, row.fence, row.opened_at),
    )


def close_session(tx: TenantTx, session_id: UUID, calls_sealed: bytes, now: datetime) -> bool:
    """Write what was called, once; return whether the session was open."""
    return bool(
        tx.execute(
            """UPDATE heldtrue.egress_sessions SET outcome = 'closed', closed_at = %s, calls_sealed = %s
               WHERE session_id = %s AND outcome = 'open'""",
            (now, calls_sealed, session_id),
        )
    )


def give_up_sessions(tx: TenantTx, run_id: UUID, now: datetime) -> list[UUID]:
    """Write that nobody will tell what the open sessions of a run called; return them."""
    found = tx.value(
        """WITH given_up AS (UPDATE heldtrue.egress_sessions SET outcome = 'unknown', closed_at = %s
             WHERE run_id = %s AND outcome = 'open' RETURNING session_id)
           SELECT array_agg(session_id) FROM given_up""",
        (now, run_id),
    )
    return list(found or ())


def sessions(tx: TenantTx, run_id: UUID) -> list[SessionRow]:
    """Return the sessions of a run, in order."""
    return tx.many(
        SessionRow,
        """SELECT session_id, run_id, payload_id, position, fence, outcome, opened_at, closed_at, calls_sealed
           FROM heldtrue.egress_sessions WHERE run_id = %s ORDER BY session_id""",
        (run_id,),
    )


def forget(tx: TenantTx, payload_id: UUID) -> None:
    """Forget what was called for a payload that is erased."""
    tx.execute("UPDATE heldtrue.egress_sessions SET calls_sealed = NULL WHERE payload_id = %s", (payload_id,))
