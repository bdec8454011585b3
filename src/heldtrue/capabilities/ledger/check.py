"""`check_log`: every invariant of the log, asserted over database and disk; after drills and by `heldtrue doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from heldtrue.capabilities.ledger import checkpoint, store, tree
from heldtrue.capabilities.ledger.checkpoint import Checkpoint
from heldtrue.capabilities.ledger.recovery import MARKER
from heldtrue.capabilities.ledger.store import Origin
from heldtrue.capabilities.ledger.tiles import (
    HEIGHT,
    WIDTH,
    NoSuchTileError,
    Tile,
    TileDirectory,
    TileNodes,
    bundle,
    grown,
)
from heldtrue.capabilities.ledger.tree import Frontier
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.errors import IntegrityError

_CHUNK = 4096


class LogBrokenError(IntegrityError):
    """The log contradicts itself; stop the worker, keep disk and database as they are, and look at what is named."""

    code = "log-broken"


@dataclass(frozen=True, slots=True)
class GenerationReport:
    """What was found right about one generation."""

    generation: int
    origin: str
    size: int
    checkpoints: int
    published: int
    """The size of the checkpoint on disk; 0 where there is none."""


def check_log(database: Database, log_dir: Path) -> list[GenerationReport]:
    """Assert every invariant of every generation and return what was looked at; raise `LogBrokenError` for the first.

    1. Indices are consecutive from 0. 2. What completes a full tile says so rightly. 3. Each checkpoint's root is that
    of its first entries, and its two signatures hold. 4. The published checkpoint is signed, and its size and root are
    those of one in the database. 5. Tiles and bundles on disk, up to the published size, are those of the entries.
    6. Nothing waits that is in the log. 7. No restore waits for a decision.
    """
    with database.system() as tx:
        _require(not (log_dir / MARKER).exists(), "a restored database waits for `heldtrue log resume` or `succeed`")
        waiting = store.pending_in_log(tx)
        _require(waiting == 0, f"{waiting} entries are in the log and still wait for it")
        origins = store.origins(tx)
        reports: list[GenerationReport] = []
        for origin in origins:
            current = origin is origins[-1]
            directory = TileDirectory(log_dir if current else log_dir / str(origin.generation))
            size, count = _check_entries(tx, origin)
            shown = _shown(origin, directory)
            _require(
                shown.size <= size or not current, f"{origin.origin}: {shown.size} were published, {size} are here"
            )
            if shown.size <= size:
                _check_disk(tx, origin, directory, shown)
            else:
                # Lost with the database, and told by the succession that followed; the tiles still prove themselves.
                _require(
                    tree.root_at(TileNodes(directory.load, shown.size), shown.size) == shown.root,
                    f"{origin.origin}: the tiles on disk are not those that were signed",
                )
            reports.append(GenerationReport(origin.generation, origin.origin, size, count, shown.size))
    return reports


def _check_entries(tx: SystemTx, origin: Origin) -> tuple[int, int]:
    """Check invariants 1 to 3; return size and number of checkpoints."""
    frontier, checked = Frontier(), 0
    waiting = _checkpoints(tx, origin)
    due = next(waiting, None)
    size = origin.size
    for low in range(0, size, _CHUNK):
        rows = store.entries_with_subtrees(tx, origin.generation, low, low + _CHUNK)
        for row in rows:
            _require(row.index == frontier.size, f"{origin.origin}: index {frontier.size} is missing")
            completed = frontier.append(tree.leaf_hash(row.entry))
            full = b"".join(hashed for level, _, hashed in completed if level % HEIGHT == 0)
            _require((row.subtrees or b"") == full, f"{origin.origin}: the full tiles at index {row.index} differ")
            if due is not None and due.size == frontier.size:
                _check_signed(origin, due, frontier.root())
                checked, due = checked + 1, next(waiting, None)
    _require(frontier.size == size, f"{origin.origin}: {size} entries by index, {frontier.size} by count")
    _require(due is None, f"{origin.origin}: a checkpoint was signed beyond the {size} entries that there are")
    return size, checked


def _checkpoints(tx: SystemTx, origin: Origin) -> Iterator[store.CheckpointRow]:
    above = 0
    while rows := store.checkpoints(tx, origin.generation, above, _CHUNK):
        yield from rows
        above = rows[-1].size


def _check_signed(origin: Origin, row: store.CheckpointRow, root: bytes) -> None:
    signed = checkpoint.open_signed(row.note, origin.origin, origin.public)
    _require(
        signed.checkpoint == Checkpoint(origin.origin, row.size, root) and row.root == root,
        f"{origin.origin}: the checkpoint at {row.size} has another root than the entries",
    )
    _require(signed.time is not None, f"{origin.origin}: the checkpoint at {row.size} states no time")


def _shown(origin: Origin, directory: TileDirectory) -> Checkpoint:
    text = directory.checkpoint()
    if text is None:
        return Checkpoint(origin.origin, 0, tree.EMPTY_ROOT)
    return checkpoint.open_signed(text, origin.origin, origin.public).checkpoint


def _check_disk(tx: SystemTx, origin: Origin, directory: TileDirectory, shown: Checkpoint) -> None:
    """Check invariants 4 and 5."""
    if not shown.size:
        return
    row = store.first_covering(tx, origin.generation, shown.size - 1)
    _require(
        row is not None and row.size == shown.size and row.root == shown.root,
        f"{origin.origin}: the published checkpoint at {shown.size} is not in the database",
    )
    for tile in grown(0, shown.size):
        low = tile.index * WIDTH
        if tile.level < 0:
            entries = store.entries(tx, origin.generation, low, low + tile.width)
            _check_tile(origin, directory, tile, bundle(entries))
            level0 = Tile(0, tile.index, tile.width)
            _check_tile(origin, directory, level0, b"".join(map(tree.leaf_hash, entries)))
        elif tile.level > 0:
            hashes = store.hashes(tx, origin.generation, tile.level, low, low + tile.width)
            _check_tile(origin, directory, tile, b"".join(hashes))


def _check_tile(origin: Origin, directory: TileDirectory, tile: Tile, expected: bytes) -> None:
    try:
        found = directory.read(tile)
    except NoSuchTileError as error:
        raise LogBrokenError(f"{origin.origin}: {tile.path} is missing") from error
    _require(found == expected, f"{origin.origin}: {tile.path} is not that of the entries")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LogBrokenError(otherwise)
