"""Gathers blocks into a page: headings above, sentences within, lists with what introduces them."""

from __future__ import annotations

from dataclasses import dataclass, field

from heldtrue.trust.lint.model import Code, Hidden, Listing, Page, Sentence
from heldtrue.trust.lint.sentences import Piece, joined, split


@dataclass
class _Open:
    """A list or table that is being read."""

    intro: str
    line: int
    section: str
    table: bool
    first_line: int
    items: list[str] = field(default_factory=list[str])


class Builder:
    """Takes blocks in the order of the page."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._sentences: list[Sentence] = []
        self._listings: list[Listing] = []
        self._code: list[Code] = []
        self._hidden: list[Hidden] = []
        self._headings: list[tuple[int, str]] = []
        self._open: list[_Open] = []
        self._blocks = 0

    @property
    def _section(self) -> str:
        return " › ".join(text for _, text in self._headings)

    def heading(self, depth: int, text: str, line: int) -> None:
        """Begin a section."""
        self._headings = [one for one in self._headings if one[0] < depth]
        self._headings.append((depth, text))
        self._say("heading", [Piece(text, line)], (), None)

    def add(self, kind: str, pieces: list[Piece], links: list[str], state: str | None = None) -> None:
        """Add a paragraph, or an item of the list that is open."""
        if kind == "item" and self._open:
            text, _ = joined(pieces)
            items = self._open[-1].items
            items[-1:] = [f"{items[-1]} {text}".strip() if items else text]
        self._say(kind, pieces, tuple(links), state)

    def item(self) -> None:
        """Begin an item of the list that is open."""
        if self._open:
            self._open[-1].items.append("")

    def row(self, told: list[str], names: list[str], links: list[str], line: int, state: str | None = None) -> None:
        """Add a table's row: one sentence, each cell with the name of its column."""
        if self._open and told:
            self._open[-1].items.append(told[0])
        named = [f"{name}: {cell}" if name and at else cell for at, (name, cell) in enumerate(_paired(names, told))]
        self._blocks += 1
        text = " · ".join(part for part in named if part.strip())
        if text:
            self._sentences.append(
                Sentence(
                    text=text,
                    line=line,
                    kind="row",
                    section=self._section,
                    block=self._blocks,
                    ends_block=True,
                    links=tuple(links),
                    state=state,
                )
            )

    def begin_listing(self, first_line: int, *, table: bool) -> None:
        """Begin a list or a table; what was said last introduces it."""
        last = self._sentences[-1] if self._sentences else None
        intro, line = (last.text, last.line) if last and last.kind in {"prose", "heading", "item"} else ("", first_line)
        self._open.append(_Open(intro=intro, line=line, section=self._section, table=table, first_line=first_line))

    def end_listing(self) -> None:
        """End the innermost list or table."""
        done = self._open.pop()
        self._listings.append(
            Listing(
                intro=done.intro,
                line=done.line,
                items=tuple(done.items),
                section=done.section,
                table=done.table,
                first_line=done.first_line,
            )
        )

    def code(self, text: str, line: int) -> None:
        """Add a block of code."""
        before = self._sentences[-1].text if self._sentences else ""
        self._code.append(Code(text=text, line=line, section=self._section, before=before))

    def hide(self, what: str, line: int) -> None:
        """Remember something that only a script shows."""
        self._hidden.append(Hidden(what=what, line=line))

    def page(self) -> Page:
        """Return what was gathered."""
        return Page(
            source=self._source,
            sentences=tuple(self._sentences),
            listings=tuple(self._listings),
            code=tuple(self._code),
            hidden=tuple(self._hidden),
        )

    def _say(self, kind: str, pieces: list[Piece], links: tuple[str, ...], state: str | None) -> None:
        self._blocks += 1
        found = split(pieces)
        for at, sentence in enumerate(found):
            self._sentences.append(
                Sentence(
                    text=sentence.text,
                    line=sentence.line,
                    kind=kind,
                    section=self._section,
                    block=self._blocks,
                    ends_block=at == len(found) - 1,
                    links=links,
                    state=state,
                )
            )


def _paired(names: list[str], told: list[str]) -> list[tuple[str, str]]:
    return [(names[at] if at < len(names) else "", cell) for at, cell in enumerate(told)]
