"""Read invoices in PDF: the XML attached to it (Factur-X, ZUGFeRD, XRechnung), else its text."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pypdf import PdfReader, apply_configuration
from pypdf.errors import PyPdfError

from .invoice_xml import MAX_BYTES

MAX_PAGES = 20
MAX_TEXT = 200_000
MAX_FILES = 50
MAX_STREAM = 16 * 1024 * 1024
"""Bytes of one stream after decompression."""
_LIMITS: dict[str, Any] = {
    **{
        f"{how}_maximum_output_length": MAX_STREAM
        for how in ("zlib", "lzw", "run_length", "brotli", "jbig2", "array_based_stream")
    },
    "stream_parsing_work_maximum_count": 300_000,
    "jbig2dec_binary": None,
}
_BROKEN = (
    PyPdfError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    RecursionError,
    OverflowError,
    OSError,
)
"""What pypdf raises for PDFs that are none: besides its own errors those of the Python that it trips over."""


@dataclass(slots=True)
class Opened:
    """What a PDF holds that may be an invoice."""

    files: list[tuple[str, bytes]] = field(default_factory=list)
    """Attached XML files: name and bytes."""
    text: str = ""
    notes: set[str] = field(default_factory=set)


def open_pdf(data: bytes) -> Opened:
    """Return attached XML and the text of the first pages; a PDF that cannot be read has neither."""
    opened = Opened()
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    with apply_configuration(None, **_LIMITS):
        try:
            reader = PdfReader(io.BytesIO(data), strict=False)
            if reader.is_encrypted and not reader.decrypt(""):
                opened.notes.add("pdf-encrypted")
                return opened
            opened.files = list(_xml_files(reader))
            opened.text = _text(reader, opened.notes)
        except _BROKEN:
            opened.notes.add("pdf-malformed")
    return opened


def _xml_files(reader: PdfReader) -> Iterator[tuple[str, bytes]]:
    """Yield attached XML files, those that a name of the standards announces first."""
    found: list[tuple[str, bytes]] = []
    for count, one in enumerate(reader.attachment_list):
        if count >= MAX_FILES:
            break
        if not one.name.lower().endswith(".xml"):
            continue
        content = one.content
        if len(content) <= MAX_BYTES:
            found.append((one.name, content))
    known = ("factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml", "order-x.xml")
    yield from sorted(found, key=lambda file: (file[0].lower() not in known, file[0]))


def _text(reader: PdfReader, notes: set[str]) -> str:
    pages: list[str] = []
    size = 0
    for count, page in enumerate(reader.pages):
        if count >= MAX_PAGES or size >= MAX_TEXT:
            notes.add("pdf-pages-cut")
            break
        pages.append(page.extract_text()[: MAX_TEXT - size])
        size += len(pages[-1])
    return "\n".join(pages)
