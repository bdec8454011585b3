"""Typed, time-ordered identifiers: UUIDv7 inside (RFC 9562, section 5.7), `<prefix>_<32 hex>` outside."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

from heldtrue.kernel.errors import BadInputError

Entropy = Callable[[int], bytes]
"""A source of *n* random bytes; `secrets.token_bytes` in production, a seeded one in tests."""

_HEX = re.compile(r"[0-9a-f]{32}")


class MalformedIdError(BadInputError):
    """The id is not one of ours; copy it as it was given, prefix included."""

    code = "malformed-id"


def drawn_in_bulk(entropy: Entropy, size: int = 4096) -> Entropy:
    """Return *entropy* drawn *size* bytes at a time, for ids of requests: unique, and no secrets.

    To be made after a fork, and used from one thread: two processes must not share what was drawn.
    """
    pool, at = b"", 0

    def draw(count: int) -> bytes:
        nonlocal pool, at
        if at + count > len(pool):
            pool, at = entropy(max(size, count)), 0
        at += count
        return pool[at - count : at]

    return draw


def uuid7(now: datetime, entropy: Entropy) -> UUID:
    """Return a UUIDv7 of *now* (milliseconds) and 74 random bits (RFC 9562, section 5.7)."""
    return UUID(int=_number(now, entropy))


def _number(now: datetime, entropy: Entropy) -> int:
    millis = int(now.timestamp() * 1000)
    rand = int.from_bytes(entropy(10))
    return (millis & (2**48 - 1)) << 80 | 0x7 << 76 | ((rand >> 62) & 0xFFF) << 64 | 0b10 << 62 | (rand & (2**62 - 1))


@dataclass(frozen=True, slots=True, order=True)
class Id:
    """An identifier of one kind of thing; kinds do not compare or mix."""

    value: UUID
    prefix: ClassVar[str] = ""

    @classmethod
    def new(cls, now: datetime, entropy: Entropy) -> Self:
        """Return a fresh id that sorts by *now*."""
        return cls(uuid7(now, entropy))

    @classmethod
    def text(cls, now: datetime, entropy: Entropy) -> str:
        """Return a fresh id as it is written: `str(cls.new(…))` in a third of the time."""
        return f"{cls.prefix}_{_number(now, entropy):032x}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id written as *text*; raise `MalformedIdError` for anything else."""
        prefix, _, digits = text.rpartition("_")
        if prefix != cls.prefix or not _HEX.fullmatch(digits):
            raise MalformedIdError(f"{text[:80]!r} is not an id that begins with {cls.prefix}_")
        return cls(UUID(hex=digits))

    def __str__(self) -> str:
        return f"{self.prefix}_{self.value.hex}"


class TenantId(Id):
    """An organisation: the boundary of row-level security and of keys."""

    prefix = "org"


class KeyId(Id):
    """An API key."""

    prefix = "key"


class PayloadId(Id):
    """A payload taken in."""

    prefix = "pay"


class EndpointId(Id):
    """A place that deliveries go to."""

    prefix = "end"


class DeliveryId(Id):
    """One payload on its way to one endpoint; also the `webhook-id`."""

    prefix = "del"


class AttemptId(Id):
    """One try of a delivery."""

    prefix = "att"


class NoticeId(Id):
    """An event that is about no payload."""

    prefix = "not"


class ReplayId(Id):
    """A replay of many deliveries."""

    prefix = "rpl"


class ReceiptId(Id):
    """A signed receipt."""

    prefix = "rec"


class TransformId(Id):
    """Code of a customer's, in numbered versions."""

    prefix = "trf"


class FlowId(Id):
    """A chain of steps for one customer."""

    prefix = "flo"


class RunId(Id):
    """One payload on its way through one flow."""

    prefix = "run"


class OutputId(Id):
    """What came out of a run."""

    prefix = "out"


class LeafId(Id):
    """An entry of the log before and after it has its index."""

    prefix = "leaf"


class RequestId(Id):
    """A request, as in the `Request-Id` header."""

    prefix = "req"


class SessionId(Id):
    """A session of a customer's own user, as in a session token's `sid`."""

    prefix = "ses"


class AddressId(Id):
    """A mail address that an organisation's environment receives at."""

    prefix = "adr"


class MailId(Id):
    """A mail that goes out; also the left side of its `Message-ID`."""

    prefix = "mail"


class AcceptanceId(Id):
    """An acceptance of a legal text."""

    prefix = "acc"


class AgreementId(Id):
    """A signed copy of an agreement."""

    prefix = "agr"


class QuestionnaireId(Id):
    """A customer's questionnaire that was taken in."""

    prefix = "qst"


class ObjectionId(Id):
    """What an organisation says against a sub-processor."""

    prefix = "obj"


class SubscriberId(Id):
    """A reader who wants to be told."""

    prefix = "sub"


class ReportId(Id):
    """A report of a vulnerability."""

    prefix = "rep"


class EvidenceId(Id):
    """A piece of evidence that was pushed."""

    prefix = "evi"


class FindingId(Id):
    """A finding that is tracked."""

    prefix = "fin"


class AskId(Id):
    """Something that a reader asked the operator for: a document, or an answer."""

    prefix = "ask"


class GrantId(Id):
    """A reader's leave to fetch one document for a while."""

    prefix = "grt"


class DownloadId(Id):
    """One copy of a document that was handed out; it stands on each of its pages."""

    prefix = "dld"


class CredentialId(Id):
    """A secret of a third party that a transform's calls carry."""

    prefix = "crd"


class EgressSessionId(Id):
    """What one try of a step called."""

    prefix = "egr"


class CryptoKeyId(Id):
    """A key of the keystore: tenant key, object key or signing key."""

    prefix = "ck"
