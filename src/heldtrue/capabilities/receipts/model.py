"""What a receipt says (docs/spec/receipts.md), and the links to its bundle and to the content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from heldtrue.capabilities.intake.model import Meta, stamp
from heldtrue.capabilities.outputs.model import Output, output_document
from heldtrue.crypto import tokens
from heldtrue.crypto.digest import sha256
from heldtrue.crypto.signing import multikey
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import ConflictError, NotFoundError, UnavailableError
from heldtrue.kernel.ids import EndpointId, PayloadId, ReceiptId, TenantId
from heldtrue.kernel.secret import Secret

TYPE = "HeldtrueReceipt"
VERSION = 1


class NoSuchReceiptError(NotFoundError):
    """There is no such receipt here, or the link is not one of ours; copy it again."""

    code = "no-such-receipt"


class ReceiptErasedError(ConflictError):
    """The receipt was erased together with its payload; whoever received it can still verify their copy."""

    code = "receipt-erased"


class NotInTheLogYetError(UnavailableError):
    """The receipt is signed but its entry is not in the log yet; ask again in a second."""

    code = "not-in-the-log-yet"


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What a receipt is about: one output of a payload, on its way to one endpoint."""

    tenant: TenantId
    environment: str
    payload: PayloadId
    received_at: datetime
    source: str
    size: int
    meta: Meta
    attachments: Sequence[tuple[int, int, Meta]]
    ordinal: int
    endpoint: EndpointId
    output: Output | None = None
    """None: the payload itself, unchanged; `ordinal` is 0 then."""


def document(receipt: ReceiptId, origin: str, what: Forwarded, now: datetime) -> dict[str, Any]:
    """Return the receipt before it is signed; ASCII names, no fractions, so that canonical bytes are cheap."""
    tls = what.meta.tls
    return {
        "type": TYPE,
        "version": VERSION,
        "id": str(receipt),
        "origin": origin,
        "tenant": str(what.tenant),
        "environment": what.environment,
        "payload": {
            "id": str(what.payload),
            "received_at": stamp(what.received_at),
            "source": what.source,
            "tls": None if tls is None else {"version": tls.version, "cipher": tls.cipher},
            "content_type": what.meta.content_type,
            "size": what.size,
            "sha256": what.meta.sha256,
            "jcs_sha256": what.meta.jcs_sha256,
            "attachments": [
                {
                    "name": meta.name,
                    "content_type": meta.content_type,
                    "size": size,
                    "sha256": meta.sha256,
                    "jcs_sha256": meta.jcs_sha256,
                }
                for _, size, meta in what.attachments
            ],
        },
        "output": {"ordinal": what.ordinal, "transform": None, "sandbox": None}
        if what.output is None
        else output_document(what.output),
        "endpoint": str(what.endpoint),
        "forwarded_at": stamp(now),
    }


def verification_method(origin: str, public: bytes) -> str:
    """Return the URL that names the signing key in a proof."""
    return f"https://{origin}#{multikey(public)}"


# ---------------------------------------------------------------- links


@dataclass(frozen=True, slots=True)
class Links:
    """Two unguessable tokens. Who holds the content's can make the bundle's of it, never the other way round."""

    content: str
    bundle: str

    @classmethod
    def of(cls, key: Secret[bytes], receipt: ReceiptId) -> Links:
        """Return the links of a receipt, the same each time."""
        content = tokens.link_token(key, receipt.value.bytes)
        return cls(content, bundle_token(content))

    @property
    def digest(self) -> bytes:
        """What is stored: SHA-256 of the bundle's token."""
        return link_digest(self.bundle)


def bundle_token(content_token: str) -> str:
    """Return the bundle's token that belongs to a content token; there is no way back."""
    return tokens.link_token(Secret(content_token.encode()), b"bundle")


def link_digest(token: str) -> bytes:
    """Return what a bundle's token is looked up by."""
    return sha256(token.encode())


# ---------------------------------------------------------------- wire


class TheReceipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a receipt."""

    receipt_id: str


class ListReceipts(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for receipts, newest first."""

    payload_id: str | None = None

    def of_payload(self) -> UUID | None:
        """Return the payload that is asked for."""
        return None if self.payload_id is None else PayloadId.parse(self.payload_id).value


class LinkedAttachment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names an attachment of what a content link leads to."""

    ordinal: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class ReceiptSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt in a list."""

    id: str
    payload_id: str
    endpoint_id: str
    created_at: datetime
    sha256: str
    """Of the signed document in canonical form."""
    leaf: str
    erased: bool


class ReceiptView(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt with the signed document itself."""

    id: str
    payload_id: str
    endpoint_id: str
    created_at: datetime
    sha256: str
    leaf: str
    receipt: dict[str, Any]


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `heldtrue-verify receipt` needs beside the pinned log key."""

    receipt: dict[str, Any]
    proof: str
    """`tlog-proof` of the receipt's entry; its `extra` is the salt of the commitment."""
    key_entry: dict[str, Any]
    key_proof: str
    """`tlog-proof` of the entry by which the signing key counts."""
