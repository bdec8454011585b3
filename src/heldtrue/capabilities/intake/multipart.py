"""Read a multipart body as a stream of parts (RFC 2046, section 5.1; RFC 7578), strictly and in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from heldtrue.kernel.errors import BadInputError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_HEADERS = 16
MAX_HEADER_SIZE = 2048
MAX_NAME = 255


class MalformedMultipartError(BadInputError):
    """The multipart body is not as RFC 2046 says; compare the boundary and each part's header lines."""

    code = "malformed-multipart"


class TruncatedMultipartError(MalformedMultipartError):
    """The multipart body ends before its closing boundary; send it again in full."""

    code = "truncated-multipart"


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part's header lines are read; its bytes follow."""

    name: str | None
    """The `name` of a form field; None where the part has none."""
    filename: str | None
    content_type: str


@dataclass(frozen=True, slots=True)
class PartEnds:
    """All bytes of the part were seen."""


PartEvent = PartBegins | bytes | PartEnds


def content_type_of(header: str | None) -> tuple[str, dict[str, str]]:
    """Return the media type in lower case and its parameters; `application/octet-stream` when there is none."""
    media, parameters = _content_type(header or "")
    return media, dict(parameters)


@lru_cache(1024)
def _content_type(header: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    if not header:
        return "application/octet-stream", ()
    message = Message()
    message["content-type"] = header
    media = message.get_content_type()
    if "/" not in header.split(";", 1)[0]:
        raise BadInputError(
            f"the Content-Type {header[:80]!r} is no media type", advice="Send one as application/json, or none."
        )
    parameters = message.get_params(failobj=[], header="content-type")[1:]
    return media, tuple((name.lower(), value) for name, value in parameters)


class PartReader:
    """Turn chunks of a multipart body into events; refuse what does not end with its closing boundary."""

    def __init__(self, boundary: str) -> None:
        if not 1 <= len(boundary) <= 70 or not boundary.isascii() or not boundary.isprintable():
            raise MalformedMultipartError("the boundary is not 1 to 70 printable ASCII characters")
        self._events: list[PartEvent] = []
        self._field = bytearray()
        self._value = bytearray()
        self._headers: dict[str, str] = {}
        self._ended = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }
        self._parser = MultipartParser(
            boundary.encode(), callbacks, max_header_count=MAX_HEADERS, max_header_size=MAX_HEADER_SIZE
        )

    def feed(self, chunk: bytes) -> list[PartEvent]:
        """Return the events that *chunk* completes."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedMultipartError(f"the multipart body is malformed: {error}") from error
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Return when the closing boundary was seen; raise `TruncatedMultipartError` otherwise."""
        if not self._ended:
            raise TruncatedMultipartError

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        name = self._field.decode("ascii").lower()
        try:
            value = self._value.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise MalformedMultipartError(f"the header {name} of a part is not UTF-8") from error
        if any(ord(character) < 0x20 and character != "\t" for character in value):
            raise MalformedMultipartError(f"the header {name} of a part holds a control character")
        if name in self._headers:
            raise MalformedMultipartError(f"a part has the header {name} twice")
        self._headers[name] = value
        self._field.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        encoding = self._headers.get("content-transfer-encoding", "binary").lower()
        if encoding not in {"7bit", "8bit", "binary"}:
            raise MalformedMultipartError(
                f"a part has Content-Transfer-Encoding {encoding[:40]!r}, which HTTP does not need",
                advice="Send the bytes themselves, without this header (RFC 7578, section 4.7).",
            )
        name, filename = _disposition(self._headers.get("content-disposition"))
        media = self._headers.get("content-type") or "text/plain"
        content_type_of(media)
        self._events.append(PartBegins(name, filename, media))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        self._events.append(PartEnds())

    def _on_end(self) -> None:
        self._ended = True


async def parts(body: AsyncIterator[bytes], boundary: str) -> AsyncIterator[PartEvent]:
    """Yield the events of a multipart *body*; raise `MalformedMultipartError` for anything out of order."""
    reader = PartReader(boundary)
    async for chunk in body:
        for event in reader.feed(chunk):
            yield event
    reader.finish()


def _disposition(header: str | None) -> tuple[str | None, str | None]:
    if header is None:
        return None, None
    message = Message()
    message["content-disposition"] = header
    name = message.get_param("name", header="content-disposition")
    filename = message.get_param("filename", header="content-disposition")
    texts = [_text(name), _text(filename)]
    if any(text is not None and len(text) > MAX_NAME for text in texts):
        raise MalformedMultipartError(f"a part's name is longer than {MAX_NAME} characters")
    return texts[0], texts[1]


def _text(value: str | tuple[str | None, str | None, str] | None) -> str | None:
    """Return a header parameter as text (RFC 2231 values are decoded)."""
    if value is None or isinstance(value, str):
        return value
    charset, _, encoded = value
    try:
        return encoded.encode("latin-1").decode(charset or "ascii")
    except (LookupError, UnicodeError) as error:
        raise MalformedMultipartError("a part's name cannot be decoded") from error
