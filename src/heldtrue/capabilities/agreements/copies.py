"""Signed copies of agreements: what they are is in a private register, their bytes lie sealed beside it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import date
from typing import Annotated, Literal

import msgspec

from heldtrue.capabilities.agreements import store
from heldtrue.capabilities.agreements.wire import AgreementList, AgreementRecord, FileAgreement, TheAgreement
from heldtrue.capabilities.registers import actions as registers
from heldtrue.capabilities.registers.fields import Digest, Line
from heldtrue.capabilities.registers.model import Entry, Kind
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.http.exchange import Answer
from heldtrue.kernel.errors import BadInputError, IntegrityError, NotFoundError, TooLargeError
from heldtrue.kernel.ids import AgreementId, TenantId
from heldtrue.op import SystemOperation

LARGEST = 10 * 1024 * 1024
PURPOSE, _TABLE, _COLUMN = "agreements", "agreement_files", "content_sealed"
_KINDS = {b"%PDF-": "application/pdf", b"PK\x03\x04": "application/zip"}


class UnusableFileError(BadInputError):
    """The file is not base64 of a PDF, a DOCX or a signature container; send it as it was signed."""

    code = "unusable-file"


class UnknownAgreementError(NotFoundError):
    """There is no such agreement on file; list them to see those there are."""

    code = "unknown-agreement"


class SignedLaterError(BadInputError):
    """The day of the signature lies ahead; file a copy once it is signed."""

    code = "signed-later"


class SignedCopy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A signed copy on file."""

    document: Literal["dpa", "terms", "order", "confidentiality", "other"]
    counterparty: Line
    organisation_id: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    signed_on: date
    file_name: Line
    sha256: Digest
    size: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]


AGREEMENTS: Kind[SignedCopy] = Kind(name="agreements", title="Signed agreements", type=SignedCopy, public=False)


def file_agreement(op: SystemOperation, asked: FileAgreement) -> Answer:
    """File a signed copy; its hash enters the log as part of a commitment, and nothing of it in clear."""
    content = content_of(asked.content)
    if asked.signed_on > op.now.date():
        raise SignedLaterError
    if asked.organisation_id is not None:
        TenantId.parse(asked.organisation_id)
    made = AgreementId.new(op.now, op.entropy)
    copy = SignedCopy(
        document=asked.document, counterparty=asked.counterparty, organisation_id=asked.organisation_id,
        signed_on=asked.signed_on, file_name=asked.file_name, sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )  # fmt: skip
    sealed = _keys(op).seal(PURPOSE, _TABLE, _COLUMN, made.value.hex, content)
    store.insert_file(op.tx, made.value, sealed, op.now)
    entry = registers.put(op, AGREEMENTS, made.value.hex, copy)
    return Answer(body=_record(entry), subject=str(made), detail={"size": len(content)})


def list_agreements(op: SystemOperation) -> AgreementList:
    """List the signed copies on file, the newest first."""
    found = registers.current(op.tx, AGREEMENTS, registers.keyring(op, AGREEMENTS))
    return AgreementList(data=[_record(entry) for entry in sorted(found, key=lambda e: e.recorded_at, reverse=True)])


def read_agreement(op: SystemOperation, asked: TheAgreement) -> Answer:
    """Return the bytes of a signed copy, checked against their hash."""
    agreement = AgreementId.parse(asked.agreement_id)
    try:
        entry = registers.one(op.tx, AGREEMENTS, agreement.value.hex, registers.keyring(op, AGREEMENTS))
    except NotFoundError as error:
        raise UnknownAgreementError from error
    sealed = store.file(op.tx, agreement.value)
    if sealed is None:
        raise UnknownAgreementError
    content = _keys(op).open(PURPOSE, _TABLE, _COLUMN, agreement.value.hex, sealed)
    if hashlib.sha256(content).hexdigest() != entry.document.sha256:
        raise IntegrityError("The copy on file is not the one whose hash was recorded.")
    kind = next((kind for head, kind in _KINDS.items() if content.startswith(head)), "application/octet-stream")
    return Answer(
        content=content, content_type=kind, subject=str(agreement),
        headers={"content-disposition": "attachment"},
    )  # fmt: skip


def content_of(text: str) -> bytes:
    """Return the file written as base64; raise `UnusableFileError` for what cannot be a signed copy."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnusableFileError from error
    if len(content) > LARGEST:
        raise TooLargeError(f"A signed copy is at most {LARGEST // 1024 // 1024} MiB.")
    if not content.startswith(tuple(_KINDS)):
        raise UnusableFileError
    return content


def _keys(op: SystemOperation) -> TenantKeyring:
    keys = registers.keyring(op, AGREEMENTS)
    if keys is None:
        raise TypeError("the register of agreements is private")
    return keys


def _record(entry: Entry[SignedCopy]) -> AgreementRecord:
    copy = entry.document
    return AgreementRecord(
        id=f"{AgreementId.prefix}_{entry.item}", document=copy.document, counterparty=copy.counterparty,
        organisation_id=copy.organisation_id, signed_on=copy.signed_on, file_name=copy.file_name, sha256=copy.sha256,
        size=copy.size, filed_at=entry.recorded_at,
    )  # fmt: skip
