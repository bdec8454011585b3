"""A paper as plain data: the JSON that stands beside every page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from heldtrue.capabilities.papers.model import (
    Block,
    Bullets,
    Clause,
    Heading,
    Note,
    PageBreak,
    Paper,
    Table,
    Text,
    Words,
    safe_link,
)

VERSION = 1


def render(paper: Paper) -> dict[str, Any]:
    """Return the paper as members, lists and texts only."""
    return {
        "v": VERSION,
        "title": paper.title,
        "subtitle": paper.subtitle,
        "author": paper.meta.author,
        "dated": paper.meta.dated.isoformat(),
        "reference": paper.meta.reference,
        "language": paper.meta.language,
        "blocks": [_block(block) for block in paper.blocks],
    }


def _block(block: Block) -> dict[str, Any]:
    make = _MAKERS[type(block)]
    return {"kind": type(block).__name__.lower(), **make(block)}


def _words(words: Words) -> Any:
    if isinstance(words, str):
        return words
    return [
        {
            "text": span.text,
            **({"strong": True} if span.strong else {}),
            **({"link": span.link} if safe_link(span.link) else {}),
            **({"tone": span.tone} if span.tone else {}),
        }
        for span in words
    ]


def _table(table: Table) -> dict[str, Any]:
    return {
        "caption": table.caption,
        "columns": [column.title for column in table.columns],
        "rows": [[_words(cell) for cell in row] for row in table.rows],
    }


_MAKERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Heading: lambda b: {"text": b.text, "level": b.level, "number": b.number},
    Text: lambda b: {"text": _words(b.words)},
    Clause: lambda b: {"number": b.number, "text": _words(b.words)},
    Bullets: lambda b: {"ordered": b.ordered, "items": [_words(item) for item in b.items]},
    Table: _table,
    Note: lambda b: {"text": _words(b.words), "tone": b.tone},
    PageBreak: lambda _: {},
}
