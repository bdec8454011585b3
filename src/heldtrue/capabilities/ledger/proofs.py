"""Proofs that an entry is in the log, made from the database within the caller's own transaction."""

from __future__ import annotations

from heldtrue.capabilities.ledger import cosignatures, store, tree
from heldtrue.capabilities.ledger.proof import LogProof
from heldtrue.db.tx import SystemTx, TenantTx
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import LeafId


class NotYetLoggedError(UnavailableError):
    """The entry has no signed checkpoint over it yet; ask again in a second."""

    code = "not-yet-logged"


def proof_of(tx: TenantTx | SystemTx, leaf: LeafId, extra: bytes | None) -> str:
    """Return the tlog-proof of *leaf* against the first checkpoint that covers it, which so dates it.

    Where witnesses cosigned a checkpoint soon after, it is that one, with their signatures.

    *extra* is the salt of an organisation's entry, None for an entry in clear. Raise `NotYetLoggedError` until the
    sequencer has passed.
    """
    return str(log_proof(tx, leaf, extra))


def log_proof(tx: TenantTx | SystemTx, leaf: LeafId, extra: bytes | None) -> LogProof:
    """Return the same as `proof_of`, as a value."""
    place, covering = _covered(tx, leaf)
    nodes = store.nodes(tx, place.generation, covering.size)
    hashes = tree.inclusion_proof(nodes, place.index, covering.size)
    return LogProof(place.index, tuple(hashes), covering.note, extra)


def entry_of(tx: TenantTx | SystemTx, leaf: LeafId) -> bytes:
    """Return the entry itself, as it lies in the log; raise `NotYetLoggedError` until it does."""
    return _covered(tx, leaf)[0].entry


def generation_of(tx: TenantTx | SystemTx, leaf: LeafId) -> int:
    """Return which generation of the log holds *leaf*; raise `NotYetLoggedError` until one does."""
    return _covered(tx, leaf)[0].generation


def _covered(tx: TenantTx | SystemTx, leaf: LeafId) -> tuple[store.Place, store.CheckpointRow]:
    place = store.place(tx, leaf)
    covering = place and cosignatures.covering(tx, place.generation, place.index)
    if place is None or covering is None:
        raise NotYetLoggedError
    return place, covering
