"""Where a customer's questions are: the header row, the columns, the rows that ask something. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from heldtrue.capabilities.questionnaires.reading import SheetText

_SEARCHED = 60
"""Rows in which a header is looked for."""
_NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "question": (
        ("question", "questions", "question request", "question text", "control question", "assessment question",
         "consensus assessment question", "consensus assessment questions", "requirement", "security question"),
        ("question", "requirement"),
    ),
    "answer": (
        ("answer", "response", "answers", "vendor response", "vendor answer", "supplier response", "your answer",
         "csp caiq answer", "yes no", "yes no n a", "yes no na", "response yes no n a", "consensus assessment answers"),
        ("answer", "response", "yes no"),
    ),
    "comment": (
        ("comment", "comments", "additional information", "explanation", "notes", "note", "details", "remarks",
         "csp implementation description", "csp implementation description optional recommended", "description",
         "comments evidence", "additional comments", "supporting information", "vendor comments"),
        ("comment", "additional", "explan", "remark", "note", "implementation description"),
    ),
    "id": (
        ("id", "no", "nr", "number", "ref", "reference", "question id", "control id", "ques num", "question number",
         "question no", "item", "serial", "serial number", "q id", "ccm control id", "s no"),
        ("question id", "control id", "ques num", "ref"),
    ),
}  # fmt: skip
"""For each column: what its header is exactly, and what it contains otherwise."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns by index from 0; None where there is none."""

    question: int
    answer: int | None = None
    comment: int | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a customer's."""

    sheet: str
    row: int
    """From 1, as the spreadsheet numbers it."""
    id: str
    question: str
    existing: str
    """What the answer cell holds already."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a sheet has what."""

    sheet: str
    header: int
    """Row from 1; 0 where there is none."""
    columns: Columns
    width: int
    """Columns in use."""


def find(sheets: tuple[SheetText, ...]) -> tuple[list[Shape], list[Asked]]:
    """Return the sheets that ask something, and every question in order."""
    shapes: list[Shape] = []
    asked: list[Asked] = []
    for sheet in sheets:
        shape = _shape(sheet)
        found = _asked(sheet, shape) if shape else []
        if shape and found:
            shapes.append(shape)
            asked += found
    return shapes, asked


def _shape(sheet: SheetText) -> Shape | None:
    width = max((len(row) for row in sheet.rows[: _SEARCHED * 4]), default=0)
    best: tuple[int, int, Columns] | None = None
    for at, row in enumerate(sheet.rows[:_SEARCHED], 1):
        scored = _header(row)
        if scored and (best is None or scored[0] > best[0]):
            best = (scored[0], at, scored[1])
    if best is not None:
        return Shape(sheet.name, best[1], best[2], width)
    column = _asking_column(sheet, width)
    return None if column is None else Shape(sheet.name, 0, Columns(column), width)


def _header(row: tuple[str, ...]) -> tuple[int, Columns] | None:
    """Return how much a row looks like a header, and what its columns are; None where no question column is named."""
    found: dict[str, tuple[int, int]] = {}
    for at, cell in enumerate(row):
        text = _plain(cell)
        if not text or len(text) > 70:
            continue
        for name, (exact, part) in _NAMES.items():
            score = 3 if text in exact else 1 if any(piece in text for piece in part) else 0
            if score > found.get(name, (0, 0))[0] and not (name != "id" and text in _NAMES["id"][0]):
                found[name] = (score, at)
    if "question" not in found:
        return None
    taken = {found["question"][1]}
    columns: dict[str, int] = {"question": found["question"][1]}
    for name in ("answer", "comment", "id"):
        if name in found and found[name][1] not in taken:
            columns[name] = found[name][1]
            taken.add(found[name][1])
    if len(columns) < 2:
        return None
    return sum(found[name][0] for name in columns), Columns(**columns)


def _asking_column(sheet: SheetText, width: int) -> int | None:
    """Return the column with the most question marks at the end of its cells, when there are at least three."""
    counts = [sum(len(row) > at and row[at].endswith("?") for row in sheet.rows) for at in range(width)]
    best = max(range(width), key=counts.__getitem__, default=None)
    return best if best is not None and counts[best] >= 3 else None


def _asked(sheet: SheetText, shape: Shape) -> list[Asked]:
    columns, found = shape.columns, list[Asked]()
    for at, row in enumerate(sheet.rows[shape.header :], shape.header + 1):
        question = _cell(row, columns.question)
        named = _cell(row, columns.id)
        if _asks(question, named):
            found.append(Asked(sheet.name, at, named, question, _cell(row, columns.answer)))
    return found


def _asks(text: str, named: str) -> bool:
    words = len(text.split())
    return text.endswith("?") or (words >= 4 and (bool(named) or words >= 6))


def _cell(row: tuple[str, ...], at: int | None) -> str:
    return row[at] if at is not None and at < len(row) else ""


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()
