"""Tiles of a log as files (C2SP tlog-tiles): names, widths, entry bundles, and a directory that keeps them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from heldtrue.capabilities.ledger.tree import fold
from heldtrue.kernel.errors import IntegrityError, NotFoundError

HEIGHT = 8
WIDTH = 1 << HEIGHT
HASH = 32
ENTRY_LIMIT = 65_535
"""An entry's length is a u16 (tlog-tiles, "Log entries")."""

LoadTile = Callable[[int, int, int], Sequence[bytes]]
"""`(level, index, width)` → the hashes of that tile."""

_NAME = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


class NoSuchTileError(NotFoundError):
    """The log has no such tile at its published size; ask for one that the checkpoint implies."""

    code = "no-such-tile"


class TileForkError(IntegrityError):
    """A tile that exists would change, and tiles never do: the log on disk is not the log in the database."""

    code = "tile-fork"


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A tile's place; level -1 is the bundle of entries that lies under level 0."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The name under the log's prefix, as `tile/0/x001/x234/067.p/5`."""
        groups, rest = [f"{self.index % 1000:03d}"], self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level < 0 else str(self.level)
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"

    @classmethod
    def parse(cls, path: str) -> Tile:
        """Return the tile that *path* names; raise `NoSuchTileError` for any other spelling."""
        match = _NAME.fullmatch(path)
        if match is None:
            raise NoSuchTileError(f"{path[:80]!r} is not the name of a tile")
        level, number, width = match.groups()
        tile = cls(
            -1 if level == "entries" else int(level),
            int(number.replace("x", "").replace("/", "")),
            int(width) if width else WIDTH,
        )
        if tile.path != path or tile.level > 63 or (width and tile.width >= WIDTH):
            raise NoSuchTileError(f"{path[:80]!r} is not the canonical name of a tile")
        return tile

    @property
    def full(self) -> Tile:
        """The full tile that this one grows into."""
        return Tile(self.level, self.index)


def width_at(level: int, index: int, size: int) -> int:
    """Return how many hashes the tile has in a tree of *size*; 0 where it does not exist."""
    return max(0, min(WIDTH, (size >> HEIGHT * max(level, 0)) - index * WIDTH))


def grown(old: int, new: int) -> Iterator[Tile]:
    """Yield every tile and bundle that a tree of *new* leaves has and one of *old* leaves has not."""
    for level in (-1, *range(64)):
        before, after = old >> HEIGHT * max(level, 0), new >> HEIGHT * max(level, 0)
        if before == after:
            return
        for index in range(before // WIDTH, (after - 1) // WIDTH + 1):
            yield Tile(level, index, width_at(level, index, new))


def bundle(entries: Iterable[bytes]) -> bytes:
    """Return the entries, each behind its length as u16be (tlog-tiles, "Log entries")."""
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def unbundle(data: bytes) -> list[bytes]:
    """Return the entries of a bundle; raise `IntegrityError` where its lengths do not add up."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise IntegrityError("an entry bundle is cut off")
        entries.append(data[at + 2 : end])
        at = end
    return entries


def split_hashes(data: bytes) -> list[bytes]:
    """Return the hashes of a tile's bytes."""
    if len(data) % HASH:
        raise IntegrityError("a tile is not a sequence of hashes")
    return [data[at : at + HASH] for at in range(0, len(data), HASH)]


@dataclass(slots=True)
class TileNodes:
    """Hashes of complete subtrees, read from the tiles of a tree of *size* leaves (see `tree.Nodes`)."""

    load: LoadTile
    size: int
    _read: dict[tuple[int, int], Sequence[bytes]] = field(default_factory=dict[tuple[int, int], Sequence[bytes]])

    def node(self, level: int, index: int) -> bytes:
        """Return the hash over the leaves [index·2^level, (index + 1)·2^level)."""
        if (index + 1) << level > self.size:
            raise ValueError(f"a tree of {self.size} leaves has no node {level}/{index}")
        tile_level, within = divmod(level, HEIGHT)
        tile, offset = divmod(index << within, WIDTH)
        hashes = self._read.get((tile_level, tile))
        if hashes is None:
            hashes = self.load(tile_level, tile, width_at(tile_level, tile, self.size))
            self._read[tile_level, tile] = hashes
        return fold(hashes[offset : offset + (1 << within)])


@dataclass(frozen=True, slots=True)
class TileDirectory:
    """A directory that holds a log as it is served: `checkpoint` and `tile/…`. Every write is durable and atomic."""

    root: Path

    def read(self, tile: Tile) -> bytes:
        """Return a tile's bytes, a partial one also out of the full one that replaced it."""
        for each in (tile, tile.full, tile):
            try:
                data = (self.root / each.path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if each.width == tile.width:
                return data
            return data[: tile.width * HASH] if tile.level >= 0 else bundle(unbundle(data)[: tile.width])
        raise NoSuchTileError(f"the log has no {tile.path}")

    def load(self, level: int, index: int, width: int) -> list[bytes]:
        """Return a tile's hashes, as `TileNodes` asks for them."""
        return split_hashes(self.read(Tile(level, index, width)))

    def write(self, tiles: Mapping[Tile, bytes]) -> None:
        """Write tiles durably; those that exist must be the same, and full ones replace their partial ones."""
        fresh: dict[Path, bytes] = {}
        for tile, data in tiles.items():
            path = self.root / tile.path
            try:
                if path.read_bytes() != data:
                    raise TileForkError(f"{tile.path} would change")
            except FileNotFoundError:
                fresh[path] = data
        _write_files(fresh)
        for tile in tiles:
            if tile.width == WIDTH:
                # Superseded partial tiles may go once the full one is there (tlog-tiles, "Partial Tiles").
                path = self.root / tile.path
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path.with_name(path.name + ".p"))

    def checkpoint(self) -> str | None:
        """Return the published checkpoint, or None before the first."""
        try:
            return (self.root / "checkpoint").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def publish(self, note: str) -> None:
        """Replace the published checkpoint, durably and atomically."""
        _write_files({self.root / "checkpoint": note.encode()})

    def remove(self, name: str) -> None:
        """Remove a file directly in the directory, durably."""
        (self.root / name).unlink(missing_ok=True)
        _sync_one(self.root)

    def archive(self, name: str) -> None:
        """Move the log into the sub-directory *name*, its checkpoint last, so that an interrupted move is repeated."""
        target = self.root / name
        target.mkdir(parents=True, exist_ok=True)
        for part in ("tile", "checkpoint"):
            if (self.root / part).exists():
                (self.root / part).rename(target / part)
            _sync_one(target)
            _sync_one(self.root)


def _write_files(files: Mapping[Path, bytes]) -> None:
    """Write each file beside its place, sync it, rename it; then sync every directory touched.

    What is synced together is synced at once, so that the file system's journal commits it together.
    """
    touched: set[Path] = set()
    drafts: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            touched |= _make_directories(path.parent) | {path.parent}
            handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
            drafts[path] = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), 0o644)
        _sync(drafts.values())
        for path, draft in drafts.items():
            draft.replace(path)
    except BaseException:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
        raise
    _sync(touched)


def _sync(paths: Collection[Path]) -> None:
    """Make files or directories durable."""
    if len(paths) < 2:
        for path in paths:
            _sync_one(path)
        return
    with ThreadPoolExecutor(min(len(paths), 8)) as pool:
        for done in [pool.submit(_sync_one, path) for path in paths]:
            done.result()


def _make_directories(path: Path) -> set[Path]:
    """Create *path* and what is missing above it; return the directories that got a new entry."""
    touched: set[Path] = set()
    missing = path
    while not missing.is_dir():
        missing = missing.parent
        touched.add(missing)
    path.mkdir(parents=True, exist_ok=True)
    return touched


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
