"""Transforms and their versions as they are remembered and told; no SQL, no HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from heldtrue.crypto.digest import sha256
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError

PURPOSE = "transform"
"""The purpose of the tenant key that code, notes and flows are sealed under."""
MAX_CODE = 256 * 1024
MAX_VERSIONS = 10_000

Language = Literal["python", "javascript", "builtin"]
"""`builtin`: the code is the name of a transform that is shipped."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="For people.")]
Code = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_CODE, description="Defines transform(payload, context)")
]
Note = Annotated[str, msgspec.Meta(max_length=1000, description="Why this version.")]
Number = Annotated[int, msgspec.Meta(ge=1, le=MAX_VERSIONS)]


class NoSuchTransformError(NotFoundError):
    """There is no such transform in this organisation and environment; check the id."""

    code = "no-such-transform"


class NoSuchVersionError(NotFoundError):
    """The transform has no version of that number; list its versions."""

    code = "no-such-version"


class TransformInUseError(ConflictError):
    """A flow has a step that runs this transform; delete or change the flow first."""

    code = "transform-in-use"


class CodeTooLargeError(BadInputError):
    """The code is over 256 KiB as UTF-8; split it into steps."""

    code = "code-too-large"


class TransformConfig(msgspec.Struct, frozen=True):
    """What a transform's owner wrote of it; sealed."""

    name: str
    description: str = ""


def encoded(code: str) -> bytes:
    """Return code as the bytes that are digested, sealed and run."""
    raw = code.encode("utf-8")
    if len(raw) > MAX_CODE:
        raise CodeTooLargeError
    return raw


def digest_of(language: Language, code: bytes) -> bytes:
    """Return what a version is known by: SHA-256 over language, a zero byte and code."""
    return sha256(language.encode() + b"\0" + code)


# ---------------------------------------------------------------- wire


class CreateTransform(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a transform with its first version."""

    name: Name
    language: Language
    code: Code
    description: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    note: Note = ""


class AddVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for another version, which becomes the current one."""

    transform_id: str
    language: Language
    code: Code
    note: Note = ""


class TheTransform(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a transform."""

    transform_id: str


class TheVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a version of a transform."""

    transform_id: str
    number: Number


class ListTransforms(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for transforms, newest first; deleted ones are left out."""


class ListVersions(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the versions of a transform, newest first."""

    transform_id: str


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A version; it never changes."""

    number: int
    language: Language
    digest: str
    """`sha256:` and hex over language, a zero byte and code; receipts carry it."""
    size: int
    note: str
    created_at: datetime
    current: bool


class VersionWithCode(msgspec.Struct, frozen=True, kw_only=True):
    """A version with its code."""

    number: int
    language: Language
    digest: str
    size: int
    note: str
    created_at: datetime
    current: bool
    code: str


class TransformView(msgspec.Struct, frozen=True, kw_only=True):
    """A transform and its current version."""

    id: str
    name: str
    description: str
    current: VersionView
    created_at: datetime


class TransformDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """A transform whose code is forgotten; what receipts say of its versions stays."""

    id: str
    state: Literal["deleted"]
