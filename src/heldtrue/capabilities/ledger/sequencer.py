"""The sequencer: gives entries their indices, writes tiles, signs checkpoints, publishes.

See docs/architecture.md, "What commits when".

Four durable steps follow one another, and after a crash between any two of them the next run does the rest:

1. `assign` (T5): entries that wait get consecutive indices. A crash after it leaves indices without tiles.
2. `write_tiles`: bundles and tiles up to the size, the same bytes however often. A crash leaves tiles nobody points at.
3. `sign` (T6): one checkpoint a size, signed once. A crash leaves a checkpoint that nobody has seen.
4. `publish`: the checkpoint as it was signed becomes the file that everybody reads.

Each step reads what it needs from the database, under the log's lock, and so does not care who did the one before.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog

from heldtrue.capabilities.ledger import checkpoint, cosignatures, store, tree
from heldtrue.capabilities.ledger.checkpoint import Checkpoint, SignedCheckpoint
from heldtrue.capabilities.ledger.generations import completed_tiles
from heldtrue.capabilities.ledger.recovery import MARKER, Judge, RollbackRefusedError, judge_resumption
from heldtrue.capabilities.ledger.store import CheckpointRow, Origin
from heldtrue.capabilities.ledger.tiles import HEIGHT, WIDTH, Tile, TileDirectory, bundle, grown
from heldtrue.capabilities.ledger.tree import Frontier
from heldtrue.capabilities.ledger.witness import own
from heldtrue.crypto.signing import SigningKey
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import ConflictError, IntegrityError, UnavailableError

BATCH = 1024
"""The most entries that one T5 takes."""
BUSY = 256
"""So many at once, and the next step follows without a pause."""
POLL = 0.25
"""Seconds between two steps otherwise."""
FRESH = timedelta(minutes=1)
"""After this the published checkpoint gets a new time, though nothing is new: verifiers want a recent one."""
_CHUNK = 64
"""Tiles that are held in memory at once while many are written."""

_log = structlog.get_logger("heldtrue.ledger")


class NotTheSignerError(ConflictError):
    """The log has gone on under another key than the one this sequencer holds; start it again."""

    code = "not-the-signer"


class Sequencer:
    """The one writer of the log; a second one waits at its lock and then sees what the first did."""

    def __init__(self, database: Database, log_dir: Path, signer: SigningKey, clock: Clock, batch: int = BATCH) -> None:
        self.directory = TileDirectory(log_dir)
        self.refusal: str | None = None
        """Why nothing is signed at present, for `/readyz` and the operator; None when all is well."""
        self._database, self._signer, self._clock, self._batch = database, signer, clock, batch
        self._judge = Judge(self.directory)
        self._frontier: tuple[int, Frontier] | None = None
        self._tiled: tuple[int, int] | None = None
        self._shown: datetime | None = None
        self._settled = False
        self._cosigned = threading.Event()

    def cosigned(self) -> None:
        """Let the next step publish the cosignatures that were kept; from any thread."""
        self._cosigned.set()

    def step(self) -> int:
        """Do all four steps once; return how many entries got their index. Does nothing where nothing is to be done."""
        try:
            if self._cosigned.is_set():
                self._cosigned.clear()  # first, so that what is kept from here on is published by the step after
                self._settled = False
            count = self.assign()
            if count or not self._settled or self._stale():
                self._settled = False
                size, signed = self.write_tiles(), None
                while signed is None or signed.size < size:
                    signed = self.sign()
                    self.publish()
                    if signed is None:
                        break
                self._settled = True
        except RollbackRefusedError as error:
            self.refusal = error.message
            raise
        self.refusal = None
        return count

    async def run(self, stop: asyncio.Event) -> None:
        """Step until *stop* is set: at once while entries come by the hundred, else four times a second.

        Outlives a database that goes away, and a refusal, which it reports; anything else ends it.
        """
        said: str | None = None
        while not stop.is_set():
            pause = POLL
            try:
                if await asyncio.to_thread(self.step) >= BUSY:
                    continue
                said = None
            except (RollbackRefusedError, UnavailableError) as error:
                pause = 2.0
                if said != error.message:
                    _log.warning("log.paused", code=error.code, reason=error.message)
                    said = error.message
            try:
                await asyncio.wait_for(stop.wait(), pause)
            except TimeoutError:
                continue

    # ------------------------------------------------------------ the four steps

    def assign(self) -> int:
        """T5: give waiting entries the next indices, oldest first; return how many."""
        with self._database.system() as tx:
            if self._settled and not store.any_pending(tx):
                return 0
            origin, _ = self._admit(tx)
            rows = store.pending(tx, self._batch)
            frontier = self._frontier_of(tx, origin).copy()
            added: list[tuple[int, int, UUID, bytes, bytes | None]] = []
            for row in rows:
                index, full = frontier.size, completed_tiles(frontier, row.entry)
                added.append((origin.generation, index, row.leaf_id, row.entry, full))
            if added:
                store.add_entries(tx, added)
                if store.drop_pending(tx, [row.leaf_id for row in rows]) != len(rows):
                    raise IntegrityError("an entry that got its index went on waiting")
        self._frontier = (origin.generation, frontier)
        return len(added)

    def write_tiles(self) -> int:
        """Write every bundle and tile of the present tree that was not there at the last signed one; return its size.

        Partial tiles are only for sizes that get signed, and `sign` signs exactly the size that this returns.
        """
        with self._database.system() as tx:
            origin, _ = self._admit(tx)
            if self._tiled and self._tiled[0] == origin.generation:
                since = self._tiled[1]
            else:
                since = max((row.size for row in store.newest_checkpoints(tx, origin.generation, 1)), default=0)
            for chunk in _tiles_of(tx, origin.generation, list(grown(since, origin.size))):
                self.directory.write(chunk)
        self._tiled = (origin.generation, origin.size)
        return origin.size

    def sign(self) -> Checkpoint | None:
        """T6: sign the tree whose tiles are written, unless its size is signed already; return what stands signed.

        What was signed before anything was published is published first: two checkpoints in the database and none in
        the directory look like a directory that was lost.
        """
        with self._database.system() as tx:
            origin, shown = self._admit(tx)
            if self._tiled is None or self._tiled[0] != origin.generation:
                raise RuntimeError("tiles come before the checkpoint that points at them")
            size = self._tiled[1]
            newest = store.newest_checkpoints(tx, origin.generation, 1)
            if newest and (newest[0].size >= size or shown is None):
                return Checkpoint(origin.origin, newest[0].size, newest[0].root)
            if not size:
                return None
            made = Checkpoint(origin.origin, size, self._root_at(tx, origin, size))
            now = self._clock.now()
            text = checkpoint.sign(made, self._signer, now)
            store.add_checkpoint(tx, CheckpointRow(origin.generation, size, made.root, text, now))
            return made

    def publish(self) -> str | None:
        """Make the newest signed checkpoint the public one, byte for byte; give one that has aged a new time.

        The cosignatures that are there follow the log's own signatures; none is waited for. Return the text, or None
        while nothing was ever signed.
        """
        with self._database.system() as tx:
            origin, shown = self._admit(tx)
            newest = store.newest_checkpoints(tx, origin.generation, 1)
            if not newest:
                return None
            row, now = newest[0], self._clock.now()
            lines = cosignatures.newest_lines(tx, origin.generation, row.size)
            if shown is None or shown.checkpoint.size < row.size:
                shown = self._show(origin, cosignatures.dressed(row.note, lines))
            elif shown.checkpoint != Checkpoint(origin.origin, row.size, row.root):
                raise RollbackRefusedError(
                    f"a checkpoint of {origin.origin} was published that the database never held"
                )
            elif shown.time is None or now - shown.time >= FRESH:
                shown = self._show(
                    origin, cosignatures.dressed(checkpoint.sign(shown.checkpoint, self._signer, now), lines)
                )
            elif (text := cosignatures.dressed(own(shown), lines)) != str(shown):
                shown = self._show(origin, text)
        self._shown = shown.time
        return str(shown)

    # ------------------------------------------------------------ after a restore

    def resume(self, text: str) -> Checkpoint:
        """Go on behind the published checkpoint in *text*, whose every entry the restored database holds.

        Tiles are written anew from the database and the marker of the restore is removed. Raise `ResumeRefusedError`
        where something that was published is missing or differs: then only a succession is left.
        """
        with self._database.system() as tx:
            origin, signed = judge_resumption(tx, self.directory, text)
            wanted = [*grown(0, origin.size), *_partials(tx, origin)]
            for chunk in _tiles_of(tx, origin.generation, wanted):
                self.directory.write(chunk)
            newest = store.newest_checkpoints(tx, origin.generation, 1)
            behind = not newest or newest[0].size < signed.checkpoint.size
            self._show(origin, str(signed) if behind else newest[0].note)
            self.directory.remove(MARKER)
        self._tiled, self._frontier, self._settled = None, None, False
        return signed.checkpoint

    # ------------------------------------------------------------ what the steps share

    def _admit(self, tx: SystemTx) -> tuple[Origin, SignedCheckpoint | None]:
        origin, shown = self._judge.admit(tx)
        if origin.key_id != self._signer.id.value or origin.public != self._signer.public:
            raise NotTheSignerError(f"{origin.origin} is signed by another key")
        return origin, shown

    def _show(self, origin: Origin, text: str) -> SignedCheckpoint:
        """Publish *text*, after a look at whether its signatures hold."""
        signed = checkpoint.open_signed(text, origin.origin, origin.public)
        self.directory.publish(text)
        self._judge.approve(origin, signed)
        return signed

    def _frontier_of(self, tx: SystemTx, origin: Origin) -> Frontier:
        """Return the frontier in memory where it is that of the database, else the one that the database gives."""
        if self._frontier and self._frontier[0] == origin.generation and self._frontier[1].size == origin.size:
            return self._frontier[1]
        nodes = store.nodes(tx, origin.generation, origin.size)
        for newest in store.newest_checkpoints(tx, origin.generation, 1):
            if newest.size > origin.size or tree.root_at(nodes, newest.size) != newest.root:
                raise IntegrityError(f"the entries in the database are not those that were signed at {newest.size}")
        return Frontier.of(nodes, origin.size)

    def _root_at(self, tx: SystemTx, origin: Origin, size: int) -> bytes:
        if self._frontier and self._frontier[0] == origin.generation and self._frontier[1].size == size:
            return self._frontier[1].root()
        return tree.root_at(store.nodes(tx, origin.generation, size), size)

    def _stale(self) -> bool:
        return self._shown is not None and self._clock.now() - self._shown >= FRESH


def _tiles_of(tx: SystemTx, generation: int, wanted: list[Tile]) -> Iterator[dict[Tile, bytes]]:
    """Yield the bytes of tiles, some at a time; a bundle brings the hashes over its entries along."""
    for at in range(0, len(wanted), _CHUNK):
        chunk = wanted[at : at + _CHUNK]
        made: dict[Tile, bytes] = {}
        bundles = [tile for tile in chunk if tile.level < 0]
        if bundles:
            first = min(tile.index for tile in bundles) * WIDTH
            entries = store.entries(tx, generation, first, max(tile.index * WIDTH + tile.width for tile in bundles))
            hashes = [tree.leaf_hash(entry) for entry in entries]
            for tile in bundles:
                low = tile.index * WIDTH - first
                made[tile] = bundle(entries[low : low + tile.width])
                made[Tile(0, tile.index, tile.width)] = b"".join(hashes[low : low + tile.width])
        for tile in chunk:
            if tile.level > 0:
                low = tile.index * WIDTH
                made[tile] = b"".join(store.hashes(tx, generation, tile.level, low, low + tile.width))
        yield made


def _partials(tx: SystemTx, origin: Origin) -> Iterator[Tile]:
    """Yield the partial tiles of checkpoints of the past whose full tiles are not there yet (tlog-tiles)."""
    for level in range(8):
        shift = HEIGHT * level
        index = (origin.size >> shift) // WIDTH
        for count in store.sizes_at_level(tx, origin.generation, shift, index * WIDTH << shift):
            if 0 < (width := count - index * WIDTH) < WIDTH:
                yield Tile(level or -1, index, width)
