"""File a document behind a claim, withdraw it, and say something of a failure: each an entry of the log, in clear."""

from __future__ import annotations

from uuid import UUID

from heldtrue.capabilities.attestations import model, store
from heldtrue.capabilities.attestations.model import Document
from heldtrue.capabilities.attestations.store import EntryRow
from heldtrue.capabilities.ledger.actions import append_clear
from heldtrue.capabilities.ledger.model import Kind
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import LeafId
from heldtrue.op import SystemOperation

__all__ = ["EntryRow", "NotAttestedError", "annotate", "attest", "attestations", "notes", "recorded", "withdraw"]


class NotAttestedError(NotFoundError):
    """No document stands behind this claim; `heldtrue claims show` says what does."""

    code = "not-attested"


def attest(op: SystemOperation, claim: str, document: Document) -> LeafId:
    """Let *document* stand behind *claim* in place of an earlier one, until it expires.

    Raise `PostdatedError` for a date to come, `ExpiredDocumentError` for one that is over.
    """
    model.admit(claim, document, op.now)
    entry = model.attested(claim, document, op.now)
    leaf = append_clear(op.tx, Kind.ATTESTATION, entry, op.now, op.entropy)
    store.insert_attestation(op.tx, claim, leaf, entry, op.now)
    return leaf


def withdraw(op: SystemOperation, claim: str) -> LeafId:
    """Let nothing stand behind *claim* any more; what was there stays in the log."""
    row = store.newest(op.tx, claim)
    if row is None or row.document["withdrawn"]:
        raise NotAttestedError
    entry = model.withdrawn(row.document, op.now)
    leaf = append_clear(op.tx, Kind.ATTESTATION, entry, op.now, op.entropy)
    store.insert_attestation(op.tx, claim, leaf, entry, op.now)
    return leaf


def annotate(op: SystemOperation, attack: str, number: int | None, text: str) -> LeafId:
    """Say something of run *number* of *attack*, or of its overdue check; nothing is ever changed or taken back."""
    entry = model.annotated(attack, number, text, op.now)
    leaf = append_clear(op.tx, Kind.ANNOTATION, entry, op.now, op.entropy)
    store.insert_annotation(op.tx, attack, leaf, entry, op.now)
    return leaf


def attestations(op: SystemOperation, after: UUID | None, limit: int) -> list[EntryRow]:
    """Return what stood and stands behind claims, the newest first."""
    return store.attestations(op.tx, after, limit)


def notes(op: SystemOperation, after: UUID | None, limit: int) -> list[EntryRow]:
    """Return what was said of failures, the newest first."""
    return store.notes(op.tx, after, limit)


def recorded(op: SystemOperation, leaf: LeafId) -> EntryRow:
    """Return what was recorded under *leaf*."""
    return store.entry(op.tx, leaf)
