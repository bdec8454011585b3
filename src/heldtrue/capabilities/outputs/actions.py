"""What can be done with outputs: seal, keep, look at, open, forget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.model import Limits, Meta, Part, PayloadErasedError
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.intake.stream import PartSink, opened
from heldtrue.capabilities.outputs import store
from heldtrue.capabilities.outputs.model import (
    CONTENT_TYPE,
    Draft,
    ListOutputs,
    Maker,
    NoSuchOutputError,
    Output,
    OutputMeta,
    OutputView,
    place_of,
)
from heldtrue.crypto.sealing import Context, DataKey
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import CryptoKeyId, Entropy, FlowId, OutputId, PayloadId, RunId, TenantId
from heldtrue.op import Operation


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
    made: list[Draft] = field(default_factory=list[Draft])
    _sinks: list[PartSink] = field(default_factory=list[PartSink])

    def add(self, body: bytes, event: str, makers: tuple[Maker, ...], number: int | None) -> None:
        """Seal one output. Blocking."""
        output = OutputId.new(self.clock.now(), self.entropy)
        place = place_of(self.tenant, self.environment, output)
        limits = Limits(json=max(len(body), 1))
        sink = PartSink(self.objects, self.key, place, limits, entropy=self.entropy, content_type=CONTENT_TYPE)
        self._sinks.append(sink)
        sink.write(body)
        part = sink.finish()
        meta = OutputMeta(
            event=event,
            content_type=CONTENT_TYPE,
            sha256=part.meta.sha256,
            jcs_sha256=part.meta.jcs_sha256,
            flow=str(self.flow),
            run=str(self.run),
            makers=makers,
        )
        self.made.append(Draft(id=output, number=number, part=part, meta=meta))

    def discard(self) -> None:
        """Remove what was written, because no row names it."""
        for sink in self._sinks:
            sink.discard()


def keep(op: Operation, payload: PayloadId, key: DataKey, run: RunId, drafts: Sequence[Draft]) -> list[Output]:
    """Write outputs of a payload that is locked, and return them with their places (part of T2)."""
    first = store.next_ordinal(op.tx, payload.value)
    kept = [
        Output(id=draft.id, payload=payload, ordinal=first + place, size=draft.part.size, meta=draft.meta)
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

    def pieces(self, objects: ObjectStore) -> Iterator[bytes]:
        """Yield the plaintext."""
        return opened(objects, self.part, self.key, self.place)


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
    return OutputContent(part, key, place_of(op.tenant, op.environment, OutputId(row.output_id)))


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
        size=row.size,
        sha256=meta and meta.sha256,
        transform_id=last and last.transform,
        version=last and last.version,
        digest=last and f"sha256:{last.digest}",
        sandbox=last and last.sandbox,
        created_at=row.created_at,
        erased=meta is None,
        content=text,
    )


def _part_meta(meta: OutputMeta) -> Meta:
    return Meta(content_type=meta.content_type, sha256=meta.sha256, jcs_sha256=meta.jcs_sha256)


def _seal_meta(op: Operation, key: DataKey, output: OutputId, meta: OutputMeta) -> bytes:
    return op.keys.seal_object(key, "outputs", "meta", str(output.value), msgspec.json.encode(meta))


def _open_meta(op: Operation, key: DataKey, row: store.OutputRow) -> OutputMeta:
    plain = op.keys.open_object(key, "outputs", "meta", str(row.output_id), row.meta_sealed or b"")
    return msgspec.json.decode(plain, type=OutputMeta)
