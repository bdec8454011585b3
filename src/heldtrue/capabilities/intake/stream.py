"""Take a body in while it streams: hashed and sealed on the way, in bounded memory, never in clear on a disk.

Small parts stay in memory, sealed, until the row takes them; a large one is spilled to the object store and is durable
there before the row that names it is written. Whatever goes wrong, `Intake.discard` leaves nothing behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Protocol, TypeVar

import msgspec

from heldtrue.capabilities.intake.model import Body, JsonTooLargeError, Limits, Meta, Origin, Part, PartsError, Taken
from heldtrue.capabilities.intake.multipart import PartBegins, PartEnds, content_type_of, parts
from heldtrue.capabilities.intake.objects import ObjectStore, ObjectWriter
from heldtrue.capabilities.intake.scanning import Scan, Scanned, Scanner
from heldtrue.crypto.canonical_fast import canonical_form
from heldtrue.crypto.digest import sha256
from heldtrue.crypto.sealing import Context, DataKey, Opener, Sealer
from heldtrue.kernel.errors import BadInputError, UnavailableError
from heldtrue.kernel.ids import Entropy

BATCH = 256 * 1024
"""Bytes that are gathered before a worker thread seals and writes them."""
MAX_CONTENT_TYPE = 255

T = TypeVar("T")


class RunBlocking(Protocol):
    """Run a blocking function in a worker thread."""

    async def __call__(self, act: Callable[[], T]) -> T:
        """Return what *act* returns."""
        ...


def is_json(content_type: str) -> bool:
    """Return whether a media type is JSON: `application/json`, `text/json`, or `+json` (RFC 6839)."""
    media, _ = content_type_of(content_type)
    return media in {"application/json", "text/json"} or media.endswith("+json")


def is_multipart(content_type: str | None) -> bool:
    """Return whether the body has parts (RFC 2046, section 5.1); raise `BadInputError` for what is no media type."""
    return content_type_of(content_type)[0].startswith("multipart/")


class PartSink:
    """One part on its way in. `write` and `finish` block: call them in a worker thread."""

    def __init__(
        self, store: ObjectStore, key: DataKey, context: Context, limits: Limits, *, entropy: Entropy, content_type: str
    ) -> None:
        self._store = store
        self._limits = limits
        self._entropy = entropy
        self._content_type = _checked(content_type)
        self._sealer = Sealer(key, context)
        self._hash = hashlib.sha256()
        self._size = 0
        self._json = bytearray() if is_json(content_type) else None
        self._inline = bytearray(self._sealer.start())
        self._writer: ObjectWriter | None = None
        self._committed: str | None = None

    def write(self, data: bytes) -> None:
        """Hash and seal *data*; spill to the store once the row would become too large."""
        self._size += len(data)
        self._hash.update(data)
        if self._json is not None:
            if self._size > self._limits.json:
                raise JsonTooLargeError(
                    f"JSON over {self._limits.json} bytes is refused, because its canonical form is hashed in memory",
                    advice="Send it as application/octet-stream; its bytes are hashed and kept the same.",
                )
            self._json += data
        self._put(self._sealer.update(data))

    def finish(self, name: str | None = None) -> Part:
        """Return the part; where it went to the store, it is durable there."""
        jcs = None if self._json is None else sha256(canonical_form(bytes(self._json))).hex()
        self._json = None
        self._put(self._sealer.finish())
        if self._writer is not None:
            self._writer.commit()
            self._committed, self._writer = self._writer.name, None
        meta = Meta(content_type=self._content_type, sha256=self._hash.hexdigest(), jcs_sha256=jcs, name=name)
        sealed = None if self._committed is not None else bytes(self._inline)
        return Part(meta=meta, size=self._size, sealed=sealed, object=self._committed)

    def discard(self) -> None:
        """Remove whatever was written; where the store is away, the sweep does it later."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        if self._committed is not None:
            self._store.delete(self._committed)
            self._committed = None

    def _put(self, sealed: bytes) -> None:
        if self._writer is not None:
            self._writer.write(sealed)
            return
        self._inline += sealed
        if len(self._inline) > self._limits.inline:
            self._writer = self._store.create(self._entropy)
            self._writer.write(bytes(self._inline))
            self._inline.clear()


class Intake:
    """One request body on its way in: a plain one, or a multipart one with attachments."""

    def __init__(
        self,
        store: ObjectStore,
        key: DataKey,
        origin: Origin,
        limits: Limits,
        *,
        entropy: Entropy,
        run: RunBlocking,
        scanner: Scanner | None = None,
    ) -> None:
        self._scanner = scanner
        self._scan: Scan | None = None
        self._store = store
        self._key = key
        self._origin = origin
        self._limits = limits
        self._entropy = entropy
        self._run = run
        self._sinks: list[PartSink] = []

    async def take(self, content_type: str | None, body: AsyncIterator[bytes]) -> Taken:
        """Return what came; raise a `BadInputError`, `TooLargeError` or `UnavailableError` and leave nothing."""
        media, parameters = content_type_of(content_type)
        try:
            if media in {"multipart/form-data", "multipart/mixed"}:
                boundary = parameters.get("boundary")
                if not boundary:
                    raise PartsError("the Content-Type has no boundary", advice="Let your client write this header.")
                return await self._take_parts(boundary, body, named=media == "multipart/form-data")
            if media.startswith("multipart/"):
                raise PartsError(f"{media} is not taken", advice="Send multipart/form-data or multipart/mixed.")
            return Taken(body=await self._take_whole(content_type or media, body))
        except BaseException:
            await self.discard()
            raise

    @property
    def scans(self) -> bool:
        """Whether what comes is scanned, which only `take` does."""
        return self._scanner is not None

    def take_small(self, content_type: str | None, body: bytes) -> Taken:
        """Return what `take` would of a *body* that is no multipart, stays in its row and is not scanned."""
        sink = self._sink(0, content_type or content_type_of(content_type)[0])
        sink.write(body)
        return Taken(body=sink.finish())

    async def discard(self) -> None:
        """Remove everything that this intake wrote to the store."""
        if self._scan is not None:
            await self._scan.close()
        sinks, self._sinks = self._sinks, []
        for sink in sinks:
            try:
                await self._run(sink.discard)
            except UnavailableError:
                continue  # the store is away: what it keeps has no row, and the sweep removes it after 24 hours

    async def _take_whole(self, content_type: str, body: AsyncIterator[bytes]) -> Part:
        sink = await self._begin(0, content_type)
        async for batch in _batches(body):
            await self._write(sink, batch)
        return await self._finish(sink, None)

    async def _begin(self, ordinal: int, content_type: str) -> PartSink:
        """Return where a part goes; with a scanner configured, a stream of its own for it."""
        if self._scanner is not None:
            self._scan = await self._scanner.begin()
        return self._sink(ordinal, content_type)

    async def _write(self, sink: PartSink, data: bytes) -> None:
        await self._run(lambda: sink.write(data))
        if self._scan is not None:
            await self._scan.feed(data)

    async def _finish(self, sink: PartSink, label: str | None) -> Part:
        """Return the part with its verdict; malware, and by the setting a scanner that is away, raise."""
        scanned = None if self._scan is None else await self._scan.finish()
        part = await self._run(lambda: sink.finish(label))
        return _told(part, scanned)

    async def _take_parts(self, boundary: str, body: AsyncIterator[bytes], *, named: bool) -> Taken:
        """Take each part in turn: the one named `payload` is the body, or the first where none has that name."""
        found: dict[int, Part] = {}
        first_unsure = False
        seen = 0
        sink, ordinal, label = None, 0, None
        async for event in _batched_parts(parts(body, boundary)):
            if isinstance(event, PartBegins):
                is_body = event.name == "payload" or (seen == 0 and not named)
                if is_body and 0 in found:
                    raise PartsError("two parts are the payload", advice="Name one part `payload`; number the others.")
                first_unsure |= seen == 0 and not is_body
                ordinal = 0 if is_body else 1 + sum(1 for known in found if known)
                if ordinal > self._limits.attachments + (1 if first_unsure else 0):
                    raise PartsError(f"more than {self._limits.attachments} attachments")
                label = None if is_body else event.filename or event.name
                sink = await self._begin(ordinal, event.content_type)
                seen += 1
            elif isinstance(event, PartEnds) and sink is not None:
                found[ordinal] = await self._finish(sink, label)
            elif isinstance(event, bytes) and sink is not None:
                await self._write(sink, event)
        if not found:
            raise PartsError("the multipart body has no parts")
        if 0 not in found:
            found = await self._promote_first(found)
        attachments = [found[number] for number in sorted(found) if number]
        if len(attachments) > self._limits.attachments:
            raise PartsError(f"more than {self._limits.attachments} attachments")
        unsure = any(part.meta.scan == "unavailable" for part in attachments)
        return Taken(body=_told(found[0], "unavailable") if unsure else found[0], attachments=attachments)

    async def _promote_first(self, found: dict[int, Part]) -> dict[int, Part]:
        """Make the first part the body: no part was named `payload`, which is known only at the end.

        Sealed bytes are bound to their place, so every part is sealed again in its new one, piece by piece.
        """
        former, self._sinks = self._sinks, []
        moved: dict[int, Part] = {}
        try:
            for number in sorted(found):
                moved[number - 1] = await self._run(lambda number=number: self._reseal(found[number], number))
        finally:
            for sink in former:
                await self._run(sink.discard)
        return moved

    def _reseal(self, part: Part, ordinal: int) -> Part:
        sink = self._sink(ordinal - 1, part.meta.content_type)
        for piece in opened(self._store, part, self._key, self._origin.body(ordinal)):
            sink.write(piece)
        return _told(sink.finish(part.meta.name if ordinal > 1 else None), part.meta.scan)

    def _sink(self, ordinal: int, content_type: str) -> PartSink:
        sink = PartSink(
            self._store,
            self._key,
            self._origin.body(ordinal),
            self._limits,
            entropy=self._entropy,
            content_type=content_type,
        )
        self._sinks.append(sink)
        return sink


def opened(store: ObjectStore, part: Body, key: DataKey, context: Context) -> Iterator[bytes]:
    """Yield the plaintext of a sealed part; raise `SealBrokenError` where it was altered, moved or cut short."""
    opener = Opener(key, context)
    for sealed in [part.sealed] if part.sealed is not None else store.read(part.object or ""):
        if piece := opener.update(sealed):
            yield piece
    if last := opener.finish():
        yield last


def _told(part: Part, scanned: Scanned | None) -> Part:
    """Return *part* with what the scanner came to."""
    return part if scanned is None else replace(part, meta=msgspec.structs.replace(part.meta, scan=scanned))


def _checked(content_type: str) -> str:
    if len(content_type) > MAX_CONTENT_TYPE or not (content_type.isascii() and content_type.isprintable()):
        raise BadInputError("the Content-Type is no media type", advice="Send one as application/json, or none.")
    return content_type


async def _batches(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what comes in pieces of about `BATCH`, so that a worker thread is asked seldom."""
    held = bytearray()
    async for piece in body:
        held += piece
        if len(held) >= BATCH:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _batched_parts(
    events: AsyncIterator[PartBegins | bytes | PartEnds],
) -> AsyncIterator[PartBegins | bytes | PartEnds]:
    """Join neighbouring bytes of one part in the same way."""
    held = bytearray()
    async for event in events:
        if isinstance(event, bytes):
            held += event
            if len(held) < BATCH:
                continue
        if held:
            yield bytes(held)
            held.clear()
        if not isinstance(event, bytes):
            yield event
