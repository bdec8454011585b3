"""Read a log from its tiles (C2SP tlog-tiles): hashes for consistency proofs, and the entries themselves."""

from __future__ import annotations

from collections.abc import Iterator

from heldtrue_verify.fetch import Server
from heldtrue_verify.state import Memory
from heldtrue_verify.tree import EMPTY_ROOT, node_hash, split
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError

WIDTH = 256
LARGEST_BUNDLE = WIDTH * (2 + 65535)


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Give a tile's path: three digits a group, all but the last prefixed by `x`; a partial tile names its width."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    return f"tile/{level}/{'/'.join(groups)}" + ("" if width == WIDTH else f".p/{width}")


def read_bundle(data: bytes) -> list[bytes]:
    """Split an entry bundle: each entry after its length in two bytes."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data):
            raise MalformedError("An entry bundle ends in the middle of an entry.")
        entries.append(data[at + 2 : end])
        at = end
    return entries


class TiledLog:
    """A log of *size* entries as a server shows it; nothing here is trusted until it hashes to a signed root."""

    def __init__(self, server: Server, size: int) -> None:
        self._server = server
        self._size = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    def range_hash(self, start: int, end: int) -> bytes:
        """Hash the entries from *start* up to *end*, a subtree of the tree."""
        count = end - start
        if count == 0:
            return EMPTY_ROOT
        level, inside = divmod(count.bit_length() - 1, 8)
        if inside or count & (count - 1):  # not a hash of a tile: hash the two parts of RFC 6962 section 2.1
            middle = start + split(count)
            return node_hash(self.range_hash(start, middle), self.range_hash(middle, end))
        number, place = divmod(start >> 8 * level, WIDTH)
        return self._tile(level, number)[place * 32 : place * 32 + 32]

    def entries(self, memory: Memory | None) -> Iterator[bytes]:
        """Give every entry in order; full bundles come from *memory* where they are kept."""
        for number in range((self._size + WIDTH - 1) // WIDTH):
            width = min(WIDTH, self._size - number * WIDTH)
            kept = memory.bundle(tile_path("entries", number)) if memory and width == WIDTH else None
            data = kept if kept is not None else self._fetch("entries", number, width, LARGEST_BUNDLE)
            entries = read_bundle(data)
            if len(entries) < width:
                raise DoesNotHoldError(f"The server's bundle of entries {number} is too short.")
            if memory and width == WIDTH and kept is None:
                memory.keep_bundle(tile_path("entries", number), data)
            yield from entries[:width]

    def _tile(self, level: int, number: int) -> bytes:
        if (level, number) not in self._tiles:
            width = min(WIDTH, (self._size >> 8 * level) - number * WIDTH)
            tile = self._fetch(level, number, width, WIDTH * 32)
            if len(tile) < width * 32:
                raise DoesNotHoldError(f"The server's tile {tile_path(level, number, width)} is too short.")
            self._tiles[level, number] = tile
        return self._tiles[level, number]

    def _fetch(self, level: int | str, number: int, width: int, largest: int) -> bytes:
        """Fetch a tile; a partial one may have given way to the full one."""
        partial = self._server.find("/log/" + tile_path(level, number, width), largest) if width < WIDTH else None
        return partial if partial is not None else self._server.get("/log/" + tile_path(level, number), largest)
