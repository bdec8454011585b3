"""Recorded probes in SQL: append-only, and in the log as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from heldtrue.db.tx import SystemTx
from heldtrue.kernel.ids import LeafId


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One recorded probe."""

    leaf_id: UUID
    evidence: dict[str, Any]
    recorded_at: datetime


def insert(tx: SystemTx, leaf: LeafId, evidence: Mapping[str, Any], at: datetime) -> None:
    """Keep a recorded probe."""
    tx.execute(
        "INSERT INTO heldtrue.probes (leaf_id, evidence, recorded_at) VALUES (%s, %s, %s)",
        (leaf.value, Jsonb(dict(evidence)), at),
    )


def page(tx: SystemTx, after: UUID | None, limit: int) -> list[ProbeRow]:
    """Return recorded probes older than *after*, the newest first."""
    return tx.many(
        ProbeRow,
        "SELECT leaf_id, evidence, recorded_at FROM heldtrue.probes"
        " WHERE %s::uuid IS NULL OR leaf_id < %s ORDER BY leaf_id DESC LIMIT %s",
        (after, after, limit),
    )
