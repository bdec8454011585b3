"""Customers' questionnaires in SQL, sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.db.tx import SystemTx


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `heldtrue.questionnaires` without its file."""

    questionnaire_id: UUID
    work_sealed: bytes = field(repr=False)
    created_at: datetime


def insert(tx: SystemTx, questionnaire: UUID, file_sealed: bytes, work_sealed: bytes, now: datetime) -> None:
    """Add a questionnaire."""
    tx.execute(
        """INSERT INTO heldtrue.questionnaires (questionnaire_id, file_sealed, work_sealed, created_at, changed_at)
           VALUES (%s, %s, %s, %s, %s)""",
        [questionnaire, file_sealed, work_sealed, now, now],
    )


def get(tx: SystemTx, questionnaire: UUID) -> Row | None:
    """Return one, and let nobody else change it until the transaction ends."""
    return tx.one(
        Row,
        "SELECT questionnaire_id, work_sealed, created_at FROM heldtrue.questionnaires WHERE questionnaire_id = %s"
        " FOR UPDATE",
        [questionnaire],
    )


def newest(tx: SystemTx, limit: int) -> list[Row]:
    """Return the newest."""
    return tx.many(
        Row,
        "SELECT questionnaire_id, work_sealed, created_at FROM heldtrue.questionnaires"
        " ORDER BY questionnaire_id DESC LIMIT %s",
        [limit],
    )


def file(tx: SystemTx, questionnaire: UUID) -> bytes | None:
    """Return the sealed file."""
    return tx.value("SELECT file_sealed FROM heldtrue.questionnaires WHERE questionnaire_id = %s", [questionnaire])


def save(tx: SystemTx, questionnaire: UUID, work_sealed: bytes, now: datetime) -> None:
    """Keep what was done."""
    tx.execute(
        "UPDATE heldtrue.questionnaires SET work_sealed = %s, changed_at = %s WHERE questionnaire_id = %s",
        [work_sealed, now, questionnaire],
    )


def delete(tx: SystemTx, questionnaire: UUID) -> bool:
    """Remove a questionnaire; what was confirmed stays remembered."""
    return tx.execute("DELETE FROM heldtrue.questionnaires WHERE questionnaire_id = %s", [questionnaire]) == 1
