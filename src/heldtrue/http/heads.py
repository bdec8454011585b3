"""Heads of HTTP/1.1 messages (RFC 9112) as bytes: requests read strictly, answers written. Pure.

What two readers could take for two requests is refused: bare line ends, folded lines, names that are no tokens, two
lengths, a length beside chunks. Made for the forward-auth door, whose questions have no body.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from heldtrue.http.exchange import MalformedRequestError

Headers = list[tuple[bytes, bytes]]
END = b"\r\n\r\n"
REMEMBERED = 4096
"""Header names whose lower case is remembered."""
_TEXT = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
"""What may stand in a line."""
_TARGET = bytes(range(0x21, 0x7F))
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FRAMING = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}".encode("ascii") for one in HTTPStatus}
_lower: dict[bytes, bytes] = {}


class Head(NamedTuple):
    """What a request says before its body."""

    method: str
    target: bytes
    """In origin form: path and query as they came."""
    headers: Headers
    """Names in lower case."""
    length: int
    """Bytes of the body that follows."""
    last: bool
    """Whether the connection ends with the answer."""


def read_head(text: bytes) -> Head:
    """Return the head of a request, given without the empty line; raise `MalformedRequestError` for what is none."""
    first, *lines = text.split(b"\r\n")
    if text.translate(None, _TEXT) != b"\r\n" * len(lines):
        raise MalformedRequestError("The head holds a control character, or a line that does not end as lines do.")
    method, _, rest = first.partition(b" ")
    target, _, version = rest.partition(b" ")
    if version not in {b"HTTP/1.1", b"HTTP/1.0"} or not method or method.translate(None, _TOKEN):
        raise MalformedRequestError("The request line is not one of HTTP/1.1.")
    if target[:1] != b"/" or target.translate(None, _TARGET):
        raise MalformedRequestError("The request target is no path.")
    headers: Headers = []
    framing: Headers = []
    for line in lines:
        written, colon, value = line.partition(b":")
        name = _lower.get(written) or _learned(written)
        if not colon:
            raise MalformedRequestError("A header line has no colon.")
        pair = (name, value.strip(b" \t"))
        headers.append(pair)
        if name in _FRAMING:
            framing.append(pair)
    return Head(method.decode("ascii"), target, headers, *_framed(framing, version))


def write_head(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the head of an answer, its empty line included; raise `ValueError` where a header would break out."""
    text = b"\r\n".join([_LINES[status], *map(b": ".join, headers)])
    if text.translate(None, _TEXT) != b"\r\n" * len(headers):
        raise ValueError("a header of an answer holds a line end or another control character")
    return text + END


def _learned(written: bytes) -> bytes:
    if not written or written.translate(None, _TOKEN):
        raise MalformedRequestError("A header's name is no token.")
    if len(_lower) >= REMEMBERED:
        _lower.clear()
    name = _lower[written] = written.lower()
    return name


def _framed(framing: Headers, version: bytes) -> tuple[int, bool]:
    """Return the length of the body, and whether the connection ends after it."""
    length, last = None, version == b"HTTP/1.0"
    for name, value in framing:
        if name == b"transfer-encoding":
            raise MalformedRequestError("A body in chunks is not taken here.")
        if name == b"connection":
            options = {one.strip() for one in value.lower().split(b",")}
            last = b"close" in options or (last and b"keep-alive" not in options)
            continue
        if length is not None or not value.isdigit() or len(value) > 18:
            raise MalformedRequestError("Content-Length is not one number.")
        length = int(value)
    return length or 0, last
