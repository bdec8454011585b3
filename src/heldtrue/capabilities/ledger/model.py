"""Entries of the log, and the documents that the entries of organisations commit to. Pure."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast

from heldtrue.capabilities.ledger.tiles import ENTRY_LIMIT
from heldtrue.crypto.canonical import NotCanonicalError, canonicalize, canonicalize_entry, parse_strict
from heldtrue.kernel.errors import BadInputError, IntegrityError
from heldtrue.kernel.ids import RequestId, TenantId
from heldtrue.op import Actor, AuditEvent

COMMIT_LABEL = b"heldtrue/commit/v1\0"
SALT_SIZE = 32
VERSION = 1


class EntryRefusedError(BadInputError):
    """The document cannot be an entry of the log; its kind, its members or its size are wrong."""

    code = "entry-refused"


class Kind(StrEnum):
    """What an entry is about. All but `TENANT` are in clear, for everybody to read."""

    KEY = "key"
    SCHEDULE = "schedule"
    INTENT = "intent"
    EVIDENCE = "evidence"
    SUCCESSION = "succession"
    ANONYMOUS = "anonymous"
    ATTESTATION = "attestation"
    """A dated document that stands behind a claim, by its digest; or that it was withdrawn."""
    ANNOTATION = "annotation"
    """What the operator has to say of a failure; it changes nothing."""
    SUMMARY = "summary"
    """The digest of what was remembered of all results up to an entry; anybody can derive it again."""
    PROBE = "probe"
    """What came of attacking an API that the operator named; a signed document, as evidence is."""
    TENANT = "tenant"
    """A commitment to a document of an organisation, and nothing else: not even whose."""


class DocumentKind(StrEnum):
    """What an organisation's document is about."""

    AUDIT = "audit"
    RECEIPT = "receipt"


MEMBERS: Mapping[Kind, frozenset[str]] = {
    Kind.KEY: frozenset({"event", "id", "purpose", "public", "not_before", "sign_until", "accept_until", "at"}),
    Kind.SUCCESSION: frozenset({"old_origin", "old_checkpoint", "lost"}),
    Kind.ANONYMOUS: frozenset({"minute", "count", "reasons", "sources"}),
}
"""Exactly these members, besides `v` and `kind`, where a kind is listed; others are their writers' to shape."""


def instant(at: datetime) -> str:
    """Return *at* as RFC 3339 in UTC with milliseconds, as every document writes times."""
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="milliseconds")[:-6] + "Z"


def clear_entry(kind: str, document: Mapping[str, Any]) -> bytes:
    """Return the entry in clear of *kind*: the members of *document* beside `v` and `kind`, canonical.

    Raise `EntryRefusedError` for a kind or members that are not known, or beyond 65,535 bytes.
    """
    if kind not in set(Kind) - {Kind.TENANT}:
        raise EntryRefusedError(f"{kind[:40]!r} is not a kind of entry that is logged in clear")
    if document.get("v", VERSION) != VERSION or document.get("kind", kind) != kind:
        raise EntryRefusedError(f"the document says itself that it is not an entry of kind {kind}")
    expected = MEMBERS.get(Kind(kind))
    if expected is not None and frozenset(document) - frozenset({"v", "kind"}) != expected:
        raise EntryRefusedError(f"an entry of kind {kind} has the members {', '.join(sorted(expected))}")
    return _bounded(canonicalize_entry({**document, "v": VERSION, "kind": str(kind)}))


def tenant_entry(committed: bytes) -> bytes:
    """Return the entry of an organisation, which shows the commitment and nothing else (docs/spec/log.md)."""
    return b'{"c":"%b","kind":"tenant","v":1}' % base64.b64encode(committed)  # canonical as it stands: RFC 8785


def parse_entry(entry: bytes) -> dict[str, Any]:
    """Return the members of an entry; raise `BadInputError` where it is not strict JSON."""
    found = parse_strict(entry)
    if not isinstance(found, dict):
        raise EntryRefusedError("an entry is an object")
    return cast("dict[str, Any]", found)


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the RFC 8785 form of a document, by the fast path where it lies in the profile of entries."""
    try:
        return canonicalize_entry(document)
    except NotCanonicalError:
        return canonicalize(document)


def commitment(salt: bytes, document: bytes) -> bytes:
    """Return HMAC-SHA256(salt, `heldtrue/commit/v1\\0` ‖ *document* in canonical form)."""
    if len(salt) != SALT_SIZE:
        raise ValueError(f"a salt has {SALT_SIZE} bytes")
    return hmac.digest(salt, COMMIT_LABEL + document, "sha256")


def pack(salt: bytes, document: bytes) -> bytes:
    """Return what is sealed of a document: u8 length of the salt, salt, canonical form."""
    return bytes([len(salt)]) + salt + document


def unpack(packed: bytes) -> tuple[bytes, bytes]:
    """Return salt and canonical form out of what was sealed."""
    if not packed or len(packed) < 1 + packed[0]:
        raise IntegrityError("a sealed document of the ledger is cut off")
    return packed[1 : 1 + packed[0]], packed[1 + packed[0] :]


def audit_document(
    tenant: TenantId, environment: str, actor: Actor, request: RequestId | None, now: datetime, event: AuditEvent
) -> dict[str, Any]:
    """Return the document that an audit event leaves: who, what, about what, when, in which request, how it ended."""
    return {
        "v": VERSION,
        "kind": DocumentKind.AUDIT.value,
        "event": event.event,
        "actor": {
            "kind": actor.kind,
            "organisation": str(actor.tenant),
            "key": None if actor.key is None else str(actor.key),
            "role": None if actor.role is None else str(actor.role),
        },
        "tenant": str(tenant),
        "environment": environment,
        "subject": event.subject,
        "request": None if request is None else str(request),
        "at": instant(now),
        "detail": None if event.detail is None else dict(event.detail),
        "outcome": "denied" if event.event.endswith(".refused") else "ok",
    }


def key_document(
    *,
    event: str,
    id: str,  # noqa: A002 - the member's name
    purpose: str,
    public: str,
    not_before: datetime,
    sign_until: datetime | None,
    accept_until: datetime | None,
    at: datetime,
) -> dict[str, Any]:
    """Return the members of a key's entry: `activated`, `deactivated` or `compromised`; *public* is a multikey."""
    if event not in {"activated", "deactivated", "compromised"}:
        raise EntryRefusedError(f"{event!r} is not an event of a key")
    return {
        "event": event,
        "id": id,
        "purpose": purpose,
        "public": public,
        "not_before": instant(not_before),
        "sign_until": None if sign_until is None else instant(sign_until),
        "accept_until": None if accept_until is None else instant(accept_until),
        "at": instant(at),
    }


def succession_document(old_origin: str, old_checkpoint: str, lost_from: int, lost_to: int) -> dict[str, Any]:
    """Return the members of the entry that opens a log's successor: the old log's last word, and what is lost of it."""
    return {
        "old_origin": old_origin,
        "old_checkpoint": old_checkpoint,
        "lost": {"from": lost_from, "to": lost_to},
    }


def anonymous_document(minute: datetime, count: int, reasons: Mapping[str, int], sources: int) -> dict[str, Any]:
    """Return the members of one minute's summary of refused anonymous requests; it names no address."""
    return {"minute": instant(minute), "count": count, "reasons": dict(reasons), "sources": sources}


def _bounded(entry: bytes) -> bytes:
    if len(entry) > ENTRY_LIMIT:
        raise EntryRefusedError(f"the entry has {len(entry)} bytes; the log takes {ENTRY_LIMIT}")
    return entry
