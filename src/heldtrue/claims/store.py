"""Claims in SQL: schedules, runs and results; all append-only, all derivable from the log."""

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
class ResultRow:
    """A result whose evidence is in the log."""

    generation: int
    index: int
    evidence: dict[str, Any]


Position = tuple[int, int]
"""Generation and index of an entry of the log."""
START: Position = (-1, -1)


@dataclass(frozen=True, slots=True)
class OpenRow:
    """A run without a result."""

    attack: str
    number: int
    place: str
    against: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One evidence document and the entry that holds it."""

    leaf_id: UUID
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """The newest schedule that was published for a claim."""

    claim: str
    schedule: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StartRow:
    """When an attack was last tried against a control, and with which number."""

    attack: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The newest signed checkpoint."""

    origin: str
    size: int
    root: bytes
    note: str
    signed_at: datetime


def lock_attack(tx: SystemTx, attack: str) -> None:
    """Keep others from numbering runs of *attack* until the transaction ends."""
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('heldtrue.attack ' || %s, 0))", (attack,))


def next_number(tx: SystemTx, attack: str) -> int:
    """Return the number of the next run of *attack*."""
    return tx.value("SELECT coalesce(max(number), 0) + 1 FROM heldtrue.attack_runs WHERE attack = %s", (attack,))


def insert_run(
    tx: SystemTx, attack: str, number: int, place: str, against: str, leaf: LeafId, started_at: datetime
) -> None:
    """Keep an intent."""
    tx.execute(
        "INSERT INTO heldtrue.attack_runs (attack, number, place, against, leaf_id, started_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (attack, number, place, against, leaf.value, started_at),
    )


def last_moment(tx: SystemTx, attack: str) -> datetime | None:
    """Return the latest time that anything was logged of *attack*."""
    return tx.value(
        "SELECT greatest((SELECT max(started_at) FROM heldtrue.attack_runs WHERE attack = %s),"
        " (SELECT max(finished_at) FROM heldtrue.attack_results WHERE attack = %s))",
        (attack, attack),
    )


def has_result(tx: SystemTx, attack: str, number: int) -> bool:
    """Whether a result of that run is kept already."""
    return (
        tx.value("SELECT true FROM heldtrue.attack_results WHERE attack = %s AND number = %s", (attack, number))
        or False
    )


def insert_result(
    tx: SystemTx, attack: str, number: int, outcome: str, leaf: LeafId, document: Mapping[str, Any], at: datetime
) -> None:
    """Keep a result."""
    tx.execute(
        "INSERT INTO heldtrue.attack_results (attack, number, outcome, leaf_id, evidence, finished_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (attack, number, outcome, leaf.value, Jsonb(dict(document)), at),
    )


def open_runs(tx: SystemTx) -> list[OpenRow]:
    """Return the runs that have no result."""
    return tx.many(
        OpenRow,
        "SELECT r.attack, r.number, r.place, r.against, r.started_at FROM heldtrue.attack_runs r"
        " LEFT JOIN heldtrue.attack_results s USING (attack, number) WHERE s.attack IS NULL"
        " ORDER BY r.attack, r.number",
    )


def last_starts(tx: SystemTx) -> list[StartRow]:
    """Return when each attack was last aimed at its control."""
    return tx.many(
        StartRow,
        "SELECT attack, max(started_at) AS started_at FROM heldtrue.attack_runs WHERE against = 'control'"
        " GROUP BY attack",
    )


def seen_broken(tx: SystemTx, attack: str, source_sha256: str) -> bool:
    """Whether *attack*, with that source, has been seen to succeed against a broken control."""
    return (
        tx.value(
            "SELECT true FROM heldtrue.attack_results WHERE attack = %s AND outcome = 'broken'"
            " AND evidence->>'against' = 'broken-control' AND evidence->'method'->>'source_sha256' = %s LIMIT 1",
            (attack, source_sha256),
        )
        or False
    )


def newest_schedules(tx: SystemTx) -> list[ScheduleRow]:
    """Return the newest published schedule of each claim."""
    return tx.many(
        ScheduleRow,
        "SELECT DISTINCT ON (claim) claim, schedule FROM heldtrue.claim_schedules"
        " ORDER BY claim, published_at DESC, leaf_id DESC",
    )


def insert_schedule(tx: SystemTx, claim: str, leaf: LeafId, schedule: Mapping[str, Any], at: datetime) -> None:
    """Keep a schedule."""
    tx.execute(
        "INSERT INTO heldtrue.claim_schedules (claim, leaf_id, schedule, published_at) VALUES (%s, %s, %s, %s)",
        (claim, leaf.value, Jsonb(dict(schedule)), at),
    )


def logged_results(tx: SystemTx, after: Position, size: int) -> list[ResultRow]:
    """Return results logged behind *after* and below *size* of the present log, in the order of the log."""
    return tx.many(
        ResultRow,
        "SELECT e.generation, e.index, s.evidence FROM heldtrue.log_entries e"
        " JOIN heldtrue.attack_results s USING (leaf_id)"
        " WHERE (e.generation, e.index) > (%s, %s)"
        " AND (e.index < %s OR e.generation < (SELECT max(generation) FROM heldtrue.log_origins))"
        " ORDER BY e.generation, e.index",
        (*after, size),
    )


def evidence(tx: SystemTx, attack: str, number: int) -> EvidenceRow | None:
    """Return the evidence of one run."""
    return tx.one(
        EvidenceRow,
        "SELECT leaf_id, evidence FROM heldtrue.attack_results WHERE attack = %s AND number = %s",
        (attack, number),
    )


def head(tx: SystemTx) -> HeadRow | None:
    """Return the newest signed checkpoint of the present log."""
    return tx.one(
        HeadRow,
        "SELECT o.origin, c.size, c.root, c.note, c.signed_at FROM heldtrue.log_checkpoints c"
        " JOIN heldtrue.log_origins o USING (generation) ORDER BY c.generation DESC, c.size DESC LIMIT 1",
    )
