"""Mark a copy for its reader, and read the marks of a copy that turned up somewhere.

A PDF gets a line at the foot and a pale line across each page: who it was given to, when, and the number of the copy.
The same file, reader, day and number make the same bytes. A mark tells whose copy it is; it does not keep anybody from
taking it off.
"""

from __future__ import annotations

import io
import logging
import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, date, datetime

from fpdf import FPDF
from fpdf.fonts import TTFFont
from pypdf import PageObject, PdfReader, PdfWriter, Transformation
from pypdf.errors import PyPdfError

from heldtrue.capabilities.papers.faces import FACES, showable
from heldtrue.capabilities.papers.model import clean
from heldtrue.capabilities.room.model import Marking, MarkingError
from heldtrue.kernel.ids import DownloadId, GrantId

NOTE = "READ-ME-FIRST.txt"
logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of each fault by the line; we say it in one sentence
_MARK = re.compile(r"(dld|grt)_[0-9a-f]{32}")
_SPACE = re.compile(r"\s+")
_FACE = "mark"
_GREY = (90, 90, 90)
_FOOT, _ACROSS = 7.0, 26.0
_LONGEST = 120
_OLDEST = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError)
"""What a reader of PDFs raises for a file that is none, or a damaged one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a copy says of itself."""

    reader: str
    company: str
    mail: str
    day: date
    grant: GrantId
    download: DownloadId

    @property
    def line(self) -> str:
        """What stands at the foot of each page."""
        who = ", ".join(part for part in (_short(self.reader), _short(self.company), f"<{self.mail}>") if part)
        return f"For {who}, {self.day.isoformat()}, {self.download}, {self.grant}"


def pages_of(content: bytes) -> int:
    """Return how many pages a PDF has that can be marked; raise `MarkingError` for any other bytes."""
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted:
            raise MarkingError("The PDF is encrypted.")
        count = len(reader.pages)
        if count == 0:
            raise MarkingError("The PDF has no pages.")
        _size(reader.pages[0])
    except _UNREADABLE as error:
        raise MarkingError("The PDF cannot be read.") from error
    return count


def marked(content: bytes, marking: Marking, mark: Mark, name: str) -> tuple[bytes, str]:
    """Return a copy of *content* with *mark*, and the name of its file, which was *name*."""
    match marking:
        case "watermark":
            return watermarked(content, mark), name
        case "cover-note":
            return covered(content, mark, name), f"{name}.zip"
        case _:
            return content, name


def watermarked(content: bytes, mark: Mark) -> bytes:
    """Return the PDF *content* with *mark* on every page and in its properties."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    overlays: dict[tuple[float, float], PageObject] = {}
    for page in writer.pages:
        page.transfer_rotation_to_content()
        left, bottom, width, height = _size(page)
        overlay = overlays.get((width, height))
        if overlay is None:
            overlay = overlays[width, height] = _overlay(width, height, mark)
        page.merge_transformed_page(overlay, Transformation().translate(left, bottom))
        page.compress_content_streams()
    writer.add_metadata({"/HeldtrueDownload": str(mark.download), "/HeldtrueGrant": str(mark.grant)})
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def covered(content: bytes, mark: Mark, name: str) -> bytes:
    """Return a ZIP of *content* as it is and a note that says whose copy it is."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
        note = f"{mark.line}\n\nThis copy was given to its reader alone. Its number is recorded with who fetched it.\n"
        for entry, data in ((NOTE, note.encode()), (name, content)):
            info = zipfile.ZipInfo(entry, _OLDEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            packed.writestr(info, data)
    return written.getvalue()


def marks_in(content: bytes) -> list[str]:
    """Return the numbers of copies and grants that *content* carries, each once; none where it carries none."""
    found: dict[str, None] = {}
    for text in _texts(content):
        found.update(dict.fromkeys(match[0] for match in _MARK.finditer(_SPACE.sub("", text))))
    return sorted(found)


def _texts(content: bytes) -> list[str]:
    if content.startswith(b"PK"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                return [packed.read(name).decode("utf-8", "replace") for name in packed.namelist() if name == NOTE]
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
            raise MarkingError("The ZIP cannot be read.") from error
    try:
        reader = PdfReader(io.BytesIO(content))
        said = [str(value) for value in (reader.metadata or {}).values()]
        return [*said, *(page.extract_text() for page in reader.pages)]
    except _UNREADABLE as error:
        raise MarkingError("The PDF cannot be read.") from error


def _size(page: PageObject) -> tuple[float, float, float, float]:
    """Return what a reader sees of a page: left, bottom, width and height in points."""
    box = page.cropbox
    width, height = float(box.width), float(box.height)
    if not (1 <= width <= 20_000 and 1 <= height <= 20_000):
        raise MarkingError("A page of the PDF has no size that can be printed.")
    return float(box.left), float(box.bottom), width, height


def _overlay(width: float, height: float, mark: Mark) -> PageObject:
    """Return a page of that size, empty but for the mark."""
    sheet = FPDF(unit="pt", format=(width, height))
    sheet.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))
    sheet.set_auto_page_break(False)
    sheet.fonts[_FACE] = TTFFont(sheet, io.BytesIO(FACES["dejavu"]), _FACE, "")  # pyright: ignore[reportArgumentType]
    sheet.add_page()
    sheet.set_text_color(*_GREY)
    sheet.set_font(_FACE, size=_fitting(sheet, mark.line, width - 24, _FOOT))
    sheet.text(12, height - 8, mark.line)
    across = f"{_short(mark.reader)} · {mark.day.isoformat()} · {mark.download}"
    with sheet.local_context(fill_opacity=0.18), sheet.rotation(35 if height >= width else 25, width / 2, height / 2):
        sheet.set_font(_FACE, size=_fitting(sheet, across, min(width, height) * 0.95, _ACROSS))
        sheet.text((width - sheet.get_string_width(across)) / 2, height / 2, across)
    return PdfReader(io.BytesIO(bytes(sheet.output()))).pages[0]


def _fitting(sheet: FPDF, text: str, width: float, largest: float) -> float:
    """Return the size of type, *largest* at most, at which *text* is no wider than *width*."""
    sheet.set_font(_FACE, size=largest)
    return max(2.0, largest * min(1.0, width / max(1.0, sheet.get_string_width(text))))


def _short(text: str) -> str:
    """Return *text* in one line of bounded length."""
    line = showable("dejavu", " ".join(clean(text).split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
