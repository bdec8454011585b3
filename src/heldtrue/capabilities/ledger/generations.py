"""Generations of the log: its origins, one after another, and what opens the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from heldtrue.capabilities.ledger import checkpoint, model, store, tree
from heldtrue.capabilities.ledger.checkpoint import Checkpoint, SignedCheckpoint
from heldtrue.capabilities.ledger.note import Note, is_name
from heldtrue.capabilities.ledger.recovery import MARKER, LogNotOpenError
from heldtrue.capabilities.ledger.store import Origin
from heldtrue.capabilities.ledger.tiles import HEIGHT, TileDirectory
from heldtrue.capabilities.ledger.tree import Frontier
from heldtrue.db.tx import SystemTx, TenantTx
from heldtrue.kernel.errors import ConflictError, SettingsError
from heldtrue.kernel.ids import CryptoKeyId, Entropy, LeafId

OPENING = 256
"""Among so many first entries of a generation are those of the keys that were there when it was opened."""


class OriginFixedError(SettingsError):
    """The log was opened under another origin, which never changes; set the origin back to that one."""

    code = "origin-fixed"


class NothingToSucceedError(ConflictError):
    """Nothing of this log was ever published, so it needs no successor; start it."""

    code = "nothing-to-succeed"


@dataclass(frozen=True, slots=True)
class LastWord:
    """The old log's final checkpoint, and what of it the database has not."""

    origin: Origin
    text: str
    lost_from: int
    lost_to: int
    covered: int
    """Entries from here on lie under no checkpoint that the database holds."""


@dataclass(frozen=True, slots=True)
class Succession:
    """What a succession did."""

    generation: int
    origin: str
    old_origin: str
    lost_from: int
    lost_to: int
    carried: int
    """Entries of the old log that no checkpoint covered, and that so moved to the new one."""


def current(tx: TenantTx | SystemTx) -> Origin:
    """Return the present generation; raise `LogNotOpenError` before the first."""
    return every(tx)[-1]


def every(tx: TenantTx | SystemTx) -> list[Origin]:
    """Return all generations, oldest first; raise `LogNotOpenError` before the first."""
    found = store.origins(tx)
    if not found:
        raise LogNotOpenError
    return found


def opening_entries(tx: TenantTx | SystemTx, generation: int) -> list[tuple[LeafId, bytes]]:
    """Return the first entries of a generation, among which a succession logs every key again."""
    return [(LeafId(row.leaf_id), row.entry) for row in store.placed(tx, generation, 0, OPENING)]


def open_first(tx: SystemTx, origin: str, key: CryptoKeyId, now: datetime) -> None:
    """Open the log under *origin*, a URL without its scheme."""
    if not is_name(origin) or origin != origin.strip("/") or "://" in origin or origin.startswith("cosignature/"):
        raise SettingsError(
            f"{origin!r} cannot be the log's origin",
            advice="Write a URL without scheme and without spaces, as `trust.example.com/log`.",
        )
    store.add_origin(tx, 1, origin, key, now)


def check_base(tx: SystemTx, origin: str) -> None:
    """Return if the log was first opened under *origin*; raise `OriginFixedError` otherwise."""
    first = store.origins(tx)[0].origin
    if first != origin:
        raise OriginFixedError(f"the log's origin is {first!r} for ever, not {origin!r}")


def last_word(tx: SystemTx, log_dir: Path, kept: str | None) -> LastWord:
    """Lock the log and return its final checkpoint: the greatest of the one on disk, in the database and in *kept*.

    Raise `NothingToSucceedError` where there is none, `NoteRefusedError` where *kept* is not of this log.
    """
    store.lock(tx)
    origin = current(tx)
    rows = store.newest_checkpoints(tx, origin.generation, 1)
    known = [_open(row.note, origin) for row in rows] + ([_open(kept, origin)] if kept else [])
    shown = TileDirectory(log_dir).checkpoint()
    if shown is not None and Checkpoint.parse(Note.parse(shown).text).origin == origin.origin:
        known.append(_open(shown, origin))
    if not known:
        raise NothingToSucceedError
    last = max(known, key=lambda each: each.checkpoint.size).checkpoint
    text = next(str(each) for each in known if each.checkpoint == last)
    lost_from = min(origin.size, last.size)
    nodes = store.nodes(tx, origin.generation, origin.size)
    if last.size <= origin.size and tree.root_at(nodes, last.size) != last.root:
        lost_from = 0  # another history: nothing of the published one is known to be here
    return LastWord(origin, text, lost_from, last.size, rows[0].size if rows else 0)


def interrupted(tx: SystemTx, log_dir: Path, kept: str | None) -> Succession | None:
    """Return the last succession if a crash kept it from clearing the way on disk, else None.

    That is when nothing of the present generation was ever signed or shown.
    """
    found = store.origins(tx)
    if kept is not None or len(found) < 2 or store.newest_checkpoints(tx, found[-1].generation, 1):
        return None
    shown = TileDirectory(log_dir).checkpoint()
    if shown is not None and Checkpoint.parse(Note.parse(shown).text).origin == found[-1].origin:
        return None
    first = model.parse_entry(store.entries(tx, found[-1].generation, 0, 1)[0])
    lost = first["lost"]
    return Succession(found[-1].generation, found[-1].origin, first["old_origin"], lost["from"], lost["to"], 0)


@dataclass(slots=True)
class Opening:
    """A new generation in the making; its entries get their indices in the transaction that opens it."""

    tx: SystemTx
    generation: int
    now: datetime
    entropy: Entropy
    _entries: list[tuple[UUID, bytes]] = field(default_factory=list[tuple[UUID, bytes]])

    def add(self, kind: str, document: Mapping[str, Any]) -> LeafId:
        """Add an entry in clear at the next index."""
        leaf = LeafId.new(self.now, self.entropy)
        self._entries.append((leaf.value, model.clear_entry(kind, document)))
        return leaf

    def close(self, old: LastWord, key: CryptoKeyId) -> Succession:
        """Open the generation under *key* with the entries added, and then those that *old* leaves uncovered."""
        origin = f"{store.origins(self.tx)[0].origin}/{self.generation}"
        store.add_origin(self.tx, self.generation, origin, key, self.now)
        carried = store.placed(self.tx, old.origin.generation, old.covered, old.origin.size)
        frontier = Frontier()
        store.add_entries(
            self.tx,
            [
                (self.generation, index, leaf, entry, completed_tiles(frontier, entry))
                for index, (leaf, entry) in enumerate([*self._entries, *((row.leaf_id, row.entry) for row in carried)])
            ],
        )
        return Succession(self.generation, origin, old.origin.origin, old.lost_from, old.lost_to, len(carried))


def completed_tiles(frontier: Frontier, entry: bytes) -> bytes | None:
    """Add *entry* to *frontier*; return the hashes of the full tiles that it completes, None where there is none."""
    completed = frontier.append(tree.leaf_hash(entry))
    return b"".join(hashed for level, _, hashed in completed if level % HEIGHT == 0) or None


def clear_way(log_dir: Path, old: str, generation: int) -> None:
    """Move the old log aside on disk, and remove the marker of a restore last."""
    directory = TileDirectory(log_dir)
    shown = directory.checkpoint()
    if shown is None or Checkpoint.parse(Note.parse(shown).text).origin == old:
        directory.archive(str(generation))
    directory.remove(MARKER)


def _open(text: str, origin: Origin) -> SignedCheckpoint:
    return checkpoint.open_signed(text, origin.origin, origin.public)
