"""Register entries in SQL: append-only. Public documents in clear, private ones sealed, in a table of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from heldtrue.db.tx import SystemTx, TenantTx


@dataclass(frozen=True, slots=True)
class Row:
    """One version as stored."""

    register: str
    item: str
    version: int
    document: Any
    """JSON values where the register is public, else the sealed document."""
    withdrawn: str | None
    leaf_id: UUID
    recorded_at: datetime


def lock(tx: SystemTx, register: str) -> None:
    """Wait until nobody else changes *register*, and let nobody else until the transaction ends."""
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('heldtrue.register ' || %s, 0))", (register,))


def insert_public(tx: SystemTx, row: Row, document: Mapping[str, Any]) -> None:
    """Keep a version in clear."""
    tx.execute(
        "INSERT INTO heldtrue.register_entries (register, item, version, document, withdrawn, leaf_id, recorded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (row.register, row.item, row.version, Jsonb(dict(document)), row.withdrawn, row.leaf_id, row.recorded_at),
    )


def insert_private(tx: SystemTx, row: Row, sealed: bytes) -> None:
    """Keep a sealed version."""
    tx.execute(
        "INSERT INTO heldtrue.register_sealed"
        " (register, item, version, document_sealed, withdrawn, leaf_id, recorded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (row.register, row.item, row.version, sealed, row.withdrawn, row.leaf_id, row.recorded_at),
    )


def newest(tx: SystemTx | TenantTx, register: str, at: datetime | None, *, public: bool) -> list[Row]:
    """Return the highest version of each item that was recorded by *at*, by name; withdrawn ones too."""
    if public:
        return tx.many(
            Row,
            """SELECT DISTINCT ON (item) register, item, version, document, withdrawn, leaf_id, recorded_at
               FROM heldtrue.register_entries
               WHERE register = %s AND (%s::timestamptz IS NULL OR recorded_at <= %s)
               ORDER BY item, version DESC""",
            (register, at, at),
        )
    return tx.many(
        Row,
        """SELECT DISTINCT ON (item) register, item, version, document_sealed AS document, withdrawn, leaf_id,
             recorded_at
           FROM heldtrue.register_sealed
           WHERE register = %s AND (%s::timestamptz IS NULL OR recorded_at <= %s)
           ORDER BY item, version DESC""",
        (register, at, at),
    )


def versions(tx: SystemTx | TenantTx, register: str, item: str | None, *, public: bool) -> list[Row]:
    """Return every version of *item*, or of all items, the oldest first."""
    if public:
        return tx.many(
            Row,
            """SELECT register, item, version, document, withdrawn, leaf_id, recorded_at
               FROM heldtrue.register_entries
               WHERE register = %s AND (%s::text IS NULL OR item = %s) ORDER BY recorded_at, item, version""",
            (register, item, item),
        )
    return tx.many(
        Row,
        """SELECT register, item, version, document_sealed AS document, withdrawn, leaf_id, recorded_at
           FROM heldtrue.register_sealed
           WHERE register = %s AND (%s::text IS NULL OR item = %s) ORDER BY recorded_at, item, version""",
        (register, item, item),
    )


def opened_at(tx: SystemTx | TenantTx, register: str, *, public: bool) -> datetime | None:
    """Return when the register got its first entry."""
    if public:
        return tx.value("SELECT min(recorded_at) FROM heldtrue.register_entries WHERE register = %s", (register,))
    return tx.value("SELECT min(recorded_at) FROM heldtrue.register_sealed WHERE register = %s", (register,))
