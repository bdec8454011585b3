"""Tables as XLSX: widths, wrapping, a frozen header with filters, and no cell that could be taken for a formula."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from io import BytesIO
from typing import Any

import xlsxwriter

from heldtrue.capabilities.papers.model import (
    Bullets,
    Clause,
    Column,
    Heading,
    Meta,
    Note,
    PageBreak,
    Paper,
    Table,
    Text,
    Tone,
    Words,
    clean,
    plain,
    safe_link,
    sections,
    spans,
)

_LIMIT = 32_767
"""Characters that a cell holds (ECMA-376; Excel's own limit)."""
_TONES: dict[Tone, str] = {"": "#1C1B19", "good": "#0B6B50", "bad": "#B3261E", "warn": "#8A5A00", "quiet": "#69655E"}
_CHARACTERS = 130
"""Of all columns together, in landscape."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: a table from its first row, so that it sorts and filters."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Words]]


def render(paper: Paper) -> bytes:
    """Return *paper* as a workbook: what it says in order on the first sheet, each table on one of its own."""
    return workbook(paper, [Sheet(name, table.columns, table.rows) for name, table in sections(paper)])


def workbook(paper: Paper, sheets: Sequence[Sheet]) -> bytes:
    """Return a workbook of *sheets* behind a first one with the paper's title and texts."""
    out = BytesIO()
    book = xlsxwriter.Workbook(
        out,
        {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False},
    )
    _properties(book, paper.title, paper.meta)
    looks = _Looks(book)
    names = _Names()
    _cover(book.add_worksheet(names.of("About")), paper, looks)
    for sheet in sheets:
        _fill(book.add_worksheet(names.of(sheet.name)), sheet, looks)
    book.close()
    return out.getvalue()


class _Looks:
    """The formats, each made once."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._made: dict[tuple[Any, ...], Any] = {}

    def of(self, *, tone: Tone = "", strong: bool = False, size: float = 10, fill: str = "", text: bool = False) -> Any:
        key = (tone, strong, size, fill, text)
        if key not in self._made:
            look: dict[str, Any] = {
                "font_name": "Arial", "font_size": size, "font_color": _TONES[tone], "bold": strong,
                "text_wrap": True, "valign": "top", "quote_prefix": text,
            }  # fmt: skip
            if fill:
                look |= {"bg_color": fill, "bottom": 1}
            self._made[key] = self._book.add_format(look)
        return self._made[key]


class _Names:
    """Gives each sheet a name that it may have: 31 characters, none of them special, no two alike."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, title: str) -> str:
        wanted = re.sub(r"[\[\]:*?/\\]", " ", clean(title)).strip(" '")[:31].strip() or "Sheet"
        name, count = wanted, 1
        while name.lower() in self._taken or name.lower() == "history":
            count += 1
            name = f"{wanted[: 28 - len(str(count))]} ({count})"
        self._taken.add(name.lower())
        return name


def _properties(book: Any, title: str, meta: Meta) -> None:
    book.set_properties(
        {
            "title": clean(title),
            "subject": clean(meta.subject),
            "author": clean(meta.author),
            "comments": clean(meta.reference),
            "created": meta.dated.astimezone(UTC).replace(tzinfo=None),
        }
    )


def _cover(sheet: Any, paper: Paper, looks: _Looks) -> None:
    sheet.set_column(0, 0, 100)
    sheet.hide_gridlines(2)
    meta = paper.meta
    front: list[tuple[Words, Any]] = [(paper.title, looks.of(size=18, strong=True))]
    if paper.subtitle:
        front.append((paper.subtitle, looks.of(tone="quiet")))
    front.append((f"{meta.author} · {meta.dated.day} {meta.dated:%B %Y}", looks.of(tone="quiet")))
    if meta.reference:
        front.append((meta.reference, looks.of(tone="quiet")))
    for row, (words, look) in enumerate([*front, *_told(paper, looks)]):
        _write(sheet, row, 0, words, look, looks)
    _printed(sheet, meta.reference, wide=False)


def _told(paper: Paper, looks: _Looks) -> list[tuple[Words, Any]]:
    """Return the paper's texts with their looks, tables apart."""
    found: list[tuple[Words, Any]] = []
    for block in paper.blocks:
        match block:
            case Heading():
                found.append((block.title, looks.of(strong=True, size=13 if block.level == 1 else 11)))
            case Text():
                found.append((block.words, looks.of()))
            case Clause():
                found.append((f"{block.number}  {plain(block.words)}", looks.of()))
            case Bullets():
                found += [(f"• {plain(item)}", looks.of()) for item in block.items]
            case Note():
                found.append((block.words, looks.of(tone=block.tone, strong=True)))
            case Table() | PageBreak():
                continue
    return found


def _fill(sheet: Any, made: Sheet, looks: _Looks) -> None:
    whole = sum(column.width for column in made.columns)
    for at, column in enumerate(made.columns):
        sheet.set_column(at, at, max(7, min(70, _CHARACTERS * column.width / whole)))
        _write(sheet, 0, at, column.title, looks.of(strong=True, fill="#F3F0EA"), looks)
    for row, cells in enumerate(made.rows, 1):
        for at, words in enumerate(cells):
            tone = next((span.tone for span in spans(words) if span.tone), "")
            strong = bool(words) and all(span.strong for span in spans(words))
            _write(sheet, row, at, words, looks.of(tone=tone, strong=strong), looks, tone=tone)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(1, len(made.rows)), len(made.columns) - 1)
    sheet.repeat_rows(0)
    _printed(sheet, made.name, wide=True)


def _write(sheet: Any, row: int, at: int, words: Words, look: Any, looks: _Looks, *, tone: Tone = "") -> None:
    """Write a text as a text: with a link only where it is ours, and marked as text where it looks like a formula."""
    text = clean(plain(words))
    if len(text) > _LIMIT:
        text = text[: _LIMIT - 1] + "…"
    link = next((safe_link(span.link) for span in spans(words) if safe_link(span.link)), "")
    if link and not link.startswith("#") and len(link) < 2000 and text and len(text) < 255:
        sheet.write_url(row, at, link, look, string=text)
        return
    sheet.write_string(row, at, text, looks.of(tone=tone, text=True) if text.startswith(_FORMULA) else look)


def _printed(sheet: Any, name: str, *, wide: bool) -> None:
    sheet.set_paper(9)
    if wide:
        sheet.set_landscape()
    sheet.set_margins(left=0.6, right=0.6, top=0.7, bottom=0.7)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer(f"&L&8{name.replace('&', '&&')[:120]}&R&8Page &P of &N")
