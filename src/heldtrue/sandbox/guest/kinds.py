"""Tell what bytes are by their content, and make names safe to show; nothing is ever unpacked here."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME = 120
"""Characters of a file name that are kept; its ending survives the cut."""
LOOKED_AT = 4096
"""Bytes from the front that decide."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"\x7fELF", "application/x-elf"),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xca\xfe\xba\xbe", "application/x-mach-binary"),
    (b"{\\rtf", "application/rtf"),
    (b"#!", "text/x-script"),
)
_ZIPPED: tuple[tuple[bytes, str], ...] = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)
_ODF = re.compile(rb"mimetype(application/vnd\.oasis\.opendocument\.[a-z-]+)")
_MAIL = re.compile(
    rb"(?:(?:received|return-path|delivered-to|from|to|cc|subject|date|message-id|mime-version|reply-to|sender|"
    rb"dkim-signature|arc-seal|content-type|x-[a-z0-9-]+):[^\n]*\n(?:[ \t][^\n]*\n)*)+",
    re.IGNORECASE,
)
_HTML = re.compile(
    rb"\s*(?:<!--.{0,200}?-->\s*)?<(?:!doctype\s+html|html|head|body|title|script|table|div|p|meta)\b", re.I | re.S
)
_XML = re.compile(rb"\s*<(?:\?xml\s|[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?[\s>/])")
_JSON = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\[\]{\"\d\-tfn])")
_SHAPES = ((_HTML, "text/html"), (_XML, "application/xml"), (_JSON, "application/json"))
_CONTROLS = frozenset(range(32)) - {9, 10, 12, 13, 27}

EXECUTABLE = frozenset({"application/x-dosexec", "application/x-elf", "application/x-mach-binary", "text/x-script"})
"""Types that are programs."""


def kind_of(data: bytes) -> str:
    """Return the media type that the bytes themselves show; `application/octet-stream` when they show none."""
    head = bytes(data[:LOOKED_AT])
    return _binary(head, len(data)) or _written(head) if head else "application/x-empty"


def _binary(head: bytes, size: int) -> str | None:
    """Return the type whose magic bytes stand at the front."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(head)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"MZ") and size >= 64:
        return "application/x-dosexec"
    return "application/pdf" if b"%PDF-" in head[:1024] else None  # readers allow bytes before it (ISO 32000-1)


def _zipped(head: bytes) -> str:
    if found := _ODF.search(head[:200]):
        return found[1].decode("ascii")
    if b"[Content_Types].xml" in head or b"_rels/.rels" in head:
        for part, kind in _ZIPPED:
            if part in head:
                return kind
        return "application/vnd.openxmlformats-officedocument"
    return "application/zip"


def _written(head: bytes) -> str:
    """Return which text it is, if it is text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16-le" if head[0] == 0xFF else "utf-16-be"
        text = head[2 : 2 + (len(head) - 2) // 2 * 2].decode(encoding, "replace").encode("utf-8")
        return "application/xml" if _XML.match(text) else "text/plain"
    if any(byte in _CONTROLS for byte in head):
        return "application/octet-stream"
    text = head.removeprefix(b"\xef\xbb\xbf")
    found = _MAIL.match(text)
    if found and found[0].count(b"\n") >= 2 and text[found.end() : found.end() + 2].startswith((b"\n", b"\r\n")):
        return "message/rfc822"
    for shape, kind in _SHAPES:
        if shape.match(text):
            return kind
    return "text/csv" if _is_table(text) else "text/plain"


def _is_table(text: bytes) -> bool:
    """Return whether the first lines all have the same number of commas, semicolons or tabs, and at least one."""
    lines = [line for line in text.splitlines()[:6] if line.strip()]
    if len(text) == LOOKED_AT:
        lines = lines[:-1]
    if len(lines) < 2:
        return False
    return any(
        len({line.count(mark) for line in lines}) == 1 and lines[0].count(mark) >= 1 for mark in (b",", b";", b"\t")
    )


def clean_name(given: str | None) -> str | None:
    """Return a file name without path, control or direction characters, NFC, at most `MAX_NAME` long; None if empty."""
    if not given:
        return None
    name = unicodedata.normalize("NFC", given[: 16 * MAX_NAME])
    name = "".join(" " if c in "\t\r\n" else c for c in name if c in "\t\r\n" or _shown(c))
    name = re.split(r"[/\\]", name)[-1]
    if re.match(r"[A-Za-z]:", name):
        name = name[2:]
    name = re.sub(r'[<>:"|?*]', "_", " ".join(name.split())).strip(" .")
    if not name:
        return None
    if len(name) > MAX_NAME:
        stem, dot, ending = name.rpartition(".")
        kept = f"{dot}{ending}" if stem and len(ending) <= 10 else ""
        name = name[: MAX_NAME - len(kept)].rstrip(" .") + kept
    return name


def _shown(character: str) -> bool:
    """Return whether a character is neither a control, a format (bidi), a surrogate nor unassigned."""
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
