"""What is remembered of a payload, and what is told of it; no SQL, no HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from heldtrue.capabilities.intake.scanning import Scanned
from heldtrue.crypto.canonical import canonicalize_entry
from heldtrue.crypto.digest import sha256
from heldtrue.crypto.keyring import OBJECT
from heldtrue.crypto.sealing import Context
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError, TooLargeError
from heldtrue.kernel.ids import PayloadId, TenantId

Source = Literal["http", "smtp", "schedule"]
State = Literal["accepted", "processing", "forwarded", "erased"]
"""`processing`: flows run on it; `forwarded` once the last of them is done."""


class NoSuchPayloadError(NotFoundError):
    """There is no such payload in this organisation and environment; check the id."""

    code = "no-such-payload"


class NoSuchAttachmentError(NotFoundError):
    """The payload has no attachment of that number; they are counted from 1."""

    code = "no-such-attachment"


class PayloadErasedError(ConflictError):
    """The payload was erased: its key is destroyed and nothing can bring its content back."""

    code = "payload-erased"


class JsonTooLargeError(TooLargeError):
    """JSON is held in memory to hash its canonical form; send a larger body as application/octet-stream."""

    code = "json-too-large"


class PartsError(BadInputError):
    """The parts of the multipart body do not make one payload; name one part `payload`."""

    code = "parts"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may bring."""

    body: int = 25 * 1024 * 1024
    """Bytes of the whole request body."""
    json: int = 8 * 1024 * 1024
    """Bytes of a part that is JSON."""
    inline: int = 256 * 1024
    """Bytes of a sealed part that stay in its row; what is larger goes to the object store."""
    attachments: int = 20

    @property
    def small(self) -> int:
        """Bytes of a body that is hashed and sealed at once, because handing it to a thread would cost more."""
        return min(16 * 1024, self.body, self.inline // 2)


class Tls(msgspec.Struct, frozen=True):
    """How the connection that brought the payload was protected."""

    version: str | None
    cipher: str | None


class MailSignature(msgspec.Struct, frozen=True, kw_only=True):
    """What came of checking one DKIM signature (RFC 8601, section 2.7.1)."""

    result: str
    domain: str | None = None
    selector: str | None = None
    key_bits: int | None = None
    reason: str | None = None


class MailMeta(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of a message that came by mail, and what was found out about its sender before it was parsed."""

    sender: str
    """The envelope's MAIL FROM, without brackets; empty for a notification (RFC 5321, section 4.5.5)."""
    recipients: tuple[str, ...]
    """The envelope's RCPT TO, as they were written."""
    addresses: tuple[str, ...]
    """The ids of these addresses."""
    labels: tuple[str, ...]
    """Their labels, without those that have none."""
    helo: str
    client: str
    """The address that the message came from."""
    smtputf8: bool = False
    spf: str = "none"
    """pass, fail, softfail, neutral, none, permerror or temperror (RFC 8601, section 2.7.2)."""
    dkim: tuple[MailSignature, ...] = ()
    dmarc: str = "none"
    """pass, fail, none, permerror or temperror (RFC 7489, section 11.2)."""
    dmarc_policy: str | None = None
    """What the domain in From asks for: none, quarantine or reject."""
    arc: str = "none"
    """pass, fail or none (RFC 8617, section 5.2)."""
    from_domain: str | None = None
    outcome: Literal["accepted", "flagged"] = "accepted"
    """What the addresses' policy made of it; what is refused is not kept."""
    flags: tuple[str, ...] = ()
    """Closed words for what a reader should know, as `duplicate-from`, `dkim-length`, `dkim-short-key`."""


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed beside a payload's or an attachment's bytes."""

    content_type: str
    sha256: str
    """Lower-case hex over the bytes as they came."""
    jcs_sha256: str | None = None
    """For JSON: over its RFC 8785 form."""
    name: str | None = None
    """An attachment's own name."""
    tls: Tls | None = None
    request: str | None = None
    scan: Scanned | None = None
    """What the virus scanner came to; None where none is configured. A payload's own tells of its attachments too."""
    mail: MailMeta | None = None
    """None for what came another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Bytes that were taken in: sealed, and either in memory or durable in the object store."""

    size: int
    sealed: bytes | None
    object: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Body):
    """A body with what is known of it."""

    meta: Meta

    @property
    def place(self) -> tuple[bytes | None, str | None]:
        """The columns `body_sealed` and `body_object`; exactly one is set."""
        return self.sealed, self.object


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A whole request body: one payload, and its attachments in their order."""

    body: Part
    attachments: Sequence[Part] = ()

    def digest(self) -> bytes:
        """Return what makes two requests the same for `Idempotency-Key`: types, names and bytes, not the boundary."""
        parts = [self.body, *self.attachments]
        return sha256(canonicalize_entry([[p.meta.name, p.meta.content_type, p.size, p.meta.sha256] for p in parts]))

    @property
    def is_one_row(self) -> bool:
        """Whether it is one small body without attachments, which is stored by inserts alone."""
        return not self.attachments and self.body.sealed is not None

    def objects(self) -> list[str]:
        """Return the names of the objects that were written."""
        return [part.object for part in (self.body, *self.attachments) if part.object is not None]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a payload belongs, which every sealed byte of it is bound to."""

    tenant: TenantId
    environment: str
    payload: PayloadId

    def body(self, ordinal: int) -> Context:
        """Return the place of a body: ordinal 0 is the payload's own, from 1 its attachments'."""
        table = "attachments" if ordinal else "payloads"
        return Context(
            self.environment, self.tenant.value, table, "body", row_of(self.payload, ordinal), purpose=OBJECT
        )


def row_of(payload: PayloadId, ordinal: int = 0) -> str:
    """Return the row's name in sealing contexts."""
    return f"{payload.value}/{ordinal}" if ordinal else str(payload.value)


# ---------------------------------------------------------------- wire


class AttachmentView(msgspec.Struct, frozen=True, kw_only=True):
    """An attachment as the API tells it; its bytes are at `/v1/payloads/{id}/attachments/{ordinal}`."""

    ordinal: int
    name: str | None
    content_type: str
    size: int
    sha256: str
    jcs_sha256: str | None


class PayloadAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The unsigned acknowledgement: the payload is durable; its signed receipts follow when it is forwarded."""

    id: str
    state: State
    received_at: datetime
    size: int
    sha256: str
    jcs_sha256: str | None
    attachments: list[AttachmentView]


class PayloadSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A payload in a list; what is sealed is told by the payload itself."""

    id: str
    state: State
    source: Source
    size: int
    received_at: datetime
    forwarded_at: datetime | None
    erased_at: datetime | None


class PayloadView(msgspec.Struct, frozen=True, kw_only=True):
    """A payload; once erased, only what is not content remains."""

    id: str
    state: State
    source: Source
    size: int
    received_at: datetime
    forwarded_at: datetime | None
    erased_at: datetime | None
    content_type: str | None
    sha256: str | None
    jcs_sha256: str | None
    tls: Tls | None
    scan: Scanned | None
    """`clean`, or `unavailable` where it was accepted although the virus scanner gave no verdict; null without one."""
    attachments: list[AttachmentView]
    mail: MailMeta | None = None
    """Of what came by mail: its envelope, and what was found out about its sender."""


class PayloadErased(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an erasure: from now on nothing opens the payload, wherever a copy may lie."""

    id: str
    state: Literal["erased"]
    erased_at: datetime


class ThePayload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a payload."""

    payload_id: str


class ListPayloads(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for payloads, newest first."""

    state: State | None = None


def attachment_view(ordinal: int, size: int, meta: Meta) -> AttachmentView:
    """Return what is told of an attachment."""
    return AttachmentView(
        ordinal=ordinal,
        name=meta.name,
        content_type=meta.content_type,
        size=size,
        sha256=meta.sha256,
        jcs_sha256=meta.jcs_sha256,
    )


def stamp(moment: datetime) -> str:
    """Return *moment* as RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
