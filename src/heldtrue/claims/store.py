"""Claims in SQL: schedules, runs and results; all append-only, all derivable from the log.

What is asked here counts where its entry is in the present log or waits for it: readers see no log before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from heldtrue.db.tx import SystemTx
from heldtrue.kernel.ids import LeafId


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry of the log that is in clear."""

    generation: int
    index: int
    entry: bytes = field(repr=False)


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
class NumberRow:
    """A run by its number, and the entry that holds its evidence."""

    number: int
    leaf_id: UUID


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """What was remembered of all results at one time."""

    leaf_id: UUID
    generation: int
    size: int
    content: bytes = field(repr=False)


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
    generation: int = 1


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
    """Return the latest time that anything was logged of *attack*: of its newest runs, whose times never go back."""
    return tx.value(
        "SELECT max(moment) FROM (SELECT greatest(r.started_at, s.finished_at) AS moment"
        " FROM heldtrue.attack_runs r LEFT JOIN heldtrue.attack_results s USING (attack, number)"
        " WHERE r.attack = %s ORDER BY r.number DESC LIMIT 64) AS newest",
        (attack,),
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


def open_runs(tx: SystemTx, newest: int = 1000) -> list[OpenRow]:
    """Return the runs that have no result, among the *newest* of each attack: the others were concluded long ago."""
    return tx.many(
        OpenRow,
        """WITH RECURSIVE named AS (
             (SELECT attack FROM heldtrue.attack_runs ORDER BY attack LIMIT 1)
             UNION ALL
             SELECT (SELECT r.attack FROM heldtrue.attack_runs r WHERE r.attack > n.attack ORDER BY r.attack LIMIT 1)
             FROM named n WHERE n.attack IS NOT NULL)
           SELECT r.attack, r.number, r.place, r.against, r.started_at FROM named n,
           LATERAL (SELECT * FROM heldtrue.attack_runs w WHERE w.attack = n.attack
                    ORDER BY w.number DESC LIMIT %s) AS r
           WHERE NOT EXISTS (SELECT FROM heldtrue.attack_results s WHERE s.attack = r.attack AND s.number = r.number)
           ORDER BY r.attack, r.number""",
        (newest,),
    )


def last_starts(tx: SystemTx, attacks: Sequence[str]) -> list[StartRow]:
    """Return when each of *attacks* was last aimed at its control, by the present log."""
    return tx.many(
        StartRow,
        "SELECT a.attack, last.started_at FROM unnest(%s::text[]) AS a(attack), LATERAL"
        " (SELECT r.started_at FROM heldtrue.attack_runs r WHERE r.attack = a.attack AND r.against = 'control'"
        " AND NOT EXISTS (SELECT FROM heldtrue.log_entries e WHERE e.leaf_id = r.leaf_id HAVING"
        " max(e.generation) < (SELECT max(generation) FROM heldtrue.log_origins))"
        " ORDER BY r.number DESC LIMIT 1) AS last",
        (list(attacks),),
    )


def seen_broken(tx: SystemTx, attack: str, source_sha256: str, release: str) -> bool:
    """Whether the present log has *attack*, with that source, succeed against a broken control by this *release*.

    *release*: how evidence names its executor, up to the version.
    """
    return (
        tx.value(
            "SELECT true FROM heldtrue.attack_results r WHERE attack = %s AND outcome <> 'held' AND outcome = 'broken'"
            " AND evidence->>'against' = 'broken-control' AND evidence->'method'->>'source_sha256' = %s"
            " AND starts_with(evidence->>'executor', %s)"
            " AND NOT EXISTS (SELECT FROM heldtrue.log_entries e WHERE e.leaf_id = r.leaf_id HAVING"
            " max(e.generation) < (SELECT max(generation) FROM heldtrue.log_origins)) ORDER BY number DESC LIMIT 1",
            (attack, source_sha256, release),
        )
        or False
    )


def newest_schedules(tx: SystemTx) -> list[ScheduleRow]:
    """Return the newest schedule of each claim that the present log has, or is about to have."""
    return tx.many(
        ScheduleRow,
        "SELECT DISTINCT ON (claim) claim, schedule FROM heldtrue.claim_schedules r WHERE"
        " NOT EXISTS (SELECT FROM heldtrue.log_entries e WHERE e.leaf_id = r.leaf_id HAVING"
        " max(e.generation) < (SELECT max(generation) FROM heldtrue.log_origins))"
        " ORDER BY claim, published_at DESC, leaf_id DESC",
    )


def insert_schedule(tx: SystemTx, claim: str, leaf: LeafId, schedule: Mapping[str, Any], at: datetime) -> None:
    """Keep a schedule."""
    tx.execute(
        "INSERT INTO heldtrue.claim_schedules (claim, leaf_id, schedule, published_at) VALUES (%s, %s, %s, %s)",
        (claim, leaf.value, Jsonb(dict(schedule)), at),
    )


def clear_entries(tx: SystemTx, after: Position, size: int, limit: int) -> list[EntryRow]:
    """Return entries in clear behind *after* and below *size* of the present log, in its order."""
    return tx.many(
        EntryRow,
        "SELECT e.generation, e.index, e.entry FROM heldtrue.log_entries e"
        " WHERE substring(e.entry FROM 1 FOR 6) <> '\\x7b2263223a22'::bytea AND (e.generation, e.index) > (%s, %s)"
        " AND e.index < CASE WHEN e.generation = (SELECT max(generation) FROM heldtrue.log_origins) THEN %s ELSE"
        " (SELECT max(c.size) FROM heldtrue.log_checkpoints c WHERE c.generation = e.generation) END"
        " ORDER BY e.generation, e.index LIMIT %s",
        (*after, size, limit),
    )


def count_entries(tx: SystemTx, generation: int, low: int, high: int) -> int:
    """Return how many entries have an index in [low, high)."""
    return tx.value(
        "SELECT count(*) FROM heldtrue.log_entries WHERE generation = %s AND index >= %s AND index < %s",
        (generation, low, high),
    )


def indices(tx: SystemTx, generation: int, low: int, high: int) -> set[int]:
    """Return the indices in [low, high) that are there."""
    found = tx.value(
        "SELECT array_agg(index) FROM heldtrue.log_entries WHERE generation = %s AND index >= %s AND index < %s",
        (generation, low, high),
    )
    return set(found or ())


def entries_at(tx: SystemTx, generation: int, at: Sequence[int]) -> list[EntryRow]:
    """Return the entries at these indices, in the order of the log."""
    return tx.many(
        EntryRow,
        "SELECT generation, index, entry FROM heldtrue.log_entries WHERE generation = %s AND index = ANY(%s)"
        " ORDER BY index",
        (generation, list(at)),
    )


def entry_of(tx: SystemTx, leaf: UUID) -> EntryRow | None:
    """Return where in the log the entry of a leaf is."""
    return tx.one(
        EntryRow,
        "SELECT generation, index, entry FROM heldtrue.log_entries WHERE leaf_id = %s ORDER BY generation DESC LIMIT 1",
        (leaf,),
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
        "SELECT o.origin, c.size, c.root, c.note, c.signed_at, c.generation FROM heldtrue.log_checkpoints c"
        " JOIN heldtrue.log_origins o USING (generation) ORDER BY c.generation DESC, c.size DESC LIMIT 1",
    )


def summaries(tx: SystemTx) -> list[SummaryRow]:
    """Return the summaries that there are, the newest first."""
    return tx.many(
        SummaryRow,
        "SELECT leaf_id, generation, size, content FROM heldtrue.claim_summaries ORDER BY made_at DESC, leaf_id DESC",
    )


def keep_summary(tx: SystemTx, leaf: LeafId, at: Position, content: bytes, now: datetime) -> None:
    """Keep a summary, and the one before it until this one is in the log."""
    tx.execute(
        "DELETE FROM heldtrue.claim_summaries WHERE leaf_id NOT IN"
        " (SELECT leaf_id FROM heldtrue.claim_summaries ORDER BY made_at DESC, leaf_id DESC LIMIT 1)"
    )
    tx.execute(
        "INSERT INTO heldtrue.claim_summaries (leaf_id, generation, size, content, made_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        (leaf.value, *at, content, now),
    )
