"""A paper as DOCX: real styles, real tables whose header is repeated, a table of contents with page numbers."""

from __future__ import annotations

from datetime import UTC
from io import BytesIO
from typing import Any

import docx
from docx.enum.section import WD_ORIENT
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Emu, Mm, Pt, RGBColor

from heldtrue.capabilities.papers.docx_styles import MARGIN, SOFT, TEMPLATE, field, right_tab, shade
from heldtrue.capabilities.papers.model import (
    Block,
    Bullets,
    Clause,
    Heading,
    Note,
    PageBreak,
    Paper,
    Span,
    Table,
    Text,
    Tone,
    Words,
    clean,
    safe_link,
    spans,
)
from heldtrue.capabilities.papers.zipped import settled

_TONES: dict[Tone, RGBColor] = {
    "good": RGBColor(11, 107, 80),
    "bad": RGBColor(179, 38, 30),
    "warn": RGBColor(138, 90, 0),
    "quiet": SOFT,
}
_WASHES: dict[Tone, str] = {"bad": "FBE9E7", "warn": "FDF3DC", "good": "E6F3EE"}
_HEAD_FILL = "F3F0EA"


def render(paper: Paper) -> bytes:
    """Return *paper* as DOCX."""
    document: Any = docx.Document(BytesIO(TEMPLATE))
    width = _page(document, paper)
    document.add_paragraph(clean(paper.title), style="Title")
    if paper.subtitle:
        document.add_paragraph(clean(paper.subtitle), style="Subtitle")
    meta = paper.meta
    quiet = [Span(text=f"{meta.author} · {meta.dated.day} {meta.dated:%B %Y}", tone="quiet")]
    _runs(document.add_paragraph(), quiet)
    marks = _bookmarks(paper)
    if meta.contents and len(marks) > 2:
        _contents(document, marks, width)
    for block in paper.blocks:
        _add(document, block, width, marks)
    out = BytesIO()
    document.save(out)
    return settled(out.getvalue())


def _page(document: Any, paper: Paper) -> int:
    """Set up paper size, header, footer and properties; return the width between the margins."""
    meta, section = paper.meta, document.sections[0]
    long, short = Mm(297), Mm(210)
    section.orientation = WD_ORIENT.LANDSCAPE if meta.wide else WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = (long, short) if meta.wide else (short, long)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = MARGIN
    width = section.page_width - 2 * MARGIN
    for part, left, right in ((section.header, meta.author, paper.title), (section.footer, meta.reference, None)):
        line = part.paragraphs[0]
        right_tab(line, width)
        line.add_run(f"{clean(left)}\t{clean(right or '')}")
        if right is None:
            line.add_run("Page ")
            field(line, "PAGE", "1")
            line.add_run(" of ")
            field(line, "NUMPAGES", "1")
        for run in line.runs:
            run.font.size, run.font.color.rgb = Pt(8), SOFT
    properties = document.core_properties
    properties.title, properties.author = clean(paper.title)[:255], clean(meta.author)[:255]
    properties.subject, properties.comments = clean(meta.subject or paper.subtitle)[:255], clean(meta.reference)[:255]
    properties.last_modified_by, properties.language = "Heldtrue", meta.language
    properties.created = properties.modified = meta.dated.astimezone(UTC).replace(tzinfo=None)
    properties.revision = 1
    return int(width)


def _bookmarks(paper: Paper) -> dict[int, tuple[str, Heading]]:
    """Return a bookmark for each heading of the contents, by the heading's identity."""
    return {id(heading): (f"_Toc{at:08d}", heading) for at, heading in enumerate(paper.headings(), 1)}


def _contents(document: Any, marks: dict[int, tuple[str, Heading]], width: int) -> None:
    """Add the contents: a link and a page reference each, computed when the file is opened."""
    for mark, heading in marks.values():
        line = document.add_paragraph(style=f"Contents {heading.level}")
        right_tab(line, width)
        line._p.append(_link(f"{clean(heading.title)}\t", anchor=mark))
        field(line, f"PAGEREF {mark} \\h", "", dirty=True)
    document.add_page_break()


def _add(document: Any, block: Block, width: int, marks: dict[int, tuple[str, Heading]]) -> None:
    match block:
        case Heading():
            _heading(document, block, marks.get(id(block)))
        case Text():
            _runs(document.add_paragraph(), block.words)
        case Clause():
            line = document.add_paragraph(style="Clause")
            line.add_run(f"{clean(block.number)}\t")
            _runs(line, block.words)
        case Bullets():
            for at, item in enumerate(block.items):
                line = document.add_paragraph(style="Clause" if block.ordered else "List Bullet")
                if block.ordered:
                    line.add_run(f"{at + 1}.\t")
                _runs(line, item)
        case Table():
            _table(document, block, width)
        case Note():
            line = document.add_paragraph(style="Note Text")
            shade(line._p.get_or_add_pPr(), _WASHES.get(block.tone, _HEAD_FILL))
            _runs(line, block.words)
        case PageBreak():
            document.add_page_break()


def _heading(document: Any, block: Heading, mark: tuple[str, Heading] | None) -> None:
    line = document.add_paragraph(style=f"Heading {min(block.level, 4)}")
    if mark is None:
        line.add_run(clean(block.title))
        return
    name = mark[0]
    for kind in ("w:bookmarkStart", "w:bookmarkEnd"):
        element = OxmlElement(kind)
        element.set(qn("w:id"), str(int(name[4:])))
        if kind == "w:bookmarkStart":
            element.set(qn("w:name"), name)
        line._p.append(element)
        if kind == "w:bookmarkStart":
            line.add_run(clean(block.title))


def _table(document: Any, block: Table, width: int) -> None:
    if block.caption:
        caption = document.add_paragraph()
        caption.paragraph_format.keep_with_next = True
        _runs(caption, [Span(text=block.caption, strong=True)])
    table = document.add_table(rows=1, cols=len(block.columns), style="Table Grid")
    table.autofit = False
    whole = sum(column.width for column in block.columns)
    widths = [Emu(int(width * column.width / whole)) for column in block.columns]
    for cell, column in zip(table.rows[0].cells, block.columns, strict=True):
        _cell(cell, [Span(text=column.title, strong=True)])
        shade(cell._tc.get_or_add_tcPr(), _HEAD_FILL)
    _row_property(table.rows[0], "w:tblHeader")
    for row in block.rows:
        added = table.add_row()
        for cell, words in zip(added.cells, row, strict=True):
            _cell(cell, words)
        if sum(len(span.text) for words in row for span in spans(words)) < 1500:
            _row_property(added, "w:cantSplit")
    for column, share in zip(table.columns, widths, strict=True):
        column.width = share
    for row in table.rows:
        for cell, share in zip(row.cells, widths, strict=True):
            cell.width = share
    document.add_paragraph()


def _row_property(row: Any, name: str) -> None:
    element = OxmlElement(name)
    element.set(qn("w:val"), "true")
    row._tr.get_or_add_trPr().append(element)


def _cell(cell: Any, words: Words) -> None:
    line = cell.paragraphs[0]
    line.style = "Cell"
    _runs(line, words)


def _runs(line: Any, words: Words) -> None:
    for span in spans(words):
        link = safe_link(span.link)
        if link and not link.startswith("#"):
            line._p.append(_link(clean(span.text), target=line.part.relate_to(link, RELATIONSHIP_TYPE.HYPERLINK, True)))
            continue
        run = line.add_run(clean(span.text))
        run.bold = True if span.strong else None
        if span.tone:
            run.font.color.rgb = _TONES[span.tone]


def _link(text: str, *, anchor: str = "", target: str = "") -> Any:
    """Return a hyperlink element (ISO/IEC 29500-1, 17.16.22), to a bookmark or to a relation of the document."""
    link, run = OxmlElement("w:hyperlink"), OxmlElement("w:r")
    link.set(qn("w:anchor") if anchor else qn("r:id"), anchor or target)
    if target:
        look, line = OxmlElement("w:rPr"), OxmlElement("w:u")
        line.set(qn("w:val"), "single")
        look.append(line)
        run.append(look)
    for at, part in enumerate(text.split("\t")):
        if at:
            run.append(OxmlElement("w:tab"))
        if part:
            words = OxmlElement("w:t")
            words.set(qn("xml:space"), "preserve")
            words.text = part
            run.append(words)
    link.append(run)
    return link
