"""Hash trees as in RFC 6962, section 2.1: leaves, nodes, roots, inclusion and consistency proofs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from heldtrue.kernel.errors import IntegrityError

EMPTY_ROOT = sha256().digest()
"""The root of a tree without leaves (RFC 6962, section 2.1)."""


class ProofRefusedError(IntegrityError):
    """The proof does not lead from the entry to the root; do not believe either of them."""

    code = "proof-refused"


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


class Nodes(Protocol):
    """Whatever knows the hashes of complete subtrees."""

    def node(self, level: int, index: int) -> bytes:
        """Return the hash over the leaves [index·2^level, (index + 1)·2^level)."""
        ...


@dataclass(slots=True)
class Frontier:
    """The right edge of a growing tree: one hash for each bit that is set in its size."""

    size: int = 0
    _stack: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])

    @classmethod
    def of(cls, nodes: Nodes, size: int) -> Frontier:
        """Return the frontier of the first *size* leaves."""
        return cls(size, [(level, nodes.node(level, index)) for level, index in _complete(0, size)])

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf's hash; return the subtrees it completes, as (level, index, hash), lowest first."""
        completed: list[tuple[int, int, bytes]] = []
        level, hashed = 0, leaf
        while self._stack and self._stack[-1][0] == level:
            hashed = node_hash(self._stack.pop()[1], hashed)
            level += 1
            completed.append((level, self.size >> level, hashed))
        self._stack.append((level, hashed))
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        if not self._stack:
            return EMPTY_ROOT
        hashed = self._stack[-1][1]
        for _, left in reversed(self._stack[:-1]):
            hashed = node_hash(left, hashed)
        return hashed

    def copy(self) -> Frontier:
        """Return a frontier that grows apart from this one."""
        return Frontier(self.size, list(self._stack))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over the hashes of all *leaves*."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a complete subtree over 2^n *hashes*."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def root_at(nodes: Nodes, size: int) -> bytes:
    """Return the root of the first *size* leaves."""
    return _range_hash(nodes, 0, size) if size else EMPTY_ROOT


def inclusion_proof(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """Return PATH(index, D[size]), the leaf's sibling first (RFC 6962, section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_hash(nodes, middle, high))
            high = middle
        else:
            path.append(_range_hash(nodes, low, middle))
            low = middle
    return path[::-1]


def consistency_proof(nodes: Nodes, old: int, size: int) -> list[bytes]:
    """Return PROOF(old, D[size]) (RFC 6962, section 2.1.2); empty where nothing is to be shown."""
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves does not extend one of {old}")
    if old in {0, size}:
        return []
    path: list[bytes] = []
    low, high, whole = 0, size, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range_hash(nodes, middle, high))
            high = middle
        else:
            path.append(_range_hash(nodes, low, middle))
            low, whole = middle, False
    if not whole:
        path.append(_range_hash(nodes, low, high))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Return if *path* leads from *leaf* at *index* to *root*; raise otherwise (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofRefusedError(f"index {index} is outside of a tree of {size} leaves")
    here, last, hashed = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise ProofRefusedError("the inclusion proof is longer than the tree is high")
        if here & 1 or here == last:
            hashed = node_hash(step, hashed)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            hashed = node_hash(hashed, step)
        here, last = here >> 1, last >> 1
    if last or hashed != root:
        raise ProofRefusedError("the inclusion proof does not lead to the root")


def verify_consistency(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Return if the tree of *size* extends the tree of *old*; raise otherwise (RFC 9162, section 2.1.4.2)."""
    if old > size:
        raise ProofRefusedError(f"a tree of {size} leaves does not extend one of {old}")
    if old in {0, size}:
        if path or (old_root != (EMPTY_ROOT if old == 0 else root)):
            raise ProofRefusedError("two trees of the same size differ, or the proof shows what needs no proof")
        return
    steps = list(path) if old & (old - 1) else [old_root, *path]
    if not steps:
        raise ProofRefusedError("the consistency proof is empty")
    here, last = old - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofRefusedError("the consistency proof is longer than the tree is high")
        if here & 1 or here == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            second = node_hash(second, step)
        here, last = here >> 1, last >> 1
    if last or first != old_root or second != root:
        raise ProofRefusedError("the newer tree does not contain the older one")


def _split(size: int) -> int:
    """Return the largest power of two below *size*."""
    return 1 << (size - 1).bit_length() - 1


def _complete(low: int, high: int) -> list[tuple[int, int]]:
    """Return the complete subtrees that make up [low, high), where *low* is aligned as RFC 6962 splits."""
    found: list[tuple[int, int]] = []
    while low < high:
        level = (high - low).bit_length() - 1
        found.append((level, low >> level))
        low += 1 << level
    return found


def _range_hash(nodes: Nodes, low: int, high: int) -> bytes:
    hashes = [nodes.node(level, index) for level, index in _complete(low, high)]
    hashed = hashes[-1]
    for left in reversed(hashes[:-1]):
        hashed = node_hash(left, hashed)
    return hashed
