"""Take credentials out of what comes back: as they are, and in the spellings that a server echoes things in."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

MASK = b"{{credential:%s}}"
SHORTEST = 8
"""Characters: a shorter credential could not be told from ordinary text."""


class Mask:
    """What is not to come through, and what is put in its place."""

    def __init__(self, credentials: Mapping[str, str]) -> None:
        """Take names → values."""
        found: dict[bytes, bytes] = {}
        for name, value in credentials.items():
            for text in (value, *_within(value)):
                for spelling in spellings(text):
                    found[spelling] = MASK % name.encode()
        self._found = sorted(found.items(), key=lambda one: -len(one[0]))

    def __repr__(self) -> str:
        return f"Mask({len(self._found)} spellings)"

    def hide(self, text: bytes) -> bytes:
        """Return *text* without them."""
        for spelling, instead in self._found:
            text = text.replace(spelling, instead)
        return text

    def hide_text(self, text: str) -> str:
        """Return a header's value without them."""
        return self.hide(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")


def spellings(value: str) -> set[bytes]:
    """Return how *value* may be written: plain, JSON, percent-encoded, Base64 at each of its three offsets, hex."""
    raw = value.encode()
    made = {raw, json.dumps(value)[1:-1].encode(), quote(value, safe="").encode(), quote_plus(value).encode()}
    made |= {quote(value).encode(), raw.hex().encode(), raw.hex().upper().encode()}
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * offset + raw)
            start = (offset * 8 + 5) // 6
            made.add(text[start : (len(raw) + offset) * 8 // 6])
    return {one for one in made if len(one) >= SHORTEST}


def _within(value: str) -> list[str]:
    """Return what *value* holds in Base64, as user and password do (RFC 7617): all of it, and the password."""
    try:
        text = base64.b64decode(value, validate=True).decode()
    except ValueError:
        return []
    return [part for part in (text, text.partition(":")[2]) if len(part) >= SHORTEST]
