"""Cosignatures in SQL: the first of each witness over each size, and where each witness stands now.

A cosignature is kept before it is published. A crash between leaves a row, which the next publication of its size
carries; a crash before it leaves a witness that has seen more than we know, and says so with its next answer (409).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from heldtrue.capabilities.ledger import store
from heldtrue.capabilities.ledger.store import CheckpointRow
from heldtrue.db.tx import SystemTx, TenantTx

NEAR = 20
"""Of so many cosigned checkpoints behind an entry, the one with most witnesses is its proof's."""


@dataclass(frozen=True, slots=True)
class StandingRow:
    """Where a witness stands; fields are columns of `log_witnesses`."""

    generation: int
    vkey: str
    seen: int
    size: int | None
    line: str | None
    cosigned_at: datetime | None
    asked_at: datetime
    failing_since: datetime | None
    trouble: str


@dataclass(frozen=True, slots=True)
class _Line:
    line: str


def standings(tx: SystemTx, generation: int) -> dict[str, StandingRow]:
    """Return where the witnesses of a generation stand, by verifier key."""
    rows = tx.many(
        StandingRow,
        """SELECT generation, vkey, seen, size, line, cosigned_at, asked_at, failing_since, trouble
           FROM heldtrue.log_witnesses WHERE generation = %s""",
        [generation],
    )
    return {row.vkey: row for row in rows}


def put(tx: SystemTx, row: StandingRow) -> None:
    """Keep where a witness stands, in place of what was known."""
    tx.execute(
        """INSERT INTO heldtrue.log_witnesses
           (generation, vkey, seen, size, line, cosigned_at, asked_at, failing_since, trouble)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (generation, vkey) DO UPDATE
           SET (seen, size, line, cosigned_at, asked_at, failing_since, trouble)
           = (EXCLUDED.seen, EXCLUDED.size, EXCLUDED.line, EXCLUDED.cosigned_at, EXCLUDED.asked_at,
              EXCLUDED.failing_since, EXCLUDED.trouble)""",
        [
            row.generation, row.vkey, row.seen, row.size, row.line, row.cosigned_at, row.asked_at, row.failing_since,
            row.trouble,
        ],
    )  # fmt: skip


def keep(tx: SystemTx, generation: int, size: int, vkey: str, line: str, at: datetime) -> None:
    """Keep a cosignature; the first of its witness over its size stays, because it dates the tree best."""
    tx.execute(
        """INSERT INTO heldtrue.log_cosignatures (generation, size, vkey, line, cosigned_at) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (generation, size, vkey) DO NOTHING""",
        [generation, size, vkey, line, at],
    )


def newest_lines(tx: SystemTx, generation: int, size: int) -> list[str]:
    """Return the newest cosignature of each witness over *size*, as signature lines."""
    rows = tx.many(
        _Line,
        """SELECT coalesce(w.line, c.line) AS line FROM heldtrue.log_cosignatures c
           LEFT JOIN heldtrue.log_witnesses w USING (generation, size, vkey)
           WHERE generation = %s AND size = %s ORDER BY vkey""",
        [generation, size],
    )
    return [row.line for row in rows]


def covering(tx: TenantTx | SystemTx, generation: int, index: int) -> CheckpointRow | None:
    """Return the checkpoint that dates the entry at *index*, with the cosignatures that are over it.

    It is an early one that witnesses cosigned, where they did within a week; else the earliest of all.
    """
    return tx.one(
        CheckpointRow,
        """SELECT c.generation, c.size, c.root, c.note || w.lines AS note, c.signed_at
           FROM (SELECT size, string_agg(line, '' ORDER BY vkey) AS lines, count(*) AS many
                 FROM heldtrue.log_cosignatures WHERE generation = %s AND size > %s
                 GROUP BY size ORDER BY size LIMIT %s) w
           JOIN heldtrue.log_checkpoints c ON c.generation = %s AND c.size = w.size
           WHERE c.signed_at < (SELECT signed_at + interval '7 days' FROM heldtrue.log_checkpoints
                                WHERE generation = %s AND size > %s ORDER BY size LIMIT 1)
           ORDER BY w.many DESC, c.size LIMIT 1""",
        [generation, index, NEAR, generation, generation, index],
    ) or store.first_covering(tx, generation, index)


def newest_note(tx: SystemTx, row: StandingRow) -> str | None:
    """Return the newest checkpoint that a witness cosigned: the log's own signatures first, then the witnesses'."""
    if row.size is None:
        return None
    note: str | None = tx.value(
        "SELECT note FROM heldtrue.log_checkpoints WHERE generation = %s AND size = %s", [row.generation, row.size]
    )
    return None if note is None else dressed(note, newest_lines(tx, row.generation, row.size))


def dressed(note: str, lines: Sequence[str]) -> str:
    """Return a signed checkpoint with signature lines of witnesses behind the log's own."""
    return note + "".join(lines)
