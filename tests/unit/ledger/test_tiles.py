"""Tiles by C2SP tlog-tiles: names, widths, bundles, and a directory that never changes what it showed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.ledger.tiles import (
    NoSuchTileError,
    Tile,
    TileDirectory,
    TileForkError,
    bundle,
    grown,
    unbundle,
    width_at,
)
from heldtrue.kernel.errors import IntegrityError


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(0, 0), "tile/0/000"),
        (Tile(2, 999, 17), "tile/2/999.p/17"),
        (Tile(-1, 1000), "tile/entries/x001/000"),
        (Tile(63, 5, 255), "tile/63/005.p/255"),
    ],
)
def test_the_names_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.parse(path) == tile


@given(st.integers(-1, 63), st.integers(0, 10**15), st.integers(1, 256))
def test_every_name_leads_back_to_its_tile(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "", "checkpoint", "tile/0", "tile/0/", "tile/0/1", "tile/0/0001", "tile/00/001", "tile/64/001",
        "tile/0/x000/001", "tile/0/001/002", "tile/0/x001", "tile/0/001.p/0", "tile/0/001.p/256", "tile/0/001.p/01",
        "tile/0/001.p/",
        "tile/-1/001", "tile/entries/../0/001", "../tile/0/001", "tile/0/001\n", "tile/0/٠٠١", "/tile/0/001",
        "tile/0/001.p/5/6", "TILE/0/001",
    ],
)  # fmt: skip
def test_any_other_spelling_is_no_tile(path: str) -> None:
    with pytest.raises(NoSuchTileError):
        Tile.parse(path)


@given(st.text(alphabet="tile/0x19.pnrs", max_size=30))
def test_what_parses_is_spelt_the_one_way(path: str) -> None:
    try:
        tile = Tile.parse(path)
    except NoSuchTileError:
        return
    assert tile.path == path


def test_the_tiles_of_a_tree_of_70000_as_in_the_specification() -> None:
    tiles = list(grown(0, 70_000))
    assert len([each for each in tiles if each.level == 0 and each.width == 256]) == 273
    assert [each for each in tiles if each.width < 256] == [
        Tile(-1, 273, 112), Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1),
    ]  # fmt: skip
    assert list(grown(255, 256)) == [Tile(-1, 0), Tile(0, 0), Tile(1, 0, 1)]


@given(st.integers(0, 200_000), st.integers(0, 3000), st.integers(0, 3000))
def test_growing_in_two_steps_leaves_the_tiles_of_one(start: int, first: int, second: int) -> None:
    end = start + first + second
    once = set(grown(start, end))
    twice = set(grown(start, start + first)) | set(grown(start + first, end))
    assert once <= twice
    assert all(width_at(each.level, each.index, end) == each.width for each in once)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=256))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    assert unbundle(bundle(entries)) == entries


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=9), st.integers(1, 30))
def test_a_bundle_that_is_cut_off_is_refused_or_shorter(entries: list[bytes], cut: int) -> None:
    data = bundle(entries)[:-cut]
    try:
        found = unbundle(data)
    except IntegrityError:
        return
    assert found == entries[: len(found)]


def test_a_tile_is_written_once_and_never_otherwise(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path / "log")
    tile = Tile(0, 1234067, 3)
    directory.write({tile: b"a" * 96})
    directory.write({tile: b"a" * 96})
    with pytest.raises(TileForkError):
        directory.write({tile: b"b" * 96})
    assert (tmp_path / "log/tile/0/x001/x234/067.p/3").read_bytes() == b"a" * 96
    assert not list(tmp_path.rglob(".new-*"))


def test_the_full_tile_replaces_its_partial_ones_and_answers_for_them(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    hashes = [bytes([each]) * 32 for each in range(256)]
    entries = [b"entry %d" % each for each in range(256)]
    directory.write({Tile(0, 0, 5): b"".join(hashes[:5]), Tile(-1, 0, 5): bundle(entries[:5])})
    directory.write({Tile(0, 0): b"".join(hashes), Tile(-1, 0): bundle(entries)})
    assert not (tmp_path / "tile/0/000.p").exists()
    assert directory.read(Tile(0, 0, 5)) == b"".join(hashes[:5])
    assert directory.read(Tile(-1, 0, 5)) == bundle(entries[:5])
    with pytest.raises(NoSuchTileError):
        directory.read(Tile(0, 1, 5))


def test_an_archived_log_leaves_room_for_the_next(tmp_path: Path) -> None:
    directory = TileDirectory(tmp_path)
    directory.write({Tile(0, 0, 1): b"a" * 32})
    directory.publish("old\n")
    directory.archive("1")
    directory.archive("1")
    assert directory.checkpoint() is None
    old = TileDirectory(tmp_path / "1")
    assert (old.checkpoint(), old.read(Tile(0, 0, 1))) == ("old\n", b"a" * 32)
