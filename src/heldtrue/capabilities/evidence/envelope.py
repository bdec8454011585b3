"""DSSE envelopes (v1.0.2) around in-toto statements (v1): signed by one Ed25519 key, read after the signature only."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from heldtrue.capabilities.evidence.model import (
    KINDS,
    PREDICATES,
    Kind,
    Reading,
    UnreadableEvidenceError,
    UnsignedEvidenceError,
)
from heldtrue.capabilities.evidence.readers import READERS
from heldtrue.capabilities.evidence.readers.shape import shaped
from heldtrue.crypto.canonical import parse_strict
from heldtrue.crypto.signing import SigningKey, verify

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"


class _Signature(msgspec.Struct, forbid_unknown_fields=True):
    sig: Annotated[str, msgspec.Meta(max_length=200)]
    keyid: Annotated[str, msgspec.Meta(max_length=200)] = ""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    payload_type: Literal["application/vnd.in-toto+json"] = msgspec.field(name="payloadType")
    payload: str
    signatures: Annotated[list[_Signature], msgspec.Meta(min_length=1, max_length=8)]


class Subject(msgspec.Struct, forbid_unknown_fields=True):
    """What a statement is about: a release or a commit, by digest."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    digest: dict[
        Literal["sha256", "gitCommit", "sha1"], Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40,64}$(?!\\n)")]
    ]


class _Statement(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: Annotated[list[Subject], msgspec.Meta(min_length=1, max_length=1)]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: Any


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose signature was verified."""

    signer: str
    payload: bytes
    sha256: bytes
    subject: Subject
    reading: Reading

    @property
    def subject_sha256(self) -> bytes:
        """SHA-256 over the subject, canonical: what is published of it."""
        digest = "".join(f"\0{name}\0{value}" for name, value in sorted(self.subject.digest.items()))
        return hashlib.sha256(f"{self.subject.name}{digest}".encode()).digest()


def pae(payload: bytes) -> bytes:
    """Return what is signed: the pre-authentication encoding (DSSE, protocol)."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def key_id(public: bytes) -> str:
    """Return the id of a pipeline's public key: its SHA-256 in hex."""
    return hashlib.sha256(public).hexdigest()


def opened(envelope: bytes, key_of: Callable[[str], bytes | None]) -> Statement:
    """Return what a registered key signed; *key_of* gives a live key's 32 bytes by its id.

    1. The envelope is strict JSON. 2. One signature is by a key that is registered and not revoked. 3. Only then the
    payload is parsed. Raise `UnsignedEvidenceError` or `UnreadableEvidenceError`.
    """
    parsed = shaped(parse_strict(envelope), _Envelope, "DSSE envelope")
    payload = _decoded(parsed.payload)
    signer = next((one.keyid for one in parsed.signatures if _signed(one, payload, key_of)), None)
    if signer is None:
        raise UnsignedEvidenceError
    return read(payload, signer)


def read(payload: bytes, signer: str = "") -> Statement:
    """Return what the bytes of a statement say."""
    statement = shaped(parse_strict(payload), _Statement, "in-toto statement")
    kind = KINDS.get(statement.predicate_type)
    if kind is None:
        raise UnreadableEvidenceError(f"Nothing is known of predicates {statement.predicate_type[:200]!r}.")
    if not statement.subject[0].digest:
        raise UnreadableEvidenceError("The subject has no digest.")
    reading = READERS[kind](statement.predicate)
    return Statement(signer, payload, hashlib.sha256(payload).digest(), statement.subject[0], reading)


def sealed(kind: Kind, predicate: object, name: str, digest: dict[str, str], key: SigningKey) -> bytes:
    """Return *predicate* as a statement about *name*, signed."""
    statement = {
        "_type": STATEMENT, "subject": [{"name": name, "digest": digest}], "predicateType": PREDICATES[kind],
        "predicate": predicate,
    }  # fmt: skip
    payload = msgspec.json.encode(statement)
    signature = {"keyid": key_id(key.public), "sig": base64.b64encode(key.sign(pae(payload))).decode()}
    return msgspec.json.encode(
        {"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": [signature]}
    )


def _signed(one: _Signature, payload: bytes, key_of: Callable[[str], bytes | None]) -> bool:
    public = key_of(one.keyid)
    try:
        signature = base64.b64decode(one.sig, validate=True)
    except (binascii.Error, ValueError):
        return False
    return public is not None and verify(public, signature, pae(payload))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableEvidenceError("The payload is not base64.") from error
