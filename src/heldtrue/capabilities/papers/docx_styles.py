"""The styles of our DOCX files, made once when the module is imported: python-docx reads its template from a file."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import docx
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_TAB_ALIGNMENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

MARGIN = Mm(20)
INK, SOFT = RGBColor(28, 27, 25), RGBColor(105, 101, 94)
FONT = "Arial"
"""On every machine, or with a metric twin (Liberation Sans)."""
_SIZES = {"Title": 24, "Subtitle": 11, "Heading 1": 17, "Heading 2": 13, "Heading 3": 11, "Heading 4": 10}


def field(paragraph: Any, instruction: str, shown: str = "", *, dirty: bool = False) -> None:
    """Add a field to *paragraph* (ISO/IEC 29500-1, 17.16): what it computes, and what is shown until then."""
    for kind in ("begin", "", "separate", "shown", "end"):
        run = paragraph.add_run()
        if kind == "":
            code = OxmlElement("w:instrText")
            code.set(qn("xml:space"), "preserve")
            code.text = instruction
            run._r.append(code)
        elif kind == "shown":
            run.text = shown
        else:
            mark = OxmlElement("w:fldChar")
            mark.set(qn("w:fldCharType"), kind)
            if dirty and kind == "begin":
                mark.set(qn("w:dirty"), "true")
            run._r.append(mark)


def shade(element: Any, colour: str) -> None:
    """Give a paragraph's or a cell's properties a background."""
    shading = OxmlElement("w:shd")
    shading.set(qn("w:val"), "clear")
    shading.set(qn("w:color"), "auto")
    shading.set(qn("w:fill"), colour)
    element.append(shading)


def _made() -> bytes:
    document = docx.Document()
    styles: Any = document.styles
    for name, size in {"Normal": 10, **_SIZES}.items():
        _restyle(styles[name], size)
    styles["Normal"].paragraph_format.space_after = Pt(5)
    styles["Normal"].paragraph_format.line_spacing = 1.2
    for level in range(1, 5):
        style = styles[f"Heading {level}"]
        style.paragraph_format.space_before = Pt(20 - 3 * level)
        style.paragraph_format.space_after = Pt(5)
        style.paragraph_format.keep_with_next = True
        style.font.bold = level > 2
    styles["Subtitle"].font.color.rgb = SOFT
    for name in ("Clause", "Note Text", "Cell", "Contents 1", "Contents 2"):
        style = styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = styles["Normal"]
    styles["Clause"].paragraph_format.left_indent = Mm(13)
    styles["Clause"].paragraph_format.first_line_indent = -Mm(13)
    styles["Clause"].paragraph_format.tab_stops.add_tab_stop(Mm(13))
    styles["Cell"].font.size = Pt(8.5)
    styles["Cell"].paragraph_format.space_after = Pt(2)
    styles["Cell"].paragraph_format.space_before = Pt(2)
    styles["Cell"].paragraph_format.line_spacing = 1.0
    note = styles["Note Text"].paragraph_format
    note.left_indent, note.right_indent = Mm(3), Mm(3)
    note.space_before = note.space_after = Pt(8)
    for level in (1, 2):
        style = styles[f"Contents {level}"]
        style.paragraph_format.left_indent = Mm(6 * (level - 1))
        style.paragraph_format.space_after = Pt(1)
        style.font.bold = level == 1
    section = document.sections[0]
    for part in (section.header, section.footer):
        part.is_linked_to_previous = False  # makes the part now, from the library's own files
        paragraph: Any = part.paragraphs[0]
        paragraph.paragraph_format.tab_stops.clear_all()
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def _restyle(style: Any, size: int) -> None:
    style.font.name = FONT
    style.font.size = Pt(size)
    style.font.color.rgb = INK
    style.font.italic = False
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    for name in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme", "w:cstheme"):
        fonts.attrib.pop(qn(name), None)
    for name in ("w:ascii", "w:hAnsi", "w:cs"):
        fonts.set(qn(name), FONT)


def right_tab(paragraph: Any, width: int) -> None:
    """Let what follows a tab stand at the right margin."""
    paragraph.paragraph_format.tab_stops.add_tab_stop(width, WD_TAB_ALIGNMENT.RIGHT)


TEMPLATE = _made()
"""An empty document with our styles."""
