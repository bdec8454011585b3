"""The ledger's rows: documents of organisations, entries waiting, and the log with its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.ledger.tiles import HASH, WIDTH, LoadTile, TileNodes
from heldtrue.db.columns import Insert
from heldtrue.db.tx import SystemTx, TenantTx
from heldtrue.kernel.ids import CryptoKeyId, LeafId, TenantId

LOCK = 0x48544C4F47  # "HTLOG"
"""The advisory lock of whoever gives out indices and signs."""


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as stored; fields are columns of `ledger_documents`."""

    leaf_id: UUID
    kind: str
    event: str
    object_key_id: UUID | None
    sealed: bytes | None = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """One generation of the log: its name, and the key that signs under it."""

    generation: int
    origin: str
    key_id: UUID
    public: bytes
    opened_at: datetime
    size: int
    """How many entries have their index."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is in the log."""

    generation: int
    index: int
    entry: bytes


@dataclass(frozen=True, slots=True)
class Indexed:
    """An entry, its index, and the hashes of the full tiles that it completes."""

    index: int
    entry: bytes
    subtrees: bytes | None


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A checkpoint as it was first signed; fields are columns of `log_checkpoints`."""

    generation: int
    size: int
    root: bytes
    note: str
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry and its leaf id."""

    leaf_id: UUID
    entry: bytes


# ---------------------------------------------------------------- what operations append


PENDING = Insert(
    """INSERT INTO heldtrue.log_pending (leaf_id, entry, created_at)
       SELECT * FROM unnest(%b::uuid[], %b::bytea[], %b::timestamptz[])""",
    ("uuid", "bytea", "timestamptz"),
)


def add_pending(tx: TenantTx | SystemTx, leaf: LeafId, entry: bytes, now: datetime) -> None:
    """Let *entry* wait for its index."""
    tx.insert(
        PENDING,
        [(leaf.value, entry, now)],
    )


DOCUMENTS = Insert(
    """INSERT INTO heldtrue.ledger_documents
       (tenant_id, environment, leaf_id, kind, event, object_key_id, sealed, created_at)
       SELECT * FROM unnest(%b::uuid[], %b::text[], %b::uuid[], %b::text[], %b::text[], %b::uuid[], %b::bytea[],
       %b::timestamptz[])""",
    ("uuid", "text", "uuid", "text", "text", "uuid", "bytea", "timestamptz"),
)


def add_document(
    tx: TenantTx | SystemTx,
    tenant: TenantId,
    environment: str,
    leaf: LeafId,
    kind: str,
    event: str,
    object_key: CryptoKeyId | None,
    sealed: bytes,
    now: datetime,
) -> None:
    """Keep the sealed document that the entry *leaf* commits to."""
    tx.insert(
        DOCUMENTS,
        [(tenant.value, environment, leaf.value, str(kind), event, object_key and object_key.value, sealed, now)],
    )


def add_documents(
    tx: SystemTx,
    kind: str,
    event: str,
    rows: Sequence[tuple[TenantId, str, LeafId, bytes, bytes]],
    now: datetime,
) -> None:
    """Keep documents and let their entries wait, in one round trip: organisation, environment, leaf, sealed, entry."""
    leaves = [leaf.value for _, _, leaf, _, _ in rows]
    tx.execute(
        """WITH kept AS (
             INSERT INTO heldtrue.ledger_documents (tenant_id, environment, leaf_id, kind, event, sealed, created_at)
             SELECT d.tenant_id, d.environment, d.leaf_id, %s, %s, d.sealed, %s
             FROM unnest(%b::uuid[], %s::text[], %b::uuid[], %b::bytea[])
               AS d (tenant_id, environment, leaf_id, sealed))
           INSERT INTO heldtrue.log_pending (leaf_id, entry, created_at)
           SELECT p.leaf_id, p.entry, %s FROM unnest(%b::uuid[], %b::bytea[]) AS p (leaf_id, entry)""",
        [
            kind, event, now,
            [tenant.value for tenant, _, _, _, _ in rows], [environment for _, environment, _, _, _ in rows], leaves,
            [sealed for _, _, _, sealed, _ in rows],
            now, leaves, [entry for _, _, _, _, entry in rows],
        ],
    )  # fmt: skip


def add_many(
    tx: TenantTx,
    tenant: TenantId,
    environment: str,
    rows: Sequence[tuple[LeafId, str, str, CryptoKeyId | None, bytes, bytes]],
    now: datetime,
) -> None:
    """Keep documents of one organisation and let their entries wait, in one round trip.

    Of each row: leaf, kind, event, object key, sealed document, entry.
    """
    leaves = [leaf.value for leaf, *_ in rows]
    tx.execute(
        """WITH kept AS (
             INSERT INTO heldtrue.ledger_documents (tenant_id, environment, leaf_id, kind, event, object_key_id, sealed,
               created_at)
             SELECT %s, %s, d.leaf_id, d.kind, d.event, d.object_key_id, d.sealed, %s
             FROM unnest(%b::uuid[], %s::text[], %s::text[], %s::uuid[], %b::bytea[])
               AS d (leaf_id, kind, event, object_key_id, sealed))
           INSERT INTO heldtrue.log_pending (leaf_id, entry, created_at)
           SELECT p.leaf_id, p.entry, %s FROM unnest(%b::uuid[], %b::bytea[]) AS p (leaf_id, entry)""",
        [
            tenant.value, environment, now, leaves, [kind for _, kind, *_ in rows], [event for _, _, event, *_ in rows],
            [key and key.value for _, _, _, key, *_ in rows], [sealed for *_, sealed, _ in rows],
            now, leaves, [entry for *_, entry in rows],
        ],
    )  # fmt: skip


def document(tx: TenantTx, leaf: LeafId) -> DocumentRow | None:
    """Return the document of the caller's organisation that *leaf* commits to."""
    return tx.one(
        DocumentRow,
        """SELECT leaf_id, kind, event, object_key_id, sealed, created_at FROM heldtrue.ledger_documents
           WHERE leaf_id = %s""",
        [leaf.value],
    )


def documents(tx: TenantTx, kind: str, event: str | None, before: UUID | None, limit: int) -> list[DocumentRow]:
    """Return documents of the caller's organisation, newest first, older than *before*."""
    return tx.many(
        DocumentRow,
        """SELECT leaf_id, kind, event, object_key_id, sealed, created_at FROM heldtrue.ledger_documents
           WHERE kind = %s AND (%s::text IS NULL OR event = %s) AND (%s::uuid IS NULL OR leaf_id < %s)
           ORDER BY leaf_id DESC LIMIT %s""",
        [kind, event, event, before, before, limit],
    )


def erase(tx: TenantTx, leaf: LeafId) -> int:
    """Forget a document; its commitment stays in the log."""
    return tx.execute("UPDATE heldtrue.ledger_documents SET sealed = NULL WHERE leaf_id = %s", [leaf.value])


# ---------------------------------------------------------------- the log


def lock(tx: SystemTx) -> None:
    """Wait to be the only one that gives out indices or signs, until this transaction ends."""
    tx.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def origins(tx: TenantTx | SystemTx) -> list[Origin]:
    """Return all generations, oldest first."""
    return tx.many(
        Origin,
        """SELECT o.generation, o.origin, o.key_id, k.public, o.opened_at,
           (SELECT coalesce(max(e.index) + 1, 0) FROM heldtrue.log_entries e WHERE e.generation = o.generation) AS size
           FROM heldtrue.log_origins o JOIN keystore.signing_keys k USING (key_id) ORDER BY o.generation""",
    )


def add_origin(tx: SystemTx, generation: int, origin: str, key: CryptoKeyId, now: datetime) -> None:
    """Open a generation."""
    tx.execute(
        "INSERT INTO heldtrue.log_origins (generation, origin, key_id, opened_at) VALUES (%s, %s, %s, %s)",
        [generation, origin, key.value, now],
    )


def any_pending(tx: SystemTx) -> bool:
    """Return whether an entry waits."""
    return tx.value("SELECT EXISTS (SELECT FROM heldtrue.log_pending)")


def pending(tx: SystemTx, limit: int) -> list[Pending]:
    """Return the oldest entries that wait."""
    return tx.many(Pending, "SELECT leaf_id, entry FROM heldtrue.log_pending ORDER BY leaf_id LIMIT %s", [limit])


def add_entries(tx: SystemTx, rows: Sequence[tuple[int, int, UUID, bytes, bytes | None]]) -> None:
    """Put entries into the log: generation, index, leaf id, entry, and the hashes of full tiles that it completes."""
    tx.copy("COPY heldtrue.log_entries (generation, index, leaf_id, entry, subtrees) FROM STDIN", rows)


def drop_pending(tx: SystemTx, leaves: Sequence[UUID]) -> int:
    """Let entries wait no longer; the database refuses this for one that is not in the log."""
    return tx.execute("DELETE FROM heldtrue.log_pending WHERE leaf_id = ANY(%s)", [list(leaves)])


def place(tx: TenantTx | SystemTx, leaf: LeafId) -> Place | None:
    """Return where *leaf* is in the log, in the newest generation that has it."""
    return tx.one(
        Place,
        """SELECT generation, index, entry FROM heldtrue.log_entries WHERE leaf_id = %s
           ORDER BY generation DESC LIMIT 1""",
        [leaf.value],
    )


def entries(tx: TenantTx | SystemTx, generation: int, low: int, high: int) -> list[bytes]:
    """Return the entries [low, high)."""
    found: list[bytes] | None = tx.value(
        """SELECT array_agg(entry ORDER BY index) FROM heldtrue.log_entries
           WHERE generation = %s AND index >= %s AND index < %s""",
        [generation, low, high],
    )
    return found or []


def entries_with_subtrees(tx: SystemTx, generation: int, low: int, high: int) -> list[Indexed]:
    """Return the entries [low, high) with what they complete."""
    return tx.many(
        Indexed,
        """SELECT index, entry, subtrees FROM heldtrue.log_entries
           WHERE generation = %s AND index >= %s AND index < %s ORDER BY index""",
        [generation, low, high],
    )


def pending_in_log(tx: SystemTx) -> int:
    """Return how many entries wait though they are in the log; none ever should."""
    return tx.value("SELECT count(*) FROM heldtrue.log_pending p JOIN heldtrue.log_entries e USING (leaf_id)")


def placed(tx: TenantTx | SystemTx, generation: int, low: int, high: int) -> list[Pending]:
    """Return the entries [low, high), with their leaf ids."""
    return tx.many(
        Pending,
        """SELECT leaf_id, entry FROM heldtrue.log_entries
           WHERE generation = %s AND index >= %s AND index < %s ORDER BY index""",
        [generation, low, high],
    )


def hashes(tx: TenantTx | SystemTx, generation: int, level: int, low: int, high: int) -> list[bytes]:
    """Return the hashes [low, high) of a level of tiles: of entries at level 0, of full tiles above it."""
    if level == 0:
        found: list[bytes] | None = tx.value(
            """SELECT array_agg(sha256('\\x00'::bytea || entry) ORDER BY index) FROM heldtrue.log_entries
               WHERE generation = %s AND index >= %s AND index < %s""",
            [generation, low, high],
        )
    else:
        span = WIDTH**level
        found = tx.value(
            """SELECT array_agg(substring(subtrees FROM %s FOR %s) ORDER BY index) FROM heldtrue.log_entries
               WHERE generation = %s AND index = ANY(%s::bigint[])""",
            [1 + HASH * (level - 1), HASH, generation, [(each + 1) * span - 1 for each in range(low, high)]],
        )
    return found or []


def nodes(tx: TenantTx | SystemTx, generation: int, tree_size: int) -> TileNodes:
    """Return the hashes of subtrees of the log's first *tree_size* entries, read a tile at a time."""
    return TileNodes(_loader(tx, generation), tree_size)


def _loader(tx: TenantTx | SystemTx, generation: int) -> LoadTile:
    def load(level: int, index: int, width: int) -> list[bytes]:
        return hashes(tx, generation, level, index * WIDTH, index * WIDTH + width)

    return load


# ---------------------------------------------------------------- checkpoints


def add_checkpoint(tx: SystemTx, row: CheckpointRow) -> None:
    """Keep a signed checkpoint; the first of its size stays."""
    tx.execute(
        """INSERT INTO heldtrue.log_checkpoints (generation, size, root, note, signed_at) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (generation, size) DO NOTHING""",
        [row.generation, row.size, row.root, row.note, row.signed_at],
    )


def newest_checkpoints(tx: TenantTx | SystemTx, generation: int, limit: int) -> list[CheckpointRow]:
    """Return the checkpoints of the greatest sizes, the greatest first."""
    return tx.many(
        CheckpointRow,
        """SELECT generation, size, root, note, signed_at FROM heldtrue.log_checkpoints
           WHERE generation = %s ORDER BY size DESC LIMIT %s""",
        [generation, limit],
    )


def first_covering(tx: TenantTx | SystemTx, generation: int, index: int) -> CheckpointRow | None:
    """Return the earliest checkpoint whose tree holds the entry at *index*; it dates the entry."""
    return tx.one(
        CheckpointRow,
        """SELECT generation, size, root, note, signed_at FROM heldtrue.log_checkpoints
           WHERE generation = %s AND size > %s ORDER BY size LIMIT 1""",
        [generation, index],
    )


def checkpoints(tx: SystemTx, generation: int, above: int, limit: int) -> list[CheckpointRow]:
    """Return checkpoints of sizes beyond *above*, the smallest first."""
    return tx.many(
        CheckpointRow,
        """SELECT generation, size, root, note, signed_at FROM heldtrue.log_checkpoints
           WHERE generation = %s AND size > %s ORDER BY size LIMIT %s""",
        [generation, above, limit],
    )


def sizes_at_level(tx: SystemTx, generation: int, shift: int, beyond: int) -> list[int]:
    """Return the distinct sizes, in subtrees of 2^shift leaves, of all checkpoints over more than *beyond* leaves."""
    found: list[int] | None = tx.value(
        "SELECT array_agg(DISTINCT size >> %s) FROM heldtrue.log_checkpoints WHERE generation = %s AND size > %s",
        [shift, generation, beyond],
    )
    return found or []
