"""Runs of text broken into lines of a width; pure, and linear in the length of the text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from heldtrue.capabilities.papers.faces import Face, measure, showable
from heldtrue.capabilities.papers.model import Span, Words, clean, spans

POINT = 25.4 / 72
"""Millimetres."""
_WORD = re.compile(r"\n|[^\S\n]+|[^\s/\-]*[/\-]+|[^\s/\-]+")
"""What stays together: a word, or its part up to a hyphen or stroke; white space; a line end."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a line with one look."""

    span: Span
    text: str
    width: float
    """Millimetres."""


@dataclass(slots=True)
class Line:
    """Pieces side by side."""

    pieces: list[Piece] = field(default_factory=list)
    width: float = 0.0

    def add(self, span: Span, text: str, width: float) -> None:
        """Set *text* behind what is there."""
        last = self.pieces[-1] if self.pieces else None
        if last is not None and last.span is span:
            self.pieces[-1] = replace(last, text=last.text + text, width=last.width + width)
        else:
            self.pieces.append(Piece(span, text, width))
        self.width += width


def face_of(span: Span) -> Face:
    """Return the face that a run is set in."""
    return "interB" if span.strong else "inter"


def lines(words: Words, width: float, size: float, *, face: Face | None = None) -> list[Line]:
    """Return *words* as lines of at most *width* millimetres in *size* points; at least one line.

    A word wider than a line is broken where the line ends.
    """
    return _filled(((span, face or face_of(span)) for span in spans(words)), width, size * POINT)


def _filled(runs: Iterable[tuple[Span, Face]], width: float, em: float) -> list[Line]:
    made = [Line()]
    for span, face in runs:
        for word in _WORD.findall(showable(face, clean(span.text))):
            if word == "\n":
                made.append(Line())
                continue
            taken = measure(face, word, em)
            if made[-1].width + taken > width and made[-1].pieces:
                made.append(Line())
                if word.isspace():
                    continue
            if word.isspace() and not made[-1].pieces and len(made) > 1:
                continue
            for part in _parts(word, face, width, em) if taken > width else (word,):
                if made[-1].pieces and made[-1].width + measure(face, part, em) > width:
                    made.append(Line())
                made[-1].add(span, part, measure(face, part, em))
    return made


def _parts(word: str, face: Face, width: float, em: float) -> list[str]:
    """Return a word that is wider than a line in parts that are not."""
    parts, used = [""], 0.0
    for character in word:
        taken = measure(face, character, em)
        if parts[-1] and used + taken > width:
            parts.append("")
            used = 0.0
        parts[-1] += character
        used += taken
    return parts
