"""The tree against RFC 6962's own recursive definitions, written down here word for word."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.ledger import tree
from heldtrue.capabilities.ledger.tiles import TileNodes
from heldtrue.capabilities.ledger.tree import Frontier, ProofRefusedError


def mth(entries: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def proof(m: int, entries: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """RFC 6962, section 2.1.2."""
    if m == len(entries):
        return [] if whole else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return [*proof(m, entries[:k], whole=whole), mth(entries[k:])]
    return [*proof(m - k, entries[k:], whole=False), mth(entries[:k])]


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def entries_of(size: int) -> list[bytes]:
    return [b"entry %d" % each for each in range(size)]


def nodes_of(entries: Sequence[bytes]) -> TileNodes:
    """Nodes through tiles, each tile computed from its own definition (tlog-tiles, "Merkle Tree")."""

    def load(level: int, index: int, width: int) -> list[bytes]:
        span = 256**level
        first = index * 256
        return [mth(entries[at * span : (at + 1) * span]) for at in range(first, first + width)]

    return TileNodes(load, len(entries))


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert tree.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Frontier().root() == mth([])


def test_known_roots_of_certificate_transparency() -> None:
    """The eight leaves that the reference implementations of RFC 6962 share."""
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(tree.leaf_hash(bytes.fromhex(leaf)))
    assert frontier.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(st.lists(st.binary(max_size=8), max_size=80))
def test_the_frontier_has_the_root_of_the_definition_at_every_size(entries: list[bytes]) -> None:
    frontier = Frontier()
    for size, entry in enumerate(entries):
        assert frontier.root() == mth(entries[:size])
        frontier.append(tree.leaf_hash(entry))
    assert frontier.root() == mth(entries) == tree.root_at(nodes_of(entries), len(entries))


@given(st.integers(1, 700), st.data())
def test_inclusion_proofs_are_those_of_the_definition(size: int, data: st.DataObject) -> None:
    entries = entries_of(size)
    index = data.draw(st.integers(0, size - 1))
    found = tree.inclusion_proof(nodes_of(entries), index, size)
    assert found == path(index, entries)
    tree.verify_inclusion(tree.leaf_hash(entries[index]), index, size, found, mth(entries))


@given(st.integers(1, 700), st.data())
def test_consistency_proofs_are_those_of_the_definition(size: int, data: st.DataObject) -> None:
    entries = entries_of(size)
    old = data.draw(st.integers(1, size))
    found = tree.consistency_proof(nodes_of(entries), old, size)
    assert found == proof(old, entries)
    tree.verify_consistency(old, mth(entries[:old]), size, mth(entries), found)


@given(st.integers(1, 600), st.data())
def test_a_proof_with_anything_changed_is_refused(size: int, data: st.DataObject) -> None:
    entries = entries_of(size)
    index = data.draw(st.integers(0, size - 1))
    leaf, root, right = tree.leaf_hash(entries[index]), mth(entries), path(index, entries)
    other = sha256(b"other").digest()
    wrong: list[tuple[bytes, int, int, list[bytes], bytes]] = [
        (other, index, size, right, root),
        (leaf, index, size, right, other),
        (leaf, index, size, [*right, other], root),
        (leaf, size, size, right, root),
    ]
    if right:
        at = data.draw(st.integers(0, len(right) - 1))
        wrong += [
            (leaf, index, size, right[:-1], root),
            (leaf, index, size, [*right[:at], other, *right[at + 1 :]], root),
            (leaf, index ^ 1, size, right, root),
        ]
    for case in wrong:
        with pytest.raises(ProofRefusedError):
            tree.verify_inclusion(*case)


@given(st.integers(2, 600), st.data())
def test_a_fork_is_not_consistent(size: int, data: st.DataObject) -> None:
    entries = entries_of(size)
    old = data.draw(st.integers(1, size - 1))
    forked = list(entries)
    forked[data.draw(st.integers(0, old - 1))] = b"another history"
    shown = proof(old, entries)
    with pytest.raises(ProofRefusedError):
        tree.verify_consistency(old, mth(forked[:old]), size, mth(entries), shown)
    with pytest.raises(ProofRefusedError):
        tree.verify_consistency(old, mth(entries[:old]), size, mth(forked), shown)
    with pytest.raises(ProofRefusedError):
        tree.verify_consistency(old, mth(entries[:old]), size, mth(entries), shown[:-1])


def test_a_tree_is_consistent_with_itself_and_with_nothing() -> None:
    root = mth(entries_of(3))
    tree.verify_consistency(3, root, 3, root, [])
    tree.verify_consistency(0, tree.EMPTY_ROOT, 3, root, [])
    for case in [(3, mth(entries_of(2)), 3, root, []), (0, root, 3, root, []), (4, root, 3, root, []),
                 (3, root, 3, root, [root])]:  # fmt: skip
        with pytest.raises(ProofRefusedError):
            tree.verify_consistency(*case)


@given(st.integers(0, 1200))
def test_a_frontier_taken_up_again_grows_as_if_never_put_down(size: int) -> None:
    entries = entries_of(size + 3)
    taken = Frontier.of(nodes_of(entries[:size]), size)
    for entry in entries[size:]:
        taken.append(tree.leaf_hash(entry))
    assert taken.root() == mth(entries)


def test_completed_subtrees_are_named_by_level_and_index() -> None:
    entries = entries_of(513)
    frontier = Frontier()
    completed = {
        (level, index): hashed for entry in entries for level, index, hashed in frontier.append(tree.leaf_hash(entry))
    }
    assert completed[8, 0] == mth(entries[:256])
    assert completed[8, 1] == mth(entries[256:512])
    assert completed[9, 0] == mth(entries[:512])
    assert (8, 2) not in completed
