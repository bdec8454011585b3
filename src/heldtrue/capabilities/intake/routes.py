"""The API of payloads, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from heldtrue.capabilities.intake.actions import (
    Erasure,
    accept,
    answer_content,
    erase,
    get_payload,
    list_payloads,
)
from heldtrue.capabilities.intake.model import (
    Limits,
    ListPayloads,
    NoSuchAttachmentError,
    Origin,
    PayloadAccepted,
    PayloadErased,
    PayloadSummary,
    PayloadView,
    Taken,
    ThePayload,
    Tls,
)
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.intake.scanning import Scanner
from heldtrue.capabilities.intake.stream import Intake, is_multipart
from heldtrue.crypto.sealing import DataKey
from heldtrue.db.tx import OutcomeUnknownError
from heldtrue.http.exchange import Answer, Exchange
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Route
from heldtrue.kernel.ids import PayloadId
from heldtrue.op import Operation
from heldtrue.policy.permissions import Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeServices:
    """What intake needs beyond the operation."""

    objects: ObjectStore
    limits: Limits = field(default_factory=Limits)
    scanner: Scanner | None = None
    erasures: Sequence[Erasure] = ()
    """What other capabilities forget with a payload."""


def routes(services: IntakeServices) -> list[Route]:
    """Return the table of routes."""

    async def take_payload(exchange: Exchange) -> Answer:
        """Take the body in, seal it, make it durable, then acknowledge it (T1)."""
        now = exchange.clock.now()
        key = DataKey.generate(exchange.entropy, now)
        payload = PayloadId.new(now, exchange.entropy)
        origin = Origin(exchange.actor.tenant, exchange.actor.environment, payload)
        intake = Intake(
            services.objects,
            key,
            origin,
            services.limits,
            entropy=exchange.entropy,
            run=exchange.in_thread,
            scanner=services.scanner,
        )
        taken = await take(intake, exchange, services.limits)
        if exchange.repeatable:
            exchange.body_digest = taken.digest()
        tls = Tls(exchange.tls.version, exchange.tls.cipher) if exchange.tls.version else None
        accepted = False

        def act(op: Operation) -> Answer:
            nonlocal accepted
            accepted = True
            scanned = {} if taken.body.meta.scan is None else {"scan": taken.body.meta.scan}
            body = accept(op, payload, key, taken, tls=tls, source="http")
            return Answer(body=body, detail={"size": taken.body.size, **scanned})

        try:
            answer = await exchange.transact(act, group=taken.is_one_row)
        except OutcomeUnknownError:
            raise  # a row may name the objects: the sweep looks again in 24 hours
        except Exception:
            await intake.discard()
            raise
        if not accepted:  # an earlier answer to the same Idempotency-Key: these bytes are not needed
            await intake.discard()
        return answer

    async def read_content(exchange: Exchange) -> Answer:
        """Return the payload's bytes as they came."""
        payload = PayloadId.parse(exchange.path["payload_id"])
        return await exchange.transact(lambda op: answer_content(op, services.objects, payload))

    async def read_attachment(exchange: Exchange) -> Answer:
        """Return an attachment's bytes as they came."""
        payload = PayloadId.parse(exchange.path["payload_id"])
        ordinal = parse_ordinal(exchange.path["ordinal"])
        return await exchange.transact(lambda op: answer_content(op, services.objects, payload, ordinal))

    async def erase_payload(exchange: Exchange) -> Answer:
        """Destroy the payload's key, then delete its objects."""
        payload = PayloadId.parse(exchange.path["payload_id"])
        named: list[str] = []

        def act(op: Operation) -> Answer:
            erased, objects = erase(op, payload, services.erasures)
            named[:] = objects
            return Answer(body=erased)

        answer = await exchange.transact(act)
        for name in named:
            await exchange.in_thread(services.objects.delete, name)
        return answer

    return [
        Route(
            at="POST /v1/payloads",
            action=take_payload,
            summary="Send a payload",
            gives=PayloadAccepted,
            needs=Permission.PAYLOAD_SEND,
            audits="payload.accepted",
            status=202,
            creates=True,
            streams=True,
            tags=("payloads",),
        ),
        Route(
            at="GET /v1/payloads",
            action=list_payloads,
            summary="List payloads",
            takes=ListPayloads,
            gives=Listing[PayloadSummary],
            needs=Permission.PAYLOAD_READ,
            audits="payload.listed",
            tags=("payloads",),
        ),
        Route(
            at="GET /v1/payloads/{payload_id}",
            action=get_payload,
            summary="Look at a payload",
            takes=ThePayload,
            gives=PayloadView,
            needs=Permission.PAYLOAD_READ,
            audits="payload.read",
            tags=("payloads",),
        ),
        Route(
            at="GET /v1/payloads/{payload_id}/content",
            action=read_content,
            summary="Read a payload's bytes",
            needs=Permission.PAYLOAD_READ,
            audits="payload.opened",
            streams=True,
            produces="application/octet-stream",
            tags=("payloads",),
        ),
        Route(
            at="GET /v1/payloads/{payload_id}/attachments/{ordinal}",
            action=read_attachment,
            summary="Read an attachment's bytes",
            needs=Permission.PAYLOAD_READ,
            audits="payload.opened",
            streams=True,
            produces="application/octet-stream",
            tags=("payloads",),
        ),
        Route(
            at="DELETE /v1/payloads/{payload_id}",
            action=erase_payload,
            summary="Erase a payload for good",
            gives=PayloadErased,
            needs=Permission.PAYLOAD_ERASE,
            audits="payload.erased",
            streams=True,
            tags=("payloads",),
        ),
    ]


async def take(intake: Intake, exchange: Exchange, limits: Limits) -> Taken:
    """Return what came, hashed and sealed: a small body at once, any other as it streams."""
    content_type, length = exchange.headers.get("content-type"), exchange.content_length
    if length is None or length > limits.small or intake.scans or is_multipart(content_type):
        return await intake.take(content_type, exchange.body(limits.body))
    return intake.take_small(content_type, await exchange.whole_body(length))


def parse_ordinal(text: str) -> int:
    """Return an attachment's number; raise `NoSuchAttachmentError` for what is none."""
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 4 and int(text) >= 1):
        raise NoSuchAttachmentError
    return int(text)
