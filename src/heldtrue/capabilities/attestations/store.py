"""Attestations and annotations in SQL; append-only, and in the log as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from heldtrue.db.tx import SystemTx
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import LeafId


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry as logged."""

    leaf_id: UUID
    document: dict[str, Any]
    recorded_at: datetime


def insert_attestation(tx: SystemTx, claim: str, leaf: LeafId, document: Mapping[str, Any], at: datetime) -> None:
    """Keep a document that stands behind a claim."""
    tx.execute(
        "INSERT INTO heldtrue.attestations (claim, leaf_id, document, recorded_at) VALUES (%s, %s, %s, %s)",
        (claim, leaf.value, Jsonb(dict(document)), at),
    )


def newest(tx: SystemTx, claim: str) -> EntryRow | None:
    """Return the newest entry about a claim's document."""
    return tx.one(
        EntryRow,
        "SELECT leaf_id, document, recorded_at FROM heldtrue.attestations WHERE claim = %s"
        " ORDER BY leaf_id DESC LIMIT 1",
        (claim,),
    )


def attestations(tx: SystemTx, after: UUID | None, limit: int) -> list[EntryRow]:
    """Return attestations older than *after*, the newest first."""
    return tx.many(
        EntryRow,
        "SELECT leaf_id, document, recorded_at FROM heldtrue.attestations"
        " WHERE %s::uuid IS NULL OR leaf_id < %s ORDER BY leaf_id DESC LIMIT %s",
        (after, after, limit),
    )


def insert_annotation(tx: SystemTx, attack: str, leaf: LeafId, document: Mapping[str, Any], at: datetime) -> None:
    """Keep what was said of a failure."""
    tx.execute(
        "INSERT INTO heldtrue.annotations (leaf_id, attack, document, recorded_at) VALUES (%s, %s, %s, %s)",
        (leaf.value, attack, Jsonb(dict(document)), at),
    )


def notes(tx: SystemTx, after: UUID | None, limit: int) -> list[EntryRow]:
    """Return annotations older than *after*, the newest first."""
    return tx.many(
        EntryRow,
        "SELECT leaf_id, document, recorded_at FROM heldtrue.annotations"
        " WHERE %s::uuid IS NULL OR leaf_id < %s ORDER BY leaf_id DESC LIMIT %s",
        (after, after, limit),
    )


def entry(tx: SystemTx, leaf: LeafId) -> EntryRow:
    """Return what was just recorded under *leaf*."""
    row = tx.one(
        EntryRow,
        "SELECT leaf_id, document, recorded_at FROM heldtrue.attestations WHERE leaf_id = %s"
        " UNION ALL SELECT leaf_id, document, recorded_at FROM heldtrue.annotations WHERE leaf_id = %s",
        (leaf.value, leaf.value),
    )
    if row is None:
        raise NotFoundError(f"nothing was recorded as {leaf}")
    return row
