"""Transforms and their versions in the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from heldtrue.capabilities.transforms.model import Language
from heldtrue.db.tx import TenantTx


@dataclass(frozen=True, slots=True)
class TransformRow:
    """A row of `heldtrue.transforms`."""

    transform_id: UUID
    state: Literal["active", "deleted"]
    current: int
    config_sealed: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A row of `heldtrue.transform_versions`."""

    transform_id: UUID
    number: int
    language: Language
    digest: bytes
    size: int
    code_sealed: bytes | None = field(repr=False)
    note_sealed: bytes | None = field(repr=False)
    created_at: datetime


def insert(tx: TenantTx, tenant: UUID, environment: str, row: TransformRow) -> None:
    """Insert a transform."""
    tx.execute(
        """INSERT INTO heldtrue.transforms (tenant_id, environment, transform_id, state, current, config_sealed,
             created_at) VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (tenant, environment, row.transform_id, row.state, row.current, row.config_sealed, row.created_at),
    )


def insert_version(tx: TenantTx, tenant: UUID, environment: str, row: VersionRow) -> None:
    """Insert a version."""
    tx.execute(
        """INSERT INTO heldtrue.transform_versions (tenant_id, environment, transform_id, number, language, digest,
             size, code_sealed, note_sealed, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            tenant,
            environment,
            row.transform_id,
            row.number,
            row.language,
            row.digest,
            row.size,
            row.code_sealed,
            row.note_sealed,
            row.created_at,
        ),
    )


def transform(tx: TenantTx, transform_id: UUID) -> TransformRow | None:
    """Return a transform that is not deleted."""
    return tx.one(
        TransformRow,
        """SELECT transform_id, state, current, config_sealed, created_at FROM heldtrue.transforms
           WHERE transform_id = %s AND state = 'active'""",
        (transform_id,),
    )


def lock(tx: TenantTx, transform_id: UUID) -> TransformRow | None:
    """Return a transform that is not deleted, locked until the transaction ends."""
    return tx.one(
        TransformRow,
        """SELECT transform_id, state, current, config_sealed, created_at FROM heldtrue.transforms
           WHERE transform_id = %s AND state = 'active' FOR UPDATE""",
        (transform_id,),
    )


def share(tx: TenantTx, transform_id: UUID) -> TransformRow | None:
    """Return a transform that is not deleted, locked against its deletion."""
    return tx.one(
        TransformRow,
        """SELECT transform_id, state, current, config_sealed, created_at FROM heldtrue.transforms
           WHERE transform_id = %s AND state = 'active' FOR SHARE""",
        (transform_id,),
    )


def transforms(tx: TenantTx, after: UUID | None, limit: int) -> list[TransformRow]:
    """Return transforms that are not deleted, newest first."""
    return tx.many(
        TransformRow,
        """SELECT transform_id, state, current, config_sealed, created_at FROM heldtrue.transforms
           WHERE state = 'active' AND (%s::uuid IS NULL OR transform_id < %s)
           ORDER BY transform_id DESC LIMIT %s""",
        (after, after, limit),
    )


def version(tx: TenantTx, transform_id: UUID, number: int) -> VersionRow | None:
    """Return a version whose code is not forgotten."""
    return tx.one(
        VersionRow,
        """SELECT transform_id, number, language, digest, size, code_sealed, note_sealed, created_at
           FROM heldtrue.transform_versions
           WHERE transform_id = %s AND number = %s AND code_sealed IS NOT NULL""",
        (transform_id, number),
    )


def newest(tx: TenantTx, transform_id: UUID) -> int:
    """Return the highest number of a transform's versions."""
    return tx.value("SELECT max(number) FROM heldtrue.transform_versions WHERE transform_id = %s", (transform_id,))


def versions(tx: TenantTx, transform_id: UUID, below: int | None, limit: int) -> list[VersionRow]:
    """Return versions, newest first."""
    return tx.many(
        VersionRow,
        """SELECT transform_id, number, language, digest, size, code_sealed, note_sealed, created_at
           FROM heldtrue.transform_versions WHERE transform_id = %s AND (%s::int IS NULL OR number < %s)
           ORDER BY number DESC LIMIT %s""",
        (transform_id, below, below, limit),
    )


def set_current(tx: TenantTx, transform_id: UUID, number: int) -> None:
    """Make a version the one that runs."""
    tx.execute("UPDATE heldtrue.transforms SET current = %s WHERE transform_id = %s", (number, transform_id))


def delete(tx: TenantTx, transform_id: UUID) -> None:
    """Mark a transform deleted and forget its name and all its code."""
    tx.execute(
        "UPDATE heldtrue.transforms SET state = 'deleted', config_sealed = '' WHERE transform_id = %s", (transform_id,)
    )
    tx.execute(
        "UPDATE heldtrue.transform_versions SET code_sealed = NULL, note_sealed = NULL WHERE transform_id = %s",
        (transform_id,),
    )
