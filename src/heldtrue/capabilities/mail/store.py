"""Mail addresses in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from heldtrue.capabilities.mail.model import AddressState, Ruling
from heldtrue.db.tx import EdgeTx, TenantTx


@dataclass(frozen=True, slots=True)
class AddressRow:
    """A row of `heldtrue.mail_addresses` as its owner sees it."""

    address_id: UUID
    config_sealed: bytes = field(repr=False)
    spf: Ruling
    dkim: Ruling
    dmarc: Ruling
    state: AddressState
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class FoundRow:
    """What the listener sees of an address."""

    digest: bytes
    tenant_id: UUID
    environment: str
    address_id: UUID
    spf: Ruling
    dkim: Ruling
    dmarc: Ruling


def insert(tx: TenantTx, tenant: UUID, environment: str, digest: bytes, row: AddressRow) -> None:
    """Insert an address."""
    tx.execute(
        """INSERT INTO heldtrue.mail_addresses (tenant_id, environment, address_id, digest, config_sealed, spf, dkim,
             dmarc, state, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            tenant,
            environment,
            row.address_id,
            digest,
            row.config_sealed,
            row.spf,
            row.dkim,
            row.dmarc,
            row.state,
            row.created_at,
        ),
    )


def addresses(tx: TenantTx, after: UUID | None, state: AddressState | None, limit: int) -> list[AddressRow]:
    """Return addresses, newest first."""
    return tx.many(
        AddressRow,
        """SELECT address_id, config_sealed, spf, dkim, dmarc, state, created_at, revoked_at
           FROM heldtrue.mail_addresses
           WHERE (%s::uuid IS NULL OR address_id < %s) AND (%s::text IS NULL OR state = %s)
           ORDER BY address_id DESC LIMIT %s""",
        (after, after, state, state, limit),
    )


def lock(tx: TenantTx, address: UUID) -> AddressRow | None:
    """Return an address, locked until the transaction ends."""
    return tx.one(
        AddressRow,
        """SELECT address_id, config_sealed, spf, dkim, dmarc, state, created_at, revoked_at
           FROM heldtrue.mail_addresses WHERE address_id = %s FOR UPDATE""",
        (address,),
    )


ACTIVE: LiteralString = """SELECT address_id, config_sealed, spf, dkim, dmarc, state, created_at, revoked_at
    FROM heldtrue.mail_addresses WHERE address_id = ANY(%s) AND state = 'active'"""
"""Asks for those of some addresses that still receive."""


def revoke(tx: TenantTx, address: UUID, now: datetime) -> None:
    """Take nothing at the address any more."""
    tx.execute(
        "UPDATE heldtrue.mail_addresses SET state = 'revoked', revoked_at = %s WHERE address_id = %s",
        (now, address),
    )


def find(tx: EdgeTx, digests: Sequence[bytes]) -> list[FoundRow]:
    """Return the addresses of *digests* that receive; one statement, whatever is there."""
    return tx.many(
        FoundRow,
        """SELECT a.digest, a.tenant_id, a.environment, a.address_id, a.spf, a.dkim, a.dmarc
           FROM heldtrue.mail_addresses a JOIN heldtrue.organisations o ON o.tenant_id = a.tenant_id
           WHERE a.digest = ANY(%b::bytea[]) AND a.state = 'active' AND o.state = 'active'""",
        (list(digests),),
    )
