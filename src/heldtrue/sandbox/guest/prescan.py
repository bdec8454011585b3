"""Look at a mail before any parser does: split its header, and find where it stops being reasonable.

One linear pass with C-speed searches. Parsers differ and some are slow on purpose-made input, so the caps hold on the
bytes: whatever lies behind the place where a cap is exceeded is not parsed at all, and a word says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_HEADER_BYTES = 256 * 1024
MAX_HEADERS = 500
MAX_FIELD = 16 * 1024
"""Bytes of one header field, unfolded."""
MAX_PART_HEADER = 16 * 1024
"""Bytes of a part's header."""
MAX_PARTS = 200
MAX_DEPTH = 20
MAX_CONTAINERS = 100
MAX_WORDS = 5_000
"""Encoded words in the whole mail (RFC 2047): decoding many in one field is quadratic in some parsers."""
MAX_DASHED = 20_000
"""Lines that begin with two dashes, whether or not a boundary is declared that they match."""

_END = re.compile(rb"\r?\n\r?\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r(?!\n)")
_BOUNDARY = re.compile(
    rb"boundary(\*[0-9*]{0,4})?[ \t\r\n]{0,20}=[ \t\r\n]{0,20}(?:\"([^\"\r\n]{1,200})\"|([^\s;\"]{1,200}))",
    re.IGNORECASE,
)
_DASHED = re.compile(rb"(?:^|[\r\n])--([^\r\n]{1,200})")
_WORD = re.compile(rb"=\?[^?\s]{1,40}\?[bBqQ]\?")
_FIELD = re.compile(r"([!-9;-~]{1,100})[ \t]*:[ \t]*(.*)", re.S)
SINGLE = frozenset({"from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "in-reply-to"})
"""Fields that a mail has once at most (RFC 5322, section 3.6)."""
MIME_FIELDS = ("content-type", "content-transfer-encoding", "content-disposition", "content-id")


@dataclass(slots=True)
class Scanned:
    """A mail as it may be parsed."""

    fields: list[tuple[str, str]]
    """Name and unfolded value of each header field, in order, undecoded."""
    parseable: bytes
    """The MIME fields of the header, and the body as far as it is within the caps."""
    problems: set[str] = field(default_factory=set)

    def first(self, name: str) -> str | None:
        """Return the first value of a field."""
        return next((value for found, value in self.fields if found.lower() == name), None)


def scan(raw: bytes) -> Scanned:
    """Return the header of *raw*, and what of it a parser may see."""
    problems: set[str] = set()
    header, body = _split(raw, problems)
    fields = _fields(header, problems)
    mime = "".join(f"{name}: {value[:MAX_FIELD]}\r\n" for name, value in _mime_fields(fields))
    parseable = mime.encode("utf-8", "surrogateescape") + b"\r\n" + body
    end = len(parseable)
    for word, at in _places(parseable):
        problems.add(word)
        end = min(end, at)
    if b"\0" in raw:
        problems.add("nul")
    problems |= _line_endings(raw)
    return Scanned(fields, parseable[:end], problems)


def _line_endings(raw: bytes) -> set[str]:
    """Tell bare CR, and LF mixed with CRLF (RFC 5322, section 2.3); a mail with LF throughout was only saved so."""
    pairs = raw.count(b"\r\n")
    mixed = pairs and raw.count(b"\n") != pairs
    return ({"mixed-line-endings"} if mixed else set()) | ({"bare-cr"} if raw.count(b"\r") != pairs else set())


def _split(raw: bytes, problems: set[str]) -> tuple[bytes, bytes]:
    if raw.startswith((b"\r\n", b"\n")):
        return b"", raw.lstrip(b"\r\n")
    found = _END.search(raw, 0, MAX_HEADER_BYTES)
    if found:
        return raw[: found.start()], raw[found.end() :]
    if len(raw) <= MAX_HEADER_BYTES:
        return raw, b""
    problems.add("header-size")
    found = _END.search(raw, MAX_HEADER_BYTES)
    return raw[:MAX_HEADER_BYTES], raw[found.end() :] if found else b""


def _fields(header: bytes, problems: set[str]) -> list[tuple[str, str]]:
    unfolded: list[list[bytes]] = []
    for line in _LINE.split(header):
        if line[:1] in {b" ", b"\t"} and unfolded:
            unfolded[-1].append(line)
        elif line:
            if len(unfolded) >= MAX_HEADERS:
                problems.add("header-count")
                break
            unfolded.append([line])
    fields: list[tuple[str, str]] = []
    for lines in unfolded:
        whole = b"".join(lines)
        if len(whole) > MAX_FIELD:
            problems.add("field-size")
            whole = whole[:MAX_FIELD]
        try:
            text = whole.decode("utf-8")
        except UnicodeDecodeError:
            problems.add("bad-encoding")
            text = whole.decode("cp1252", "replace")
        found = _FIELD.match(text)
        if found is None:
            problems.add("malformed-header")
            continue
        fields.append((found[1], re.sub(r"[ \t]+", " ", found[2]).strip()))
    names = [name.lower() for name, _ in fields]
    problems |= {f"duplicate-{name}" for name in SINGLE if names.count(name) > 1}
    problems |= {f"duplicate-{name}" for name in MIME_FIELDS if names.count(name) > 1}
    return fields


def _mime_fields(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the first of each field that says how to read the body."""
    found: dict[str, tuple[str, str]] = {}
    for name, value in fields:
        if name.lower() in MIME_FIELDS:
            found.setdefault(name.lower(), (name, value))
    return list(found.values())


def _places(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield each exceeded cap with the place from which nothing is parsed."""
    declared: dict[bytes, int] = {}
    for found in _BOUNDARY.finditer(data):
        if len(declared) >= MAX_CONTAINERS:
            yield "container-count", found.start()
            break
        boundary = (found[2] or found[3]).rstrip()
        if found[1] or b"\\" in boundary:  # pieces (RFC 2231) and escapes: parsers disagree on what they make
            yield "odd-boundary", found.start()
            break
        declared.setdefault(boundary, found.start())
    for count, found in enumerate(_WORD.finditer(data)):
        if count >= MAX_WORDS:
            yield "encoded-words", found.start()
            break
    yield from _delimiters(data, declared)


def _delimiters(data: bytes, declared: dict[bytes, int]) -> Iterator[tuple[str, int]]:
    stack: list[bytes] = []
    dashed = parts = 0
    for found in _DASHED.finditer(data):
        dashed += 1
        if dashed > MAX_DASHED:
            yield "delimiter-count", found.start()
            return
        line = found[1].rstrip()
        closing = line not in declared and line.endswith(b"--") and line[:-2] in declared
        boundary = line[:-2] if closing else line
        if boundary not in declared:
            continue
        if boundary in stack:
            del stack[stack.index(boundary) + (0 if closing else 1) :]
        elif not closing:
            stack.append(boundary)
        if closing:
            continue
        parts += 1
        if parts > MAX_PARTS:
            yield "part-count", found.start()
            return
        if len(stack) > MAX_DEPTH:
            yield "depth", found.start()
            return
        if too_long := _long_header(data, found.end()):
            yield "part-header-size", too_long
            return


def _long_header(data: bytes, start: int) -> int | None:
    """Return where to cut when the header that begins at *start* has no end within `MAX_PART_HEADER`."""
    if len(data) - start <= MAX_PART_HEADER or _END.search(data, start, start + MAX_PART_HEADER):
        return None
    return start
