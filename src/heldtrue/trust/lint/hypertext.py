"""Reads HTML into a page as somebody without scripts sees it, and remembers what only a script would show."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from heldtrue.trust.lint.building import Builder
from heldtrue.trust.lint.model import Page
from heldtrue.trust.lint.sentences import Piece

_HEADINGS = {f"h{depth}": depth for depth in range(1, 7)}
_BLOCKS = {
    "p", "div", "section", "article", "main", "header", "footer", "aside", "li", "dt", "dd", "blockquote", "address",
    "summary", "details", "figcaption", "fieldset", "legend", "form", "ul", "ol", "dl", "table", "tr", "td", "th",
    "thead", "tbody", "caption", "label", "option", "hr", "br", *_HEADINGS,
}  # fmt: skip
_UNREAD = {"script", "style", "template", "svg", "head", "nav", "noscript", "select", "button", "iframe", "del"}
_VOID = {"br", "hr", "img", "input", "link", "meta", "wbr", "source", "area", "base", "col", "embed", "track"}


def read(text: str, source: str) -> Page:
    """Return the page that *text* says."""
    reader = _Reader(source)
    reader.feed(text)
    reader.close()
    return reader.page()


@dataclass
class _Element:
    """An element that is open."""

    tag: str
    state: str | None
    hidden: bool


@dataclass
class _Table:
    """A table that is open, and its row."""

    names: list[str] = field(default_factory=list[str])
    row: list[list[str]] = field(default_factory=list[list[str]])
    links: list[str] = field(default_factory=list[str])
    line: int = 0
    heads: int = 0


class _Reader(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self._out = Builder(source)
        self._stack: list[_Element] = []
        self._pieces: list[Piece] = []
        self._links: list[str] = []
        self._tables: list[_Table] = []
        self._pre: list[str] | None = None

    def page(self) -> Page:
        """Return what was read."""
        self._flush()
        return self._out.page()

    @property
    def _line(self) -> int:
        return self.getpos()[0]

    @property
    def _unread(self) -> bool:
        return any(one.tag in _UNREAD or one.hidden for one in self._stack)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self._flush()
        if not self._unread:
            self._note(tag, named)
        if tag not in _VOID:
            inherited = self._stack[-1].state if self._stack else None
            state = named.get("data-state") if "data-claim" in named else named.get("data-proof", inherited)
            self._stack.append(_Element(tag, state, "hidden" in named or named.get("aria-hidden") == "true"))

    def _note(self, tag: str, named: dict[str, str]) -> None:
        link = named.get("href", "")
        if "data-cfemail" in named or "/cdn-cgi/l/email-protection" in link:
            self._out.hide("an address that a script decodes", self._line)
        elif link.lower().startswith("javascript:"):
            self._out.hide("a link that only a script follows", self._line)
        if tag == "a" and link:
            (self._tables[-1].links if self._tables else self._links).append(link)
        if tag in {"ul", "ol"}:
            self._out.begin_listing(self._line, table=False)
        elif tag == "table":
            self._out.begin_listing(self._line, table=True)
            self._tables.append(_Table())
        elif tag == "tr" and self._tables:
            table = self._tables[-1]
            table.row, table.links, table.line, table.heads = [], [], self._line, 0
        elif tag in {"td", "th"} and self._tables:
            self._tables[-1].row.append([])
            self._tables[-1].heads += tag == "th" and named.get("scope") != "row"
        elif tag == "li":
            self._out.item()
        elif tag == "pre":
            self._flush()
            self._pre = []

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._flush()
        was_read = not self._unread
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at].tag == tag:
                del self._stack[at:]
                break
        else:
            return
        if not was_read or self._unread:
            return
        if tag in {"ul", "ol"}:
            self._out.end_listing()
        elif tag == "table" and self._tables:
            self._tables.pop()
            self._out.end_listing()
        elif tag == "tr" and self._tables:
            self._row(self._tables[-1])
        elif tag == "pre" and self._pre is not None:
            text, self._pre = "".join(self._pre), None
            self._out.code(text, self._line - text.count("\n"))

    def _row(self, table: _Table) -> None:
        told = [" ".join("".join(cell).split()) for cell in table.row]
        if told and table.heads == len(told):
            table.names = told
        elif any(told):
            self._out.row(told, table.names, table.links, table.line, self._stack[-1].state if self._stack else None)

    def handle_data(self, data: str) -> None:
        if self._unread or not data:
            return
        if self._pre is not None:
            self._pre.append(data)
        elif self._tables and self._tables[-1].row:
            self._tables[-1].row[-1].append(data)
        else:
            for at, part in enumerate(data.split("\n")):
                self._pieces.append(Piece(f" {part}" if at else part, self._line + at))

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        links, self._links = self._links, []
        if not any(piece.text.strip() for piece in pieces):
            return
        tags = [one.tag for one in self._stack]
        state = self._stack[-1].state if self._stack else None
        depth = next((_HEADINGS[tag] for tag in reversed(tags) if tag in _HEADINGS), None)
        if depth is not None:
            self._out.heading(depth, " ".join(piece.text.strip() for piece in pieces), pieces[0].line)
            return
        kind = "summary" if "summary" in tags else "item" if "li" in tags else "prose"
        self._out.add(kind, pieces, links, state)
