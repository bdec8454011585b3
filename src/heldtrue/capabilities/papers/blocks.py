"""How each kind of block is drawn on a PDF page."""

from __future__ import annotations

from collections.abc import Sequence

from heldtrue.capabilities.papers.layout import Line, lines
from heldtrue.capabilities.papers.model import (
    Block,
    Bullets,
    Clause,
    Column,
    Heading,
    Note,
    PageBreak,
    Span,
    Table,
    Text,
    Tone,
    Words,
)
from heldtrue.capabilities.papers.page import INK, MARGIN, RULE, SOFT, TONES, Sheet, shown

_BODY, _LEAD = 10.0, 5.2
_CELL, _CELL_LEAD = 8.5, 4.3
_PAD = 1.6
_SIZES = {1: 17.0, 2: 13.0, 3: 11.0, 4: 10.0}
_HEAD_FILL = (243, 240, 234)
_WASHES: dict[Tone, tuple[int, int, int]] = {"bad": (251, 233, 231), "warn": (253, 243, 220), "good": (230, 243, 238)}


def draw(sheet: Sheet, block: Block) -> None:
    """Draw *block* below what is there."""
    match block:
        case Heading():
            _heading(sheet, block)
        case Text():
            sheet.write_words(block.words)
            _skip(sheet, 2.0)
        case Clause():
            _hanging(sheet, block.number, block.words, 13)
            _skip(sheet, 1.4)
        case Bullets():
            for at, item in enumerate(block.items):
                _hanging(sheet, f"{at + 1}." if block.ordered else "•", item, 6)
            _skip(sheet, 2.0)
        case Table():
            _table(sheet, block)
        case Note():
            _note(sheet, block)
        case PageBreak():
            if not _at_top(sheet):
                sheet.add_page()


def _skip(sheet: Sheet, height: float) -> None:
    sheet.set_y(sheet.y + height)


def _at_top(sheet: Sheet) -> bool:
    return sheet.y <= MARGIN + 4


def _heading(sheet: Sheet, block: Heading) -> None:
    level = min(block.level, 4)
    size = _SIZES[level]
    sheet.need(size * 0.5 + 26)
    if not _at_top(sheet):
        _skip(sheet, 6.5 - level * 1.2)
    if level <= 2:
        sheet.start_section(shown(block.title), level=level - 1, strict=False)
    sheet.title_line(block.title, "newsreader" if level <= 2 else "interB", size)
    _skip(sheet, 1.6)


def _hanging(sheet: Sheet, mark: str, words: Words, indent: float) -> None:
    sheet.need(2 * _LEAD)
    sheet.face("inter", _BODY, SOFT)
    sheet.cell(indent, _LEAD, shown(mark))
    sheet.set_x(sheet.l_margin)
    sheet.write_words(words, indent=indent)


def _note(sheet: Sheet, block: Note) -> None:
    _skip(sheet, 1)
    set_lines = lines(block.words, sheet.epw - 8, _BODY - 0.5)
    colour = TONES[block.tone]
    sheet.need(min(len(set_lines), 4) * _LEAD + 5)
    while set_lines:
        fit = max(1, int((sheet.bottom - sheet.y - 5) / _LEAD))
        part, set_lines = set_lines[:fit], set_lines[fit:]
        height = len(part) * _LEAD + 5
        sheet.set_fill_color(*_WASHES.get(block.tone, _HEAD_FILL))
        sheet.rect(sheet.l_margin, sheet.y, sheet.epw, height, style="F")
        sheet.set_fill_color(*colour)
        sheet.rect(sheet.l_margin, sheet.y, 0.9, height, style="F")
        _skip(sheet, 2.5)
        for line in part:
            sheet.put(line, sheet.l_margin + 5, _BODY - 0.5, _LEAD, colour)
            _skip(sheet, _LEAD)
        _skip(sheet, 2.5)
        if set_lines:
            sheet.add_page()
    _skip(sheet, 3)


def _table(sheet: Sheet, block: Table) -> None:
    widths = _widths(block.columns, sheet.epw)
    head: list[Words] = [[Span(text=column.title, strong=True)] for column in block.columns]
    if block.caption:
        sheet.need(26)
        sheet.title_line(block.caption, "interB", 9)
        _skip(sheet, 1)
    sheet.need(20)
    _row(sheet, head, widths, None, fill=True)
    for row in block.rows:
        _row(sheet, row, widths, head)
    _skip(sheet, 4)


def _widths(columns: Sequence[Column], room: float) -> list[float]:
    whole = sum(column.width for column in columns)
    return [room * column.width / whole for column in columns]


def _row(
    sheet: Sheet, row: Sequence[Words], widths: list[float], head: Sequence[Words] | None, *, fill: bool = False
) -> None:
    """Draw a row; one that does not fit on the page goes over whole, or in parts where it is taller than most of it."""
    cells = [lines(cell, width - 2 * _PAD, _CELL) for cell, width in zip(row, widths, strict=True)]
    height = max(len(cell) for cell in cells) * _CELL_LEAD + 2 * _PAD
    if head is not None and sheet.y + height > sheet.bottom and height < (sheet.bottom - MARGIN) * 0.6:
        _over(sheet, head, widths)
    while any(cells):
        fit = int((sheet.bottom - sheet.y - 2 * _PAD) / _CELL_LEAD)
        if fit < 1 and head is not None:
            _over(sheet, head, widths)
            continue
        fit = max(1, fit)
        _strip(sheet, [cell[:fit] for cell in cells], widths, fill=fill)
        cells = [cell[fit:] for cell in cells]


def _over(sheet: Sheet, head: Sequence[Words], widths: list[float]) -> None:
    sheet.add_page()
    _row(sheet, head, widths, None, fill=True)


def _strip(sheet: Sheet, cells: list[list[Line]], widths: list[float], *, fill: bool) -> None:
    """Draw the lines of a row that stand on one page, and the rule below them."""
    top, x = sheet.y, sheet.l_margin
    height = max(len(cell) for cell in cells) * _CELL_LEAD + 2 * _PAD
    if fill:
        sheet.set_fill_color(*_HEAD_FILL)
        sheet.rect(x, top, sheet.epw, height, style="F")
    for cell, width in zip(cells, widths, strict=True):
        for at, line in enumerate(cell):
            sheet.set_y(top + _PAD + at * _CELL_LEAD)
            sheet.put(line, x + _PAD, _CELL, _CELL_LEAD)
        x += width
    sheet.set_draw_color(*(INK if fill else RULE))
    sheet.line(sheet.l_margin, top + height, sheet.l_margin + sheet.epw, top + height)
    sheet.set_draw_color(*RULE)
    sheet.set_xy(sheet.l_margin, top + height)
