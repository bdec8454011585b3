"""What a step is given, and what it hands to the next one: documents with the files that were attached to each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.op import Operation
from heldtrue.sandbox.jobs import JobFile, OutputFile


@dataclass(frozen=True, slots=True)
class Input:
    """One document for a step, with its attachments."""

    file: JobFile = field(repr=False)
    attachments: tuple[JobFile, ...] = field(default=(), repr=False)
    origins: tuple[OutputFile, ...] = field(default=(), repr=False)
    """What each attachment is: one of the payload's, or bytes that a step before made."""

    def traced(self, files: Iterable[OutputFile]) -> tuple[OutputFile, ...]:
        """Return what a step attached, with what it kept of this input named as it was before that step."""
        return tuple(file if file.of is None else self.origins[file.of - 1] for file in files)


_JSON = b"["
"""How a run begins that was under way when this was an array of documents, each given all attachments of the payload;
an array of MessagePack never does."""


class _Handed(msgspec.Struct, frozen=True, array_like=True):
    document: bytes
    files: list[OutputFile]


def packed(outputs: Sequence[bytes], files: Sequence[Sequence[OutputFile]]) -> bytes:
    """Return what a step hands on as bytes: attachments of the payload by their number, the rest whole."""
    return msgspec.msgpack.encode([_Handed(one, list(kept)) for one, kept in zip(outputs, files, strict=True)])


def first(op: Operation, payload: intake.Stored, objects: ObjectStore) -> list[Input]:
    """Return the payload as the first step is given it."""
    whole = b"".join(intake.content(op, payload.id).pieces(objects))
    every = [OutputFile(of=ordinal) for ordinal, _, _ in payload.attachments]
    return [_input(JobFile(payload.meta.name, payload.meta.content_type, whole), every, _stored(op, payload, objects))]


def unpacked(op: Operation, payload: intake.Stored, handed: bytes, objects: ObjectStore) -> list[Input]:
    """Return what the step before handed on; an attachment of the payload is opened once, however often it is kept."""
    stored = _stored(op, payload, objects)
    if handed.startswith(_JSON):
        every = [OutputFile(of=ordinal) for ordinal, _, _ in payload.attachments]
        outputs = [_Handed(bytes(one), every) for one in msgspec.json.decode(handed, type=list[msgspec.Raw])]
    else:
        outputs = msgspec.msgpack.decode(handed, type=list[_Handed])
    return [_input(JobFile(None, "application/json", one.document), one.files, stored) for one in outputs]


def _input(document: JobFile, origins: Sequence[OutputFile], stored: Callable[[int], JobFile]) -> Input:
    attachments = (
        JobFile(one.name, one.content_type, one.data) if one.of is None else stored(one.of) for one in origins
    )
    return Input(document, tuple(attachments), tuple(origins))


def _stored(op: Operation, payload: intake.Stored, objects: ObjectStore) -> Callable[[int], JobFile]:
    """Return what opens an attachment of the payload, each once."""
    metas = {ordinal: meta for ordinal, _, meta in payload.attachments}

    @functools.cache
    def opened(ordinal: int) -> JobFile:
        meta = metas[ordinal]
        whole = b"".join(intake.content(op, payload.id, ordinal).pieces(objects))
        return JobFile(meta.name, meta.content_type, whole)

    return opened
