"""Sealing: what is sealed opens in its own place, and nowhere else."""

from __future__ import annotations

import dataclasses
import secrets
import struct
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.crypto.sealing import (
    HEADER_SIZE,
    Context,
    DataKey,
    Opener,
    SealBrokenError,
    Sealer,
    key_id_of,
    open_sealed,
    seal,
)
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
KEY = DataKey.generate(secrets.token_bytes, NOW)
HERE = Context("prod", UUID(int=7), "payloads", "body", "row-1", "object")
CHUNK = 16 * 1024
SIZES = [0, 1, 31, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5]

contexts = st.builds(
    Context,
    st.text("abc0", min_size=1, max_size=3),
    st.uuids(),
    st.text(max_size=4),
    st.text(max_size=4),
    st.text(max_size=4),
    st.text(max_size=4),
    st.integers(0, 2**32 - 1),
)


@given(contexts, st.binary(max_size=200))
def test_what_is_sealed_opens_in_its_place(context: Context, plaintext: bytes) -> None:
    sealed = seal(KEY, context, plaintext)
    assert open_sealed(KEY, context, sealed) == plaintext
    assert key_id_of(sealed) == KEY.id


@given(contexts, contexts)
def test_what_is_sealed_opens_in_no_other_place(one: Context, other: Context) -> None:
    sealed = seal(KEY, one, b"content")
    if one == other:
        assert open_sealed(KEY, other, sealed) == b"content"
    else:
        assert one.encode(b"") != other.encode(b"")
        with pytest.raises(SealBrokenError):
            open_sealed(KEY, other, sealed)


MOVES: dict[str, object] = {
    "environment": "test",
    "tenant": UUID(int=8),
    "table": "attachments",
    "column": "meta",
    "row": "row-2",
    "purpose": "ledger",
    "row_version": 2,
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Context)])
def test_moving_any_part_of_the_place_breaks_the_seal(field: str) -> None:
    sealed = seal(KEY, HERE, b"content")
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, dataclasses.replace(HERE, **{field: MOVES[field]}), sealed)


def test_bytes_pushed_from_one_field_to_the_next_break_the_seal() -> None:
    sealed = seal(KEY, dataclasses.replace(HERE, table="ab", column="c"), b"content")
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, dataclasses.replace(HERE, table="a", column="bc"), sealed)


def test_every_changed_byte_breaks_the_seal() -> None:
    sealed = seal(KEY, HERE, b"content")
    for at in range(len(sealed)):
        with pytest.raises(SealBrokenError):
            open_sealed(KEY, HERE, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])


@pytest.mark.parametrize("size", SIZES)
def test_every_truncation_at_a_boundary_breaks_the_seal(size: int) -> None:
    sealed = seal(KEY, HERE, bytes(size))
    boundaries = [HEADER_SIZE + 56 + n * (CHUNK + 16) for n in range(5)]
    cuts = {at + shift for at in [0, HEADER_SIZE, len(sealed), *boundaries] for shift in (-17, -16, -1, 0, 1)}
    for cut in sorted(cut for cut in cuts if 0 <= cut < len(sealed)):
        with pytest.raises(SealBrokenError):
            open_sealed(KEY, HERE, sealed[:cut])
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, HERE, sealed + b"\0")


def test_swapped_chunks_break_the_seal() -> None:
    sealed = seal(KEY, HERE, bytes(2 * CHUNK + 1))
    start, width = HEADER_SIZE + 56, CHUNK + 16
    first, second = sealed[start : start + width], sealed[start + width : start + 2 * width]
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, HERE, sealed[:start] + second + first + sealed[start + 2 * width :])


def test_another_key_of_the_same_id_does_not_open() -> None:
    sealed = seal(KEY, HERE, b"content")
    with pytest.raises(SealBrokenError):
        open_sealed(DataKey(KEY.id, Secret(secrets.token_bytes(32))), HERE, sealed)


def test_a_value_that_names_another_key_is_refused_before_it_is_tried() -> None:
    other = DataKey(CryptoKeyId.new(NOW, secrets.token_bytes), KEY.material)
    with pytest.raises(SealBrokenError, match="another key"):
        open_sealed(other, HERE, seal(KEY, HERE, b"content"))


def test_a_header_rewritten_to_another_id_does_not_open_even_under_the_same_bytes() -> None:
    other = DataKey(CryptoKeyId.new(NOW, secrets.token_bytes), KEY.material)
    forged = seal(other, HERE, b"")[:HEADER_SIZE] + seal(KEY, HERE, b"content")[HEADER_SIZE:]
    with pytest.raises(SealBrokenError):
        open_sealed(other, HERE, forged)


def test_the_same_content_sealed_twice_differs() -> None:
    assert seal(KEY, HERE, b"content") != seal(KEY, HERE, b"content")


@given(st.lists(st.integers(0, 2 * CHUNK), max_size=5), st.integers(1, CHUNK + 40))
def test_a_stream_in_any_pieces_is_the_same_as_the_whole(sizes: list[int], piece: int) -> None:
    parts = [bytes([n]) * size for n, size in enumerate(sizes)]
    sealer = Sealer(KEY, HERE)
    sealed = sealer.start() + b"".join(sealer.update(part) for part in parts) + sealer.finish()
    plaintext = b"".join(parts)
    assert open_sealed(KEY, HERE, sealed) == plaintext
    opener = Opener(KEY, HERE)
    pieces = (sealed[at : at + piece] for at in range(0, len(sealed), piece))
    assert b"".join([*map(opener.update, pieces), opener.finish()]) == plaintext


def test_an_opener_fed_byte_by_byte_holds_back_what_is_not_authentic() -> None:
    sealed = seal(KEY, HERE, b"content")
    opener = Opener(KEY, HERE)
    assert all(opener.update(bytes([byte])) == b"" for byte in sealed)
    assert opener.finish() == b"content"


def test_a_stream_cut_between_chunks_raises_at_the_end() -> None:
    sealed = seal(KEY, HERE, bytes(CHUNK))
    opener = Opener(KEY, HERE)
    assert opener.update(sealed[:-16]) in {b"", bytes(CHUNK)}
    with pytest.raises(SealBrokenError):
        opener.finish()


@pytest.mark.parametrize(
    "sealed",
    [
        b"",
        b"HTS",
        b"HTS\x02" + bytes(16) + b"\0\0\0\1",
        b"XTS\x01" + bytes(16) + b"\0\0\0\1",
        b"HTS\x01" + bytes(16) + b"\0\0\0\2",
    ],
)
def test_an_unknown_header_is_refused(sealed: bytes) -> None:
    with pytest.raises(SealBrokenError):
        key_id_of(sealed)
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, HERE, sealed)


def test_a_key_of_another_length_is_no_key() -> None:
    for size in (0, 16, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            DataKey(KEY.id, Secret(bytes(size)))


@pytest.mark.parametrize("version", [-1, 2**32])
def test_a_row_version_that_does_not_fit_is_refused_and_not_wrapped(version: int) -> None:
    with pytest.raises(struct.error):
        dataclasses.replace(HERE, row_version=version).encode(b"")
