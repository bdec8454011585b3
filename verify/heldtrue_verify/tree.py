"""The Merkle tree of RFC 6962 section 2.1; verification as RFC 9162 sections 2.1.3.2 and 2.1.4.2 word it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
RangeHash = Callable[[int, int], bytes]
"""Gives the hash of the entries from the first number up to, not including, the second."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def includes(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether *proof* shows *leaf* at *index* of the tree with *size* entries and *root* (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def extends(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether *proof* shows the old tree to be the beginning of the new one (RFC 9162 2.1.4.2)."""
    if old_size == size:
        return old_root == root and not proof
    if old_size == 0:
        return old_root == EMPTY_ROOT and not proof
    if not old_size < size or not proof:
        return False
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_found = new_found = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_found, new_found = node_hash(sibling, old_found), node_hash(sibling, new_found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_found = node_hash(new_found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_found == old_root and new_found == root


def split(size: int) -> int:
    """Give the largest power of two smaller than *size*."""
    return 1 << (size - 1).bit_length() - 1


def consistency_proof(old_size: int, size: int, range_hash: RangeHash) -> list[bytes]:
    """Compute PROOF(old_size, D[size]) of RFC 6962 section 2.1.2."""

    def subproof(old: int, start: int, end: int, whole: bool) -> list[bytes]:
        if old == end - start:
            return [] if whole else [range_hash(start, end)]
        middle = split(end - start)
        if old <= middle:
            return [*subproof(old, start, start + middle, whole), range_hash(start + middle, end)]
        return [*subproof(old - middle, start + middle, end, False), range_hash(start, start + middle)]

    return subproof(old_size, 0, size, True) if 0 < old_size < size else []


class Frontier:
    """The roots of the full subtrees of a growing tree: enough to append entries and to give the root."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Append the hash of one entry."""
        self._roots.append(leaf)
        self.size += 1
        for _ in range((self.size & -self.size).bit_length() - 1):
            right = self._roots.pop()
            self._roots[-1] = node_hash(self._roots[-1], right)

    def root(self) -> bytes:
        """Give the root of the tree so far."""
        if not self._roots:
            return EMPTY_ROOT
        found = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            found = node_hash(left, found)
        return found
