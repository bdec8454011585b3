"""What can be done with receipts: issue, look at, bundle, follow a link, forget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from heldtrue.capabilities.keystore.actions import key_entry
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.ledger.proofs import NotYetLoggedError, proof_of
from heldtrue.capabilities.receipts import store
from heldtrue.capabilities.receipts.model import (
    Bundle,
    Forwarded,
    Links,
    ListReceipts,
    NoSuchReceiptError,
    NotInTheLogYetError,
    ReceiptErasedError,
    ReceiptSummary,
    ReceiptView,
    TheReceipt,
    bundle_token,
    document,
    link_digest,
    verification_method,
)
from heldtrue.crypto.canonical import canonicalize_entry
from heldtrue.crypto.digest import sha256
from heldtrue.crypto.integrity import attach_proof
from heldtrue.crypto.sealing import DataKey, key_id_of
from heldtrue.crypto.signing import SigningKey
from heldtrue.db.tx import Database
from heldtrue.http.pagination import Listing, listing
from heldtrue.http.ports import Linked
from heldtrue.kernel.ids import CryptoKeyId, EndpointId, LeafId, OutputId, PayloadId, ReceiptId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Operation

EVENT = "receipt"
LINK = "link"
"""The purpose of the tenant key that links are derived from."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A receipt as it travels: the signed document and the links beside it."""

    id: ReceiptId
    payload: PayloadId
    document: dict[str, Any]
    links: Links

    @property
    def output(self) -> OutputId | None:
        """The output that it is about; None: the payload itself."""
        named = self.document["output"].get("id")
        return None if named is None else OutputId.parse(named)


def issue(op: Operation, whats: Sequence[tuple[Forwarded, DataKey]], key: SigningKey, origin: str) -> list[Issued]:
    """Sign a receipt for each (output, endpoint), put it into the ledger and keep it, sealed as its payload is (T2).

    A second one for the same output and endpoint is refused by the database.
    """
    appender = ledger.Appender(op.tx, op.keys, op.tenant, op.environment, op.now, op.entropy)
    link = op.keys.secret_for(LINK)
    signed = [_sign(op, what, object_key, key, origin, appender, link) for what, object_key in whats]
    appender.flush()
    store.insert(op.tx, op.tenant.value, op.environment, [(row, issued.links.digest) for issued, row in signed])
    return [issued for issued, _ in signed]


def _sign(
    op: Operation,
    what: Forwarded,
    object_key: DataKey,
    key: SigningKey,
    origin: str,
    appender: ledger.Appender,
    link: Secret[bytes],
) -> tuple[Issued, store.ReceiptRow]:
    receipt = ReceiptId.new(op.now, op.entropy)
    plain = document(receipt, origin, what, op.now)
    signed = attach_proof(plain, key, op.now, verification_method(origin, key.public))
    canonical = canonicalize_entry(signed)
    leaf = appender.append("receipt", EVENT, signed, object_key)
    row = store.ReceiptRow(
        receipt_id=receipt.value,
        payload_id=what.payload.value,
        ordinal=what.ordinal,
        endpoint_id=what.endpoint.value,
        signing_key_id=key.id.value,
        sealed=op.keys.seal_object(object_key, "receipts", "document", str(receipt.value), canonical),
        digest=sha256(canonical),
        leaf_id=leaf.value,
        created_at=op.now,
        output_id=None if what.output is None else what.output.id.value,
    )
    return Issued(receipt, what.payload, signed, Links.of(link, receipt)), row


def issued(op: Operation, receipt: ReceiptId) -> Issued:
    """Return a receipt as it was issued, byte for byte; raise `ReceiptErasedError` once its payload was erased."""
    row = store.receipt(op.tx, receipt.value)
    if row is None:
        raise NoSuchReceiptError
    return Issued(receipt, PayloadId(row.payload_id), _open(op, row), _links(op, receipt))


def issued_many(op: Operation, receipts: Sequence[ReceiptId]) -> dict[ReceiptId, Issued]:
    """Return receipts as they were issued, in two round trips; those that were erased are left out."""
    rows = [row for row in store.receipts_of(op.tx, [one.value for one in receipts]) if row.sealed is not None]
    keys = op.keys.object_keys(key_id_of(row.sealed or b"") for row in rows)
    link = op.keys.secret_for(LINK)
    found: dict[ReceiptId, Issued] = {}
    for row in rows:
        receipt, sealed = ReceiptId(row.receipt_id), row.sealed or b""
        key = keys.get(key_id_of(sealed))
        if key is not None:
            plain = op.keys.open_object(key, "receipts", "document", str(row.receipt_id), sealed)
            found[receipt] = Issued(receipt, PayloadId(row.payload_id), orjson.loads(plain), Links.of(link, receipt))
    return found


def list_receipts(op: Operation, asked: ListReceipts) -> Listing[ReceiptSummary]:
    """List the environment's receipts, newest first."""
    rows = store.receipts(op.tx, asked.of_payload(), asked.after(), asked.limit + 1)
    return listing(rows, asked, _summary, lambda row: row.receipt_id)


def get_receipt(op: Operation, asked: TheReceipt) -> ReceiptView:
    """Return the signed document; by itself it is undated, the bundle dates it."""
    row = store.receipt(op.tx, ReceiptId.parse(asked.receipt_id).value)
    if row is None:
        raise NoSuchReceiptError
    return ReceiptView(
        id=str(ReceiptId(row.receipt_id)),
        payload_id=str(PayloadId(row.payload_id)),
        endpoint_id=str(EndpointId(row.endpoint_id)),
        created_at=row.created_at,
        sha256=row.digest.hex(),
        leaf=str(LeafId(row.leaf_id)),
        receipt=_open(op, row),
    )


def get_bundle(op: Operation, asked: TheReceipt) -> Bundle:
    """Return the receipt with the proofs that date it and its key."""
    return bundle(op, ReceiptId.parse(asked.receipt_id).value)


def bundle(op: Operation, receipt: UUID) -> Bundle:
    """Return the bundle; raise `NotInTheLogYetError` until a checkpoint covers both entries."""
    row = store.receipt(op.tx, receipt)
    if row is None:
        raise NoSuchReceiptError
    signed = _open(op, row)
    _, salt = ledger.read_document(op, LeafId(row.leaf_id))
    try:
        entry, key_leaf = key_entry(op.tx, CryptoKeyId(row.signing_key_id), LeafId(row.leaf_id))
        return Bundle(
            receipt=signed,
            proof=proof_of(op.tx, LeafId(row.leaf_id), salt),
            key_entry=entry,
            key_proof=proof_of(op.tx, key_leaf, None),
        )
    except NotYetLoggedError as error:
        raise NotInTheLogYetError from error


def forget(op: Operation, payload: PayloadId) -> None:
    """Forget the receipts of a payload that is erased, their ledger documents included; their entries stay."""
    for row in store.forget(op.tx, payload.value):
        ledger.erase(op, LeafId(row.leaf_id))


def resolve_link(database: Database, token: str) -> Linked | None:
    """Return what an unguessable link leads to; None when it is none of ours. Blocking.

    A bundle's token leads to its receipt, a content token to its output or payload: neither id is known among the
    other's rows, so that a bundle's link opens no content.
    """
    with database.edge() as tx:
        found = store.linked(tx, link_digest(token))
        if found is not None:
            return Linked(TenantId(found.tenant_id), found.environment, found.receipt_id)
        found = store.linked(tx, link_digest(bundle_token(token)))
        if found is not None:
            return Linked(TenantId(found.tenant_id), found.environment, found.output_id or found.payload_id)
    return None


def _links(op: Operation, receipt: ReceiptId) -> Links:
    return Links.of(op.keys.secret_for(LINK), receipt)


def _open(op: Operation, row: store.ReceiptRow) -> dict[str, Any]:
    if row.sealed is None:
        raise ReceiptErasedError
    key = op.keys.object_key(key_id_of(row.sealed))
    return orjson.loads(op.keys.open_object(key, "receipts", "document", str(row.receipt_id), row.sealed))


def _summary(row: store.ReceiptRow) -> ReceiptSummary:
    return ReceiptSummary(
        id=str(ReceiptId(row.receipt_id)),
        payload_id=str(PayloadId(row.payload_id)),
        endpoint_id=str(EndpointId(row.endpoint_id)),
        created_at=row.created_at,
        sha256=row.digest.hex(),
        leaf=str(LeafId(row.leaf_id)),
        erased=row.sealed is None,
    )
