"""Decode text that names its own charset: a closed list, because some of Python's codecs are slow or no charsets."""

from __future__ import annotations

import base64
import binascii
import codecs
import re

MAX_WORDS = 500
"""Encoded words of one field that are decoded (RFC 2047); the rest stays as written."""

_ALLOWED = frozenset(
    {
        "utf-8",
        "utf-8-sig",
        "ascii",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "koi8-r",
        "koi8-u",
        "big5",
        "big5hkscs",
    }
    | {"gb2312", "gbk", "gb18030", "hz", "shift_jis", "shift_jis_2004", "euc_jp", "euc_kr", "cp949", "cp932", "johab"}
    | {"iso2022_jp", "iso2022_jp_2", "iso2022_kr", "mac-roman", "tis-620", "ptcp154", "viscii", "iso8859-1", "cp850"}
    | {f"iso8859-{n}" for n in range(2, 17)}
    | {f"cp125{n}" for n in range(9)}
    | {"cp437", "cp852", "cp866", "cp874"}
)
_WORD = re.compile(r"=\?([A-Za-z0-9_.:-]{1,40})(?:\*[A-Za-z0-9-]{1,20})?\?([bBqQ])\?([^?\s]{0,2000})\?=")


def charset(name: str) -> str | None:
    """Return the codec for a charset of the closed list, else None."""
    try:
        found = codecs.lookup(name.strip().strip("\"'")).name
    except (LookupError, ValueError, UnicodeError):
        return None
    return "cp1252" if found == "iso8859-1" else found if found in _ALLOWED else None


def text_of(data: bytes, declared: str | None, problems: set[str]) -> str:
    """Return *data* as text: by its declared charset, else as UTF-8, else as Windows-1252; note what did not fit."""
    codec = charset(declared) if declared else None
    if declared and codec is None:
        problems.add("unknown-charset")
    for tried in dict.fromkeys((codec or "utf-8", "utf-8")):
        try:
            return _plain(data.decode(tried))
        except UnicodeError:
            problems.add("bad-encoding")
    return _plain(data.decode("cp1252", "replace"))


def words(value: str, problems: set[str], *, most: int = MAX_WORDS) -> str:
    """Return a header's value with its encoded words decoded (RFC 2047), at most *most* of them."""
    if "=?" not in value:
        return value
    pieces: list[str] = []
    held: tuple[str, bytes] | None = None
    at = 0

    def flush() -> None:
        nonlocal held
        if held is not None:
            pieces.append(text_of(held[1], held[0], problems))
            held = None

    for count, found in enumerate(_WORD.finditer(value)):
        if count >= most:
            problems.add("encoded-words")
            break
        between = value[at : found.start()]
        at = found.end()
        name, how, encoded = found[1].lower(), found[2].lower(), found[3]
        data = _decoded(how, encoded, problems)
        if between.strip() or held is None:
            flush()
            pieces.append(between)
        if held is not None and held[0] != name:
            flush()
        held = (name, (held[1] if held else b"") + data)
        if len(held[1]) > 4096:
            flush()
            held = (name, b"")
    flush()
    pieces.append(value[at:])
    return "".join(pieces)


def _decoded(how: str, encoded: str, problems: set[str]) -> bytes:
    plain = encoded.encode("ascii", "replace")
    if how == "q":
        return binascii.a2b_qp(plain.replace(b"_", b" "))
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        problems.add("bad-encoding")
        return plain


def _plain(text: str) -> str:
    """Return *text* without a byte order mark."""
    return text.removeprefix("\ufeff")
