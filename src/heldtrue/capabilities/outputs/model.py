"""What is remembered of an output, and what is told of it; no SQL, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec

from heldtrue.capabilities.intake.model import Part
from heldtrue.crypto.keyring import OBJECT
from heldtrue.crypto.sealing import Context
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import OutputId, PayloadId, TenantId

EVENT_TYPE = "payload.transformed"
"""The type that deliveries of outputs bear where the flow names none."""
CONTENT_TYPE = "application/json"


class NoSuchOutputError(NotFoundError):
    """There is no such output in this organisation and environment; check the id."""

    code = "no-such-output"


class Maker(msgspec.Struct, frozen=True):
    """One version of a transform, as a step ran it."""

    transform: str
    version: int
    digest: str
    """Hex of SHA-256 over the language, a zero byte and the code."""
    sandbox: str | None
    """Identity of the environment that it ran in."""

    def told(self) -> dict[str, Any]:
        """Return it as receipts tell it."""
        return {"id": self.transform, "version": self.version, "digest": f"sha256:{self.digest}"}


class AttachedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that travels with an output."""

    name: str | None
    content_type: str
    size: int
    sha256: str
    of: int | None = None
    """The number of the payload's attachment that it is; None: the transform made it."""
    start: int = 0
    """Where its bytes begin behind the output's; nothing for an attachment of the payload, which is stored once."""

    def told(self, ordinal: int) -> dict[str, Any]:
        """Return it as receipts tell it; *ordinal* counts the output's files from 1."""
        what = {"name": self.name, "content_type": self.content_type, "size": self.size, "sha256": self.sha256}
        return {"ordinal": ordinal, "of": self.of, **what}


class OutputMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed beside an output's bytes."""

    event: str
    """The `type` of the webhook that brings it."""
    content_type: str
    sha256: str
    jcs_sha256: str | None
    flow: str
    run: str
    makers: tuple[Maker, ...] = ()
    """The steps that made it, in order; none for a notice of a failure."""
    body_size: int | None = None
    """Bytes of the JSON, where those of files follow it under the same seal; None: there are no others."""
    files: tuple[AttachedFile, ...] = ()

    def size_of(self, stored: int) -> int:
        """Return the size of the JSON in so many stored bytes."""
        return stored if self.body_size is None else self.body_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An output with its place among all of its payload."""

    id: OutputId
    payload: PayloadId
    ordinal: int
    size: int
    meta: OutputMeta


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An output before it has its place: sealed, and durable where it is large."""

    id: OutputId
    number: int | None
    """Within the run; None for a notice of a failure."""
    part: Part
    meta: OutputMeta


def place_of(tenant: TenantId, environment: str, output: OutputId) -> Context:
    """Return the place that an output's bytes are bound to."""
    return Context(environment, tenant.value, "outputs", "body", str(output.value), purpose=OBJECT)


def output_document(what: Output) -> dict[str, Any]:
    """Return what a receipt says of an output (docs/spec/receipts.md)."""
    meta = what.meta
    last = meta.makers[-1] if meta.makers else None
    return {
        "ordinal": what.ordinal,
        "transform": None if last is None else last.told(),
        "sandbox": None if last is None else last.sandbox,
        "id": str(what.id),
        "type": meta.event,
        "flow": meta.flow,
        "run": meta.run,
        "steps": [{**maker.told(), "sandbox": maker.sandbox} for maker in meta.makers],
        "content_type": meta.content_type,
        "size": what.size,
        "sha256": meta.sha256,
        "jcs_sha256": meta.jcs_sha256,
        "attachments": [file.told(ordinal) for ordinal, file in enumerate(meta.files, start=1)],
    }


# ---------------------------------------------------------------- wire


class ListOutputs(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the outputs of a payload, newest first."""

    payload_id: str
    content: Annotated[bool, msgspec.Meta(description="Give the JSON of each as well.")] = False


class AttachedView(msgspec.Struct, frozen=True, kw_only=True):
    """A file that travels with an output; deliveries bring it, or a link to it."""

    ordinal: int
    of: int | None
    """The number of the payload's attachment that it is; null: the transform made it."""
    name: str | None
    content_type: str
    size: int
    sha256: str


class OutputView(msgspec.Struct, frozen=True, kw_only=True):
    """An output; once its payload is erased, only what is not content remains."""

    id: str
    payload_id: str
    run_id: str
    ordinal: int
    type: str | None
    size: int
    sha256: str | None
    transform_id: str | None
    version: int | None
    digest: str | None
    sandbox: str | None
    created_at: datetime
    erased: bool
    attachments: list[AttachedView]
    content: str | None = None
    """The JSON document as text, where it was asked for."""
