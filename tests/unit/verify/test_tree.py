"""RFC 6962, for every shape of a small tree, against the definitions written out word by word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue_verify.note import Note, VerifierKey, from_base64
from heldtrue_verify.tiles import read_bundle, tile_path
from heldtrue_verify.tree import EMPTY_ROOT, Frontier, consistency_proof, extends, includes
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError

from .simulator import Signer, leaf, mth, path

LEAVES = [leaf(bytes([n])) for n in range(40)]


def range_hash(start: int, end: int) -> bytes:
    return mth(LEAVES[start:end])


def test_the_published_roots() -> None:
    """The empty tree and the first two sizes of the well-known eight-leaf vector of Certificate Transparency."""
    frontier = Frontier()
    assert frontier.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    expected = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    ]
    for entry, root in zip([b"", b"\x00", b"\x10"], expected, strict=True):
        frontier.append(leaf(entry))
        assert frontier.root().hex() == root


@pytest.mark.parametrize("size", range(1, 34))
def test_every_entry_of_every_tree_is_included_and_nowhere_else(size: int) -> None:
    frontier = Frontier()
    for item in LEAVES[:size]:
        frontier.append(item)
    root = mth(LEAVES[:size])
    assert frontier.root() == root
    for index in range(size):
        proof = path(index, LEAVES[:size])
        assert includes(index, size, LEAVES[index], proof, root)
        assert not includes(index, size, LEAVES[index + 1], proof, root)
        assert not any(includes(other, size, LEAVES[index], proof, root) for other in (index - 1, index + 1, size, -1))
        assert not includes(index, size, LEAVES[index], [*proof, root], root)
        assert not includes(index, size, LEAVES[index], proof[:-1], root) or not proof


@pytest.mark.parametrize("size", range(34))
def test_every_tree_extends_every_beginning_and_nothing_else(size: int) -> None:
    root = mth(LEAVES[:size])
    for old in range(size + 1):
        old_root = mth(LEAVES[:old])
        proof = consistency_proof(old, size, range_hash)
        assert extends(old, old_root, size, root, proof)
        assert not extends(old, leaf(b"?"), size, root, proof)
        assert not extends(old, old_root, size, leaf(b"?"), proof) or old == 0
        assert not extends(old, old_root, size, root, [*proof, root])
        if proof:
            assert not extends(old, old_root, size, root, proof[:-1])
            assert not extends(old, old_root, size, root, [leaf(b"?"), *proof[1:]])
    assert not extends(size + 1, root, size, root, [])
    assert not extends(0, leaf(b"?"), size, root, [])
    assert mth([]) == EMPTY_ROOT


def test_tile_paths() -> None:
    assert tile_path(0, 0) == "tile/0/000"
    assert tile_path(3, 1234067, 7) == "tile/3/x001/x234/067.p/7"
    assert tile_path("entries", 1000) == "tile/entries/x001/000"


def test_bundles() -> None:
    assert read_bundle(b"\x00\x01a\x00\x00\x00\x02bc") == [b"a", b"", b"bc"]
    for cut in (b"\x00", b"\x00\x02a", b"\x00\x01a\x00"):
        with pytest.raises(MalformedError):
            read_bundle(cut)


@pytest.mark.parametrize(
    "text", ["", "a\n", "a\n\n", "a\n\nb\n", "a\n\n— x AAAA\n", "a\r\n\n— x AAAAAAAA\n", "a\n\n— x AAAAAAAA"]
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        Note.parse(text)


def test_many_signatures_are_accepted_and_unknown_keys_ignored() -> None:
    signer = Signer("a.example")
    text = "a.example\n0\nx\n"
    strangers = "".join(Signer(name).sign_note(text) for name in ["a.example", *"bcdefghijklmnop"])
    key = VerifierKey.parse(signer.vkey())
    assert Note.parse(text + "\n" + strangers + signer.sign_note(text)).signatures_by(key) == [0]
    assert Note.parse(text + "\n" + strangers).signatures_by(key) == []
    with pytest.raises(MalformedError):
        Note.parse(text + "\n" + strangers * 5)
    with pytest.raises(DoesNotHoldError):
        Note.parse("b.example\n0\nx\n\n" + signer.sign_note(text)).signatures_by(key)
    assert str(key) == signer.vkey()


@pytest.mark.parametrize("text", ["AAAA AAAA", "AAA", "AAB=", "AA==\n", "_-_-"])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(MalformedError):
        from_base64(text)


@given(st.binary())
def test_a_note_of_any_bytes_never_crashes(data: bytes) -> None:
    try:
        Note.parse(data.decode("utf-8", "replace"))
    except MalformedError:
        return
