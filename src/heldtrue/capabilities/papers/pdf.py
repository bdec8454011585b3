"""A paper as PDF: A4, embedded faces, running header and footer, contents with page numbers and bookmarks.

The bytes depend on the paper alone: its date is the only time in the file.
"""

from __future__ import annotations

from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos
from fpdf.outline import OutlineSection

from heldtrue.capabilities.papers.blocks import draw
from heldtrue.capabilities.papers.model import Paper
from heldtrue.capabilities.papers.page import INK, MARGIN, SOFT, Sheet

_ENTRY = 5.4
"""Millimetres of a line of the contents."""


def render(paper: Paper) -> bytes:
    """Return *paper* as PDF."""
    sheet = Sheet(paper)
    sheet.add_page()
    _front(sheet)
    for block in paper.blocks:
        draw(sheet, block)
    return bytes(sheet.output())


def _front(sheet: Sheet) -> None:
    """Write title, subtitle, date and, where there is one, the table of contents."""
    paper, meta = sheet.paper, sheet.paper.meta
    sheet.title_line(paper.title, "newsreader", 24)
    if paper.subtitle:
        sheet.title_line(paper.subtitle, "inter", 11, SOFT)
    sheet.set_y(sheet.y + 2)
    sheet.title_line(f"{meta.author} · {meta.dated.day} {meta.dated:%B %Y}", "inter", 9, SOFT)
    sheet.set_y(sheet.y + 3)
    sheet.line(sheet.l_margin, sheet.y, sheet.w - sheet.r_margin, sheet.y)
    sheet.set_y(sheet.y + 6)
    listed = len(paper.headings())
    if meta.contents and listed > 2:
        here = int((sheet.bottom - sheet.y) / _ENTRY)
        each = int((sheet.bottom - MARGIN - 2) / _ENTRY)
        pages = 1 + -(-max(0, listed - here) // each)
        sheet.insert_toc_placeholder(_contents, pages=pages, reset_page_indices=False)


def _contents(sheet: FPDF, outline: list[OutlineSection]) -> None:
    """Write the table of contents; called when every page is there."""
    bottom = sheet.h - MARGIN - 2
    for section in outline:
        if sheet.y + _ENTRY > bottom:
            sheet.page += 1
            sheet.set_xy(sheet.l_margin, MARGIN + 2)
        sheet.set_font("inter", "B" if section.level == 0 else "", 9.5 if section.level == 0 else 9)
        sheet.set_text_color(*INK)
        indent = 6.0 * section.level
        sheet.set_x(sheet.l_margin + indent)
        link = sheet.add_link(page=section.page_number)
        most = int((sheet.epw - indent) / 2)
        name = section.name if len(section.name) <= most else f"{section.name[: most - 1]}…"
        sheet.cell(sheet.epw - indent - 14, _ENTRY, name, link=link)
        page = str(section.page_number)
        sheet.cell(14, _ENTRY, page, align=Align.R, link=link, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
