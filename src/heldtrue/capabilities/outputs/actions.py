"""What can be done with outputs: seal, keep, look at, open, forget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.model import Limits, Meta, NoSuchAttachmentError, Part, PayloadErasedError
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.intake.stream import PartSink, opened
from heldtrue.capabilities.outputs import store
from heldtrue.capabilities.outputs.model import (
    CONTENT_TYPE,
    AttachedFile,
    AttachedView,
    Draft,
    ListOutputs,
    Maker,
    NoSuchOutputError,
    Output,
    OutputMeta,
    OutputView,
    place_of,
)
from heldtrue.crypto.canonical_fast import canonical_form
from heldtrue.crypto.digest import sha256
from heldtrue.crypto.sealing import Context, DataKey
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import CryptoKeyId, Entropy, FlowId, OutputId, PayloadId, RunId, TenantId
from heldtrue.op import Operation
from heldtrue.sandbox.jobs import OutputFile

SEALED_TYPE = "application/octet-stream"
"""Of what is sealed as one: an output and its files."""


@dataclass(slots=True)
class Drafts:
    """Outputs on their way: what is large is durable in the object store before the row that names it is written."""

    tenant: TenantId
    environment: str
    flow: FlowId
    run: RunId
    key: DataKey = field(repr=False)
    objects: ObjectStore
    clock: Clock
    entropy: Entropy
    attachments: Sequence[tuple[int, int, Meta]] = ()
    """The payload's, which an output may pass on: ordinal, size and meta of each."""
    made: list[Draft] = field(default_factory=list[Draft])
    _sinks: list[PartSink] = field(default_factory=list[PartSink])

    def add(
        self, body: bytes, event: str, makers: tuple[Maker, ...], number: int | None, files: Sequence[OutputFile] = ()
    ) -> None:
        """Seal one output, and behind it, under the same seal, the files that its transform made. Blocking."""
        output = OutputId.new(self.clock.now(), self.entropy)
        place = place_of(self.tenant, self.environment, output)
        sink = PartSink(self.objects, self.key, place, Limits(), entropy=self.entropy, content_type=SEALED_TYPE)
        self._sinks.append(sink)
        for piece in (body, *(file.data for file in files)):
            sink.write(piece)
        meta = OutputMeta(
            event=event,
            content_type=CONTENT_TYPE,
            sha256=sha256(body).hex(),
            jcs_sha256=sha256(canonical_form(body)).hex(),
            flow=str(self.flow),
            run=str(self.run),
            makers=makers,
            body_size=len(body) if any(file.data for file in files) else None,
            files=tuple(self._attached(files)),
        )
        self.made.append(Draft(id=output, number=number, part=sink.finish(), meta=meta))

    def _attached(self, files: Sequence[OutputFile]) -> Iterator[AttachedFile]:
        start, passed_on = 0, {ordinal: (size, meta) for ordinal, size, meta in self.attachments}
        for file in files:
            if file.of is not None:
                size, meta = passed_on[file.of]
                yield AttachedFile(
                    of=file.of, name=meta.name, content_type=meta.content_type, size=size, sha256=meta.sha256
                )
                continue
            digest, size = sha256(file.data).hex(), len(file.data)
            yield AttachedFile(name=file.name, content_type=file.content_type, size=size, sha256=digest, start=start)
            start += size

    def discard(self) -> None:
        """Remove what was written, because no row names it."""
        for sink in self._sinks:
            sink.discard()


def keep(op: Operation, payload: PayloadId, key: DataKey, run: RunId, drafts: Sequence[Draft]) -> list[Output]:
    """Write outputs of a payload that is locked, and return them with their places (part of T2)."""
    first = store.next_ordinal(op.tx, payload.value)
    kept = [
        Output(
            id=draft.id,
            payload=payload,
            ordinal=first + place,
            size=draft.meta.size_of(draft.part.size),
            meta=draft.meta,
        )
        for place, draft in enumerate(drafts)
    ]
    rows = [
        store.OutputRow(
            output_id=draft.id.value,
            payload_id=payload.value,
            ordinal=output.ordinal,
            run_id=run.value,
            number=draft.number,
            size=draft.part.size,
            meta_sealed=_seal_meta(op, key, draft.id, draft.meta),
            body_sealed=draft.part.sealed,
            body_object=draft.part.object,
            created_at=op.now,
            object_key_id=key.id.value,
        )
        for draft, output in zip(drafts, kept, strict=True)
    ]
    store.insert(op.tx, op.tenant.value, op.environment, rows)
    return kept


@dataclass(frozen=True, slots=True)
class OutputContent:
    """The bytes of an output, still sealed."""

    part: Part
    key: DataKey
    place: Context
    payload: PayloadId
    meta: OutputMeta

    def pieces(self, objects: ObjectStore) -> Iterator[bytes]:
        """Yield the plaintext."""
        whole = self._whole(objects)
        yield whole[: self.meta.size_of(len(whole))]

    def made(self, objects: ObjectStore, file: AttachedFile) -> bytes:
        """Return the bytes of a file that the transform made."""
        whole = self._whole(objects)
        start = self.meta.size_of(len(whole)) + file.start
        return whole[start : start + file.size]

    def file(self, ordinal: int) -> AttachedFile:
        """Return one of its files; raise `NoSuchAttachmentError`."""
        if not 1 <= ordinal <= len(self.meta.files):
            raise NoSuchAttachmentError
        return self.meta.files[ordinal - 1]

    def _whole(self, objects: ObjectStore) -> bytes:
        return b"".join(opened(objects, self.part, self.key, self.place))


def content(op: Operation, output: OutputId) -> OutputContent:
    """Return an output's sealed bytes; raise `PayloadErasedError` once its payload was erased."""
    row = store.output(op.tx, output.value)
    if row is None:
        raise NoSuchOutputError
    return _content(op, row)


def answer_content(op: Operation, objects: ObjectStore, output: OutputId) -> Answer:
    """Answer with an output's bytes."""
    found = content(op, output)
    return Answer(
        content=b"".join(found.pieces(objects)),
        content_type=CONTENT_TYPE,
        headers={"content-disposition": "attachment"},
        subject=str(output),
    )


def file_bytes(op: Operation, output: OutputContent, objects: ObjectStore, ordinal: int) -> bytes:
    """Return the bytes of one of an output's files."""
    file = output.file(ordinal)
    if file.of is None:
        return output.made(objects, file)
    return b"".join(intake.content(op, output.payload, file.of).pieces(objects))


def answer_file(op: Operation, objects: ObjectStore, output: OutputId, ordinal: int) -> Answer:
    """Answer with one of an output's files, and with nothing else of its payload."""
    try:
        found = content(op, output)
    except NoSuchOutputError as error:
        raise NoSuchAttachmentError from error
    file = found.file(ordinal)
    if file.of is not None:
        return intake.answer_content(op, objects, found.payload, file.of)
    return Answer(
        content=found.made(objects, file),
        content_type=intake.inert(file.content_type),
        headers={"content-disposition": "attachment"},
        subject=str(output),
        detail={"ordinal": ordinal},
    )


def list_outputs(op: Operation, asked: ListOutputs, objects: ObjectStore) -> Listing[OutputView]:
    """List a payload's outputs, newest first."""
    payload = PayloadId.parse(asked.payload_id)
    intake.known(op, payload)
    rows = store.outputs(op.tx, payload.value, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: _view(op, row, objects if asked.content else None), lambda r: r.output_id)


def forget(op: Operation, payload: PayloadId) -> list[str]:
    """Forget the outputs of a payload that is erased; return the names of their objects."""
    return store.forget(op.tx, payload.value)


def _content(op: Operation, row: store.OutputRow) -> OutputContent:
    if row.meta_sealed is None:
        raise PayloadErasedError
    key = op.keys.object_key(CryptoKeyId(row.object_key_id))
    meta = _open_meta(op, key, row)
    part = Part(
        meta=_part_meta(meta),
        size=row.size,
        sealed=row.body_sealed,
        object=row.body_object,
    )
    place = place_of(op.tenant, op.environment, OutputId(row.output_id))
    return OutputContent(part, key, place, PayloadId(row.payload_id), meta)


def _view(op: Operation, row: store.OutputRow, objects: ObjectStore | None) -> OutputView:
    meta = None
    text = None
    if row.meta_sealed is not None:
        meta = _open_meta(op, op.keys.object_key(CryptoKeyId(row.object_key_id)), row)
        if objects is not None:
            text = b"".join(_content(op, row).pieces(objects)).decode("utf-8")
    last = meta.makers[-1] if meta and meta.makers else None
    return OutputView(
        id=str(OutputId(row.output_id)),
        payload_id=str(PayloadId(row.payload_id)),
        run_id=str(RunId(row.run_id)),
        ordinal=row.ordinal,
        type=meta and meta.event,
        size=row.size if meta is None else meta.size_of(row.size),
        sha256=meta and meta.sha256,
        transform_id=last and last.transform,
        version=last and last.version,
        digest=last and f"sha256:{last.digest}",
        sandbox=last and last.sandbox,
        created_at=row.created_at,
        erased=meta is None,
        attachments=[] if meta is None else [AttachedView(**one.told(n)) for n, one in enumerate(meta.files, start=1)],
        content=text,
    )


def _part_meta(meta: OutputMeta) -> Meta:
    return Meta(content_type=meta.content_type, sha256=meta.sha256, jcs_sha256=meta.jcs_sha256)


def _seal_meta(op: Operation, key: DataKey, output: OutputId, meta: OutputMeta) -> bytes:
    return op.keys.seal_object(key, "outputs", "meta", str(output.value), msgspec.json.encode(meta))


def _open_meta(op: Operation, key: DataKey, row: store.OutputRow) -> OutputMeta:
    plain = op.keys.open_object(key, "outputs", "meta", str(row.output_id), row.meta_sealed or b"")
    return msgspec.json.decode(plain, type=OutputMeta)
