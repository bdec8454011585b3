"""Read the log's entries in clear: found by the database, believed only as they were published.

Each entry that counts must hash to its leaf in the published tiles (C2SP tlog-tiles); one that does not, or that is
missing, is read from the published bundle instead, and the difference is told. So nothing that is changed in the
database changes what is said of a claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from heldtrue.capabilities.ledger.tiles import WIDTH, NoSuchTileError, Tile, TileDirectory, unbundle, width_at
from heldtrue.capabilities.ledger.tree import leaf_hash
from heldtrue.claims import store
from heldtrue.claims.store import EntryRow, Position
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.errors import IntegrityError, UnavailableError

CHUNK = 5000
"""Entries that are read at once."""
TENANT = b'{"c":"'


class LogDamagedError(UnavailableError):
    """The published files of the log contradict each other; nothing counts as proven until the operator has looked."""

    code = "log-damaged"


@dataclass(slots=True)
class Published:
    """The files of the log, as everybody reads them."""

    directory: TileDirectory
    _leaves: tuple[Position, int, list[bytes]] | None = None

    def leaf(self, generation: int, index: int, size: int) -> bytes:
        """Return the published hash of an entry."""
        tile, at = divmod(index, WIDTH)
        width = width_at(0, tile, size)
        if self._leaves is None or self._leaves[:2] != ((generation, tile), width):
            try:
                self._leaves = ((generation, tile), width, self.directory.load(0, tile, width))
            except (NoSuchTileError, IntegrityError) as error:
                raise LogDamagedError(f"the log's tile of entry {index} cannot be read") from error
        return self._leaves[2][at]

    def entry(self, generation: int, index: int, size: int) -> bytes:
        """Return an entry out of its published bundle."""
        bundle, at = divmod(index, WIDTH)
        try:
            found = unbundle(self.directory.read(Tile(-1, bundle, width_at(-1, bundle, size))))[at]
        except (NoSuchTileError, IntegrityError, IndexError) as error:
            raise LogDamagedError(f"the log's entry {index} cannot be read") from error
        if leaf_hash(found) != self.leaf(generation, index, size):
            raise LogDamagedError(f"the log's entry {index} is not what its tile says")
        return found


@dataclass(slots=True)
class Reader:
    """Reads what is new; tells what differs from what was published."""

    log: Path | None = None
    """The directory of the log; None where there are no files, as in a test of something else."""
    problems: list[str] = field(default_factory=list[str])
    _published: Published | None = None
    _counted: Position = store.START

    def read(self, tx: SystemTx, after: Position, generation: int, size: int) -> Iterator[EntryRow]:
        """Yield the entries in clear behind *after*, below *size* of the present *generation*."""
        missing = iter(self._missing(tx, generation, size))
        lost = next(missing, None)
        while rows := store.clear_entries(tx, after, size, CHUNK):
            for row in rows:
                while lost is not None and (lost.generation, lost.index) < (row.generation, row.index):
                    yield lost
                    lost = next(missing, None)
                yield self.believed(row, generation, size)
            after = (rows[-1].generation, rows[-1].index)
        if lost is not None:
            yield lost
            yield from missing

    def believed(self, row: EntryRow, generation: int, size: int) -> EntryRow:
        """Return an entry as it was published, whatever the database has there."""
        if self.log is None or row.generation != generation:
            return row  # an older generation ended under a checkpoint that this one's first entry carries
        files = self._files()
        if leaf_hash(row.entry) == files.leaf(generation, row.index, size):
            return row
        self._tell(f"Entry {row.index} of the log was changed in the database; what was published counts.")
        return EntryRow(row.generation, row.index, files.entry(generation, row.index, size))

    def _missing(self, tx: SystemTx, generation: int, size: int) -> list[EntryRow]:
        """Return entries in clear that the database has lost, out of the published bundles."""
        if self.log is None:
            return []
        low = self._counted[1] if self._counted[0] == generation else 0
        self._counted = (generation, size)
        if store.count_entries(tx, generation, low, size) == size - low:
            return []
        found: list[EntryRow] = []
        for index in sorted(set(range(low, size)) - store.indices(tx, generation, low, size)):
            self._tell(f"Entry {index} of the log is missing from the database; what was published counts.")
            entry = self._files().entry(generation, index, size)
            if not entry.startswith(TENANT):
                found.append(EntryRow(generation, index, entry))
        return found

    def start_at(self, generation: int, size: int) -> None:
        """Take it that everything below *size* was read already."""
        self._counted = (generation, size)

    def _files(self) -> Published:
        if self._published is None:
            if self.log is None:
                raise LogDamagedError
            self._published = Published(TileDirectory(self.log))
        return self._published

    def _tell(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
