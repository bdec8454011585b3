"""What is remembered of all results, kept in one row, so that a start reads what is new and not years.

A summary is derived from the log and nothing else: `derive` makes the same bytes again. The log holds its digest, and
one whose digest the log does not hold is not believed.
"""

from __future__ import annotations

import hashlib
import zlib
from array import array
from datetime import datetime

import msgspec

from heldtrue.capabilities.attestations.model import Annotation, Document
from heldtrue.capabilities.ledger.actions import append_clear
from heldtrue.capabilities.ledger.model import Kind, instant, parse_entry
from heldtrue.claims import store
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.folding import Memory
from heldtrue.claims.model import Against, Episode, Run, State
from heldtrue.claims.reading import Reader
from heldtrue.claims.record import Days, Record
from heldtrue.claims.store import HeadRow, Position
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.ids import Entropy, LeafId

VERSION = 1


class _Record(msgspec.Struct, array_like=True):
    claim: str
    attack: str
    latest: Run | None
    seen_broken: list[Run]
    held_count: int
    control_count: int
    held_since: datetime | None
    held_in_a_row: int
    first_day: int
    days: bytes
    episodes: list[tuple[State, datetime, datetime | None, int | None, str]]
    episode_count: int
    recent: list[int]
    last_number: int
    announced: list[tuple[int, Against, datetime]]
    gap: int | None


class _Content(msgspec.Struct, array_like=True):
    version: int
    catalogue: str
    generation: int
    size: int
    successor: bool
    records: list[_Record]
    papers: dict[str, Document | None]
    notes: dict[str, list[Annotation]]
    problems: list[str]


class Restored(Memory):
    """A memory out of a summary, and what of the log it covers."""

    size: int = 0


def fingerprint(catalogue: Catalogue) -> str:
    """Return the digest of what decides how results are remembered: attacks and ages of every claim."""
    lines = "".join(
        f"{claim.id} {name} {claim.max_age.total_seconds()} {claim.cadence.total_seconds()}\n"
        for claim in catalogue.claims
        for name in claim.attacks
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def content_of(memory: Memory, generation: int, size: int) -> bytes:
    """Return what *memory* remembers, in one spelling."""
    records = [
        _pack(claim, record)
        for claim, known in sorted(memory.records.items())
        for _, record in sorted(known.items())
        if record.last_number or record.control_count or record.seen_broken
    ]
    content = _Content(
        version=VERSION,
        catalogue=fingerprint(memory.catalogue),
        generation=generation,
        size=size,
        successor=memory.successor,
        records=records,
        papers=dict(sorted(memory.papers.items())),
        notes=dict(sorted(memory.notes.items())),
        problems=memory.problems,
    )
    return msgspec.msgpack.encode(content)


def keep(tx: SystemTx, memory: Memory, at: Position, now: datetime, entropy: Entropy) -> LeafId:
    """Keep a summary of what *memory* knows at generation and size *at*; it counts once the log has its digest."""
    content = content_of(memory, *at)
    entry = {
        "v": 1,
        "kind": str(Kind.SUMMARY),
        "generation": at[0],
        "size": at[1],
        "content_sha256": hashlib.sha256(content).hexdigest(),
        "at": instant(now),
    }
    leaf = append_clear(tx, Kind.SUMMARY, entry, now, entropy)
    store.keep_summary(tx, leaf, at, zlib.compress(content, 1), now)
    return leaf


def newest(tx: SystemTx, catalogue: Catalogue, reader: Reader, head: HeadRow) -> Restored | None:
    """Return the newest summary of this catalogue that the published log vouches for; None where there is none."""
    for row in store.summaries(tx):
        entry = store.entry_of(tx, LeafId(row.leaf_id).value)
        if entry is None or entry.generation != head.generation or entry.index >= head.size:
            continue
        said = parse_entry(reader.believed(entry, head.generation, head.size).entry)
        content = zlib.decompress(row.content)
        if said.get("kind") != Kind.SUMMARY or said["content_sha256"] != hashlib.sha256(content).hexdigest():
            reader.problems.append("A summary of results was changed in the database; the log was read instead.")
            continue
        found = msgspec.msgpack.decode(content, type=_Content)
        if (
            found.version == VERSION
            and found.catalogue == fingerprint(catalogue)
            and found.generation == head.generation
            and found.size <= head.size
        ):
            return _unpack(catalogue, found)
    return None


def _pack(claim: str, record: Record) -> _Record:
    return _Record(
        claim=claim,
        attack=record.attack,
        latest=record.latest,
        seen_broken=list(record.seen_broken.values()),
        held_count=record.held_count,
        control_count=record.control_count,
        held_since=record.held_since,
        held_in_a_row=record.held_in_a_row,
        first_day=record.days.first,
        days=bytes(record.days.letters),
        episodes=[(e.kind, e.started_at, e.ended_at, e.number, e.reason) for e in record.episodes],
        episode_count=record.episode_count,
        recent=list(record.recent),
        last_number=record.last_number,
        announced=[(number, *rest) for number, rest in record.announced.items()],
        gap=record.gap,
    )


def _unpack(catalogue: Catalogue, found: _Content) -> Restored:
    memory = Restored(catalogue)
    for one in found.records:
        record = memory.records[one.claim][one.attack]
        record.latest = one.latest
        record.seen_broken = {run.source_sha256: run for run in one.seen_broken}
        record.held_count, record.control_count = one.held_count, one.control_count
        record.held_since, record.held_in_a_row = one.held_since, one.held_in_a_row
        record.days = Days(one.first_day, bytearray(one.days))
        record.episodes = [
            Episode(kind, one.attack, began, ended, number, reason)
            for kind, began, ended, number, reason in one.episodes
        ]
        record.episode_count, record.recent = one.episode_count, array("q", one.recent)
        record.last_number, record.gap = one.last_number, one.gap
        record.announced = {number: (against, at) for number, against, at in one.announced}
    memory.papers, memory.notes, memory.problems = found.papers, found.notes, found.problems
    memory.generation, memory.successor, memory.size = found.generation, found.successor, found.size
    return memory
