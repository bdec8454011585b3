"""The API of receipts, as a table; bundle and content are also reached by unguessable links."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from heldtrue.capabilities.intake.actions import answer_content
from heldtrue.capabilities.intake.model import NoSuchAttachmentError, NoSuchPayloadError
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.outputs import actions as outputs
from heldtrue.capabilities.receipts.actions import bundle, get_bundle, get_receipt, list_receipts
from heldtrue.capabilities.receipts.model import (
    Bundle,
    LinkedAttachment,
    ListReceipts,
    ReceiptSummary,
    ReceiptView,
    TheReceipt,
)
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Realm, Route
from heldtrue.kernel.ids import OutputId, PayloadId
from heldtrue.op import Operation
from heldtrue.policy.permissions import Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptServices:
    """What receipts need beyond the operation."""

    objects: ObjectStore


def routes(services: ReceiptServices) -> list[Route]:
    """Return the table of routes."""

    def linked_content(op: Operation, linked: UUID) -> Answer:
        """Return the bytes of the payload or output that a content link leads to."""
        try:
            return answer_content(op, services.objects, PayloadId(linked))
        except NoSuchPayloadError:
            return outputs.answer_content(op, services.objects, OutputId(linked))

    def linked_attachment(op: Operation, linked: UUID, asked: LinkedAttachment) -> Answer:
        """Return the bytes of one attachment of the payload or output that a content link leads to."""
        try:
            return answer_content(op, services.objects, PayloadId(linked), asked.ordinal)
        except NoSuchAttachmentError:
            return outputs.answer_file(op, services.objects, OutputId(linked), asked.ordinal)

    return [
        Route(
            at="GET /v1/receipts",
            action=list_receipts,
            summary="List receipts",
            takes=ListReceipts,
            gives=Listing[ReceiptSummary],
            needs=Permission.RECEIPT_READ,
            audits="receipt.listed",
            tags=("receipts",),
        ),
        Route(
            at="GET /v1/receipts/{receipt_id}",
            action=get_receipt,
            summary="Look at a receipt",
            takes=TheReceipt,
            gives=ReceiptView,
            needs=Permission.RECEIPT_READ,
            audits="receipt.read",
            tags=("receipts",),
        ),
        Route(
            at="GET /v1/receipts/{receipt_id}/bundle",
            action=get_bundle,
            summary="Get a receipt with the proofs that date it",
            takes=TheReceipt,
            gives=Bundle,
            needs=Permission.RECEIPT_READ,
            audits="receipt.bundled",
            tags=("receipts",),
        ),
        Route(
            at="GET /v1/bundles/{token}",
            action=bundle,
            summary="Follow a link to a receipt with its proofs",
            gives=Bundle,
            audits="receipt.bundled",
            realm=Realm.LINK,
            tags=("receipts",),
        ),
        Route(
            at="GET /v1/contents/{token}",
            action=linked_content,
            summary="Follow a link to a payload's bytes",
            audits="payload.opened",
            realm=Realm.LINK,
            produces="application/octet-stream",
            tags=("receipts",),
        ),
        Route(
            at="GET /v1/contents/{token}/attachments/{ordinal}",
            action=linked_attachment,
            summary="Follow a link to an attachment's bytes",
            takes=LinkedAttachment,
            audits="payload.opened",
            realm=Realm.LINK,
            produces="application/octet-stream",
            tags=("receipts",),
        ),
    ]
