"""Answers written into a copy of the customer's own spreadsheet: only the cells named change, all else stays as it is.

The sheet's XML is changed in place, so that formats, validations, links and other sheets are the customer's own bytes.
Text is written as inline strings (ECMA-376, Part 1, 18.3.1.53): no cell of ours can be taken for a formula.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]
from openpyxl.utils import get_column_letter, range_boundaries

from heldtrue.capabilities.papers.model import clean
from heldtrue.capabilities.questionnaires import reading

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_LIMIT = 32_000
_FORMULA = ("=", "+", "-", "@", "\t")


@dataclass(frozen=True, slots=True)
class Cell:
    """A text for a cell; rows and columns from 1."""

    sheet: str
    row: int
    column: int
    text: str


def fill(kind: str, content: bytes, cells: Sequence[Cell]) -> bytes:
    """Return a copy of the file with *cells* written; a cell that holds a formula is left alone."""
    return _workbook(content, cells) if kind == "xlsx" else _table(content, cells)


def _workbook(content: bytes, cells: Sequence[Cell]) -> bytes:
    by_sheet: dict[str, list[Cell]] = {}
    for cell in cells:
        by_sheet.setdefault(cell.sheet, []).append(cell)
    out = io.BytesIO()
    with reading.checked(content) as before, ZipFile(out, "w", ZIP_DEFLATED) as after:
        parts = _parts(before)
        changed = {parts[name]: wanted for name, wanted in by_sheet.items() if name in parts}
        for member in before.infolist():
            data = before.read(member)
            if member.filename in changed:
                data = _sheet(data, changed[member.filename])
            copy = ZipInfo(member.filename, member.date_time)
            copy.compress_type, copy.external_attr = ZIP_DEFLATED, member.external_attr
            after.writestr(copy, data)
    return out.getvalue()


def _parts(packed: ZipFile) -> Mapping[str, str]:
    """Return the part of each sheet by its name."""
    book = reading.tree(packed.read("xl/workbook.xml"))
    relations = reading.tree(packed.read("xl/_rels/workbook.xml.rels"))
    targets = {one.get("Id"): one.get("Target") for one in relations.iter(f"{{{_PACKAGE}}}Relationship")}
    found: dict[str, str] = {}
    for sheet in book.iter(f"{{{_MAIN}}}sheet"):
        target = targets.get(sheet.get(f"{{{_RELATION}}}id")) or ""
        part = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join("xl", target))
        if part in packed.namelist():
            found[sheet.get("name")] = part
    return found


def _sheet(data: bytes, cells: Sequence[Cell]) -> bytes:
    root = reading.tree(data)
    rows = root.find(f"{{{_MAIN}}}sheetData")
    if rows is None:
        raise reading.UnreadableSheetError("A sheet of the workbook has no data.")
    merged = [range_boundaries(one.get("ref")) for one in root.iter(f"{{{_MAIN}}}mergeCell")]
    index = {int(row.get("r")): row for row in rows if row.get("r")}
    for cell in cells:
        row, column = _corner(cell.row, cell.column, merged)
        _write(_row(rows, index, row), row, column, cell.text)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)


def _corner(row: int, column: int, merged: Sequence[Any]) -> tuple[int, int]:
    """Return the cell that holds the value: of a merged range, its first."""
    for left, top, right, bottom in merged:
        if left <= column <= right and top <= row <= bottom:
            return top, left
    return row, column


def _row(rows: Any, index: dict[int, Any], number: int) -> Any:
    found = index.get(number)
    if found is None:
        found = etree.Element(f"{{{_MAIN}}}row", r=str(number))
        later = [at for at in index if at > number]
        if later:
            index[min(later)].addprevious(found)
        else:
            rows.append(found)
        index[number] = found
    return found


def _write(row: Any, number: int, column: int, text: str) -> None:
    name = f"{get_column_letter(column)}{number}"
    cell = next((one for one in row if one.get("r") == name), None)
    if cell is None:
        cell = etree.Element(f"{{{_MAIN}}}c", r=name)
        after = next((one for one in row if _column(one.get("r") or "") > column), None)
        if after is None:
            row.append(cell)
        else:
            after.addprevious(cell)
    if cell.find(f"{{{_MAIN}}}f") is not None:
        return
    for child in list(cell):
        cell.remove(child)
    cell.set("t", "inlineStr")
    holder = etree.SubElement(etree.SubElement(cell, f"{{{_MAIN}}}is"), f"{{{_MAIN}}}t")
    holder.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
    holder.text = clean(text)[:_LIMIT]


def _column(name: str) -> int:
    letters = re.match(r"[A-Z]+", name)
    number = 0
    for letter in letters[0] if letters else "":
        number = number * 26 + ord(letter) - 64
    return number


def _table(content: bytes, cells: Sequence[Cell]) -> bytes:
    text = reading.decoded(content)
    mark = reading.delimiter(text)
    rows = list(csv.reader(io.StringIO(text), delimiter=mark))
    for cell in cells:
        row = rows[cell.row - 1]
        row += [""] * (cell.column - len(row))
        written = clean(cell.text)
        row[cell.column - 1] = f"'{written}" if written.startswith(_FORMULA) else written
    out = io.StringIO()
    csv.writer(out, delimiter=mark, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode("utf-8-sig")
