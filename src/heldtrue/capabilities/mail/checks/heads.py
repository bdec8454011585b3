"""What must be known of a message's header before it is parsed: who says to have written it, and what signs it.

This is no parser of mail: it knows lines, names and one address, takes linear time, and never looks into the body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_BYTES = 256 * 1024
MOST_FIELDS = 1000
_NAME = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_ADDRESS = re.compile(r"[^\s<>@,;]{1,64}@([^\s<>@,;]{1,255})")


@dataclass(frozen=True, slots=True)
class Head:
    """The header fields of a message in their order: names in lower case, values unfolded."""

    fields: tuple[tuple[bytes, bytes], ...]
    whole: bool
    """False: it is too large, or has lines that are no fields; nothing that is signed over it can be checked."""

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of the fields called *name*."""
        return [value for found, value in self.fields if found == name]


@dataclass(frozen=True, slots=True)
class Author:
    """Who says to have written a message."""

    domain: str | None
    """None where there is no author, or more than one."""
    flags: tuple[str, ...] = ()


def head_of(message: bytes) -> Head:
    """Return the header of *message*."""
    end = message.find(b"\r\n\r\n", 0, MOST_BYTES)
    if message.startswith(b"\r\n"):
        return Head((), whole=True)
    if end < 0:
        if len(message) > MOST_BYTES:
            return Head((), whole=False)
        end = len(message)
    fields: list[tuple[bytes, bytes]] = []
    whole = True
    for line in message[:end].split(b"\r\n"):
        if not line:
            continue
        if line[:1] in b" \t":
            if fields:
                name, value = fields[-1]
                fields[-1] = (name, value + line)
            else:
                whole = False
            continue
        match = _NAME.match(line)
        if match is None or len(fields) >= MOST_FIELDS:
            whole = False
            continue
        fields.append((match[1].lower(), line[match.end() :].strip()))
    return Head(tuple(fields), whole)


def author_of(head: Head) -> Author:
    """Return the domain in From (RFC 5322, section 3.6.2), and what is wrong with the field."""
    found = head.all(b"from")
    if not found:
        return Author(None, ("no-from",))
    if len(found) > 1:
        return Author(None, ("duplicate-from",))
    text = _bare(found[0].decode("utf-8", "replace"))
    angled = re.findall(r"<([^<>]*)>", text) if "<" in text else [text.strip()]
    if len(angled) != 1 or "," in text:
        return Author(None, ("several-authors",))
    match = _ADDRESS.fullmatch(angled[0].strip())
    if match is None:
        return Author(None, ("malformed-from",))
    return Author(match[1].rstrip(".").lower())


def _bare(text: str) -> str:
    """Return *text* without quoted strings and comments (RFC 5322, section 3.2)."""
    kept: list[str] = []
    depth, quoted, escaped = 0, False, False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\" and (quoted or depth):
            escaped = True
        elif quoted:
            quoted = letter != '"'
        elif letter == "(":
            depth += 1
        elif letter == ")" and depth:
            depth -= 1
        elif not depth and letter == '"':
            quoted = True
        elif not depth:
            kept.append(letter)
    return "".join(kept)
