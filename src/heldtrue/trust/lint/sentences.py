"""From running text to sentences, with the line on which each begins."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|approx|no|nos|art|arts|sec|inc|ltd|corp|co|st|dr|mr|mrs|ms|u\.s"
    r"|jan|feb|mar|apr|jun|jul|aug"
    r"|sept?|oct|nov|dec)|(?-i:(?<![\w.])[A-Z]))\.$",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9])|[.!?…][\"'”’)\]]*$")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text on one line."""

    text: str
    line: int


def joined(pieces: list[Piece]) -> tuple[str, list[tuple[int, int]]]:
    """Return the pieces as one text, white space as a reader sees it, and where each begins: (offset, line)."""
    text, starts, spaced = "", list[tuple[int, int]](), False
    for piece in pieces:
        part = " ".join(piece.text.split())
        if part:
            text += f" {part}" if text and (spaced or piece.text[0].isspace()) else part
            starts.append((len(text) - len(part), piece.line))
        spaced = (spaced and not part) or piece.text[-1:].isspace()
    return text, starts


def split(pieces: list[Piece]) -> list[Piece]:
    """Return the sentences of a block, each with the line on which it begins."""
    text, starts = joined(pieces)
    found: list[Piece] = []
    begin = 0
    for end in _END.finditer(text):
        before = text[begin : end.start() + 1]
        if text[end.start()] == "." and end.end() < len(text) and _ABBREVIATION.search(before):
            continue
        found.append(Piece(text[begin : end.end()].strip(), _line(starts, begin)))
        begin = end.end() + 1
    if text[begin:].strip():
        found.append(Piece(text[begin:].strip(), _line(starts, begin)))
    return found


def _line(starts: list[tuple[int, int]], offset: int) -> int:
    return next((line for begin, line in reversed(starts) if begin <= offset), starts[0][1])
