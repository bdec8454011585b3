"""What the routes of agreements take and give."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

from heldtrue.capabilities.agreements.dpa import Choices
from heldtrue.http.pagination import PageQuery

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$(?!\\n)", description="SHA-256 in lower-case hex.")]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
BODY_LIMIT = 14 * 1024 * 1024
"""Bytes of a request that carries a file."""
Base64 = Annotated[str, msgspec.Meta(min_length=4, max_length=13_400_000, description="Standard base64.")]


class AcceptText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accept a version of a text for the organisation."""

    item: Annotated[str, msgspec.Meta(max_length=40, description="As terms, acceptable-use or privacy.")]
    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    sha256: Sha256
    """Of the version, as its page shows it: what was read is what is accepted."""
    accepted_by: Line
    """The person who accepts; kept sealed."""


class ListAcceptances(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a page of acceptances."""


class AcceptanceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An acceptance."""

    id: str
    item: str
    version: int
    sha256: str
    accepted_by: str
    accepted_at: datetime


class FileAgreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """File a signed copy."""

    document: Literal["dpa", "terms", "order", "confidentiality", "other"]
    counterparty: Line
    organisation_id: str | None = None
    signed_on: date
    file_name: Line
    content: Base64


class AgreementRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A signed copy on file."""

    id: str
    document: str
    counterparty: str
    organisation_id: str | None
    signed_on: date
    file_name: str
    sha256: str
    size: int
    filed_at: datetime


class AgreementList(msgspec.Struct, frozen=True, kw_only=True):
    """Signed copies, the newest first."""

    data: list[AgreementRecord]


class TheAgreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signed copy."""

    agreement_id: str


class RenderAgreement(Choices, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document with the choices of one customer."""

    document: Literal["dpa", "sla", "terms", "acceptable-use", "privacy"] = "dpa"
    format: Literal["pdf", "docx", "html", "json"] = "docx"
