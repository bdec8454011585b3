"""Customers' spreadsheets as text: XLSX and CSV from strangers, so bounded in every direction and never executed.

Of a formula only the value is read that the customer's program left beside it. Links to other files are not followed,
macros are not looked at. XML with a document type is refused (billion laughs, external entities).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile, ZipFile

import openpyxl
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from heldtrue.kernel.errors import BadInputError, TooLargeError

LARGEST = 8 * 1024 * 1024
UNPACKED = 64 * 1024 * 1024
MEMBERS, RATIO = 2_000, 300
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
SHEETS, ROWS, COLUMNS, CELL = 60, 6_000, 60, 8_000


class UnreadableSheetError(BadInputError):
    """The file is not an XLSX workbook or a CSV table that can be read; save it as XLSX again and send that."""

    code = "unreadable-sheet"


class HostileSheetError(TooLargeError):
    """The workbook unpacks to more than a questionnaire can be; send one with the questionnaire alone."""

    code = "hostile-sheet"


@dataclass(frozen=True, slots=True)
class SheetText:
    """The cells of one sheet as text, row by row."""

    name: str
    rows: tuple[tuple[str, ...], ...]


def read(content: bytes) -> tuple[str, tuple[SheetText, ...]]:
    """Return the kind of the file, `xlsx` or `csv`, and its sheets."""
    if len(content) > LARGEST:
        raise HostileSheetError(f"A questionnaire is at most {LARGEST // 1024 // 1024} MiB.")
    if content.startswith(b"PK"):
        return "xlsx", _workbook(content)
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableSheetError(
            "This is an old XLS or an encrypted workbook.", advice="Save it as XLSX, unprotected."
        )
    return "csv", (SheetText("table", tuple(_table(content))),)


def checked(content: bytes) -> ZipFile:
    """Return the workbook as ZIP; raise `HostileSheetError` for a bomb and `UnreadableSheetError` for none at all."""
    try:
        packed = ZipFile(io.BytesIO(content))
    except (BadZipFile, ValueError, OSError) as error:
        raise UnreadableSheetError from error
    members = packed.infolist()
    if len(members) > MEMBERS or sum(member.file_size for member in members) > UNPACKED:
        raise HostileSheetError
    for member in members:
        if member.flag_bits & 1:
            raise UnreadableSheetError("The workbook is encrypted.", advice="Save it without a password.")
        if member.file_size > 1024 * 1024 and member.file_size > RATIO * max(1, member.compress_size):
            raise HostileSheetError
    if "xl/workbook.xml" not in packed.namelist():
        raise UnreadableSheetError("The file is a ZIP, and no XLSX workbook.")
    for member in members:
        if member.filename.endswith((".xml", ".rels")):
            head = _head(packed, member.filename)
            if b"<!DOCTYPE" in head or head.startswith(_UTF_16):
                raise HostileSheetError("A part of the workbook declares a document type, or is not in UTF-8.")
    return packed


def tree(content: bytes) -> Any:
    """Return a part of a workbook as an XML tree; entities are not resolved and nothing is fetched."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableSheetError("A part of the workbook is not XML.") from error


def _head(packed: ZipFile, name: str) -> bytes:
    try:
        with packed.open(name) as part:
            return part.read(4096)
    except (BadZipFile, OSError, NotImplementedError, EOFError) as error:
        raise UnreadableSheetError from error


def _workbook(content: bytes) -> tuple[SheetText, ...]:
    checked(content).close()
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        try:
            return tuple(
                SheetText(str(sheet.title), tuple(_rows(sheet)))
                for sheet in book.worksheets[:SHEETS]
                if sheet.sheet_state == "visible"
            )
        finally:
            book.close()
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, EOFError, BadZipFile) as error:
        raise UnreadableSheetError from error
    except etree.XMLSyntaxError as error:
        raise UnreadableSheetError from error


def _rows(sheet: Any) -> Iterator[tuple[str, ...]]:
    for row in sheet.iter_rows(max_row=ROWS, max_col=COLUMNS, values_only=True):
        yield tuple(_text(value) for value in row)


def _text(value: object) -> str:
    return "" if value is None else str(value)[:CELL].strip()


def _table(content: bytes) -> Iterator[tuple[str, ...]]:
    text = decoded(content)
    try:
        for at, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter(text))):
            if at >= ROWS:
                raise HostileSheetError(f"A table has at most {ROWS} rows.")
            yield tuple(cell[:CELL].strip() for cell in row[:COLUMNS])
    except csv.Error as error:
        raise UnreadableSheetError from error


def decoded(content: bytes) -> str:
    """Return the text of a CSV file: UTF-8, UTF-16 with its mark, or Windows-1252."""
    for encoding in ("utf-16",) if content.startswith(_UTF_16) else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise UnreadableSheetError


def delimiter(text: str) -> str:
    """Return what separates the cells of a CSV text: the mark that its first lines have most of."""
    head = "\n".join(text.splitlines()[:20])
    return max(",;\t|", key=head.count)
