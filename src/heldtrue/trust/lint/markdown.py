"""Reads Markdown (CommonMark's blocks, GitHub's tables) into a page; only what rules look at, with line numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from heldtrue.trust.lint.building import Builder
from heldtrue.trust.lint.model import Page
from heldtrue.trust.lint.sentences import Piece

_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"(\s*)(?:[-*+]|\d{1,9}[.)])\s+(.*)$")
_FENCE = re.compile(r"\s*(```+|~~~+)\s*\S*\s*$")
_RULE = re.compile(r" {0,3}([-*_])(?:\s*\1){2,}\s*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})\s*$")
_DIVIDER = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\](?:\(<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\)|\[([^\]]*)\])")
_AUTO = re.compile(r"<((?:https?|mailto):[^>\s]+)>")
_BARE = re.compile(r"(?<![\w(\"'=/])https?://[^\s)>\]]+[^\s)>\].,;:]")
_MARKS = re.compile(r"(\*\*|__|~~|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|(?<![\w_])_(?=\S)|(?<=\S)_(?![\w_]))")
_TAG = re.compile(r"<!--.*?-->|</?[A-Za-z][^>]*>", re.DOTALL)
_CODE = re.compile(r"(`+)(.+?)\1")


def read(text: str, source: str) -> Page:
    """Return the page that *text* says."""
    lines = _without_comments(text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return _Reader(source).read(lines)


def _without_comments(text: str) -> str:
    return re.sub(r"<!--.*?-->", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)


@dataclass
class _Block:
    """Lines of a paragraph or of an item, gathered until it ends."""

    kind: str = ""
    pieces: list[Piece] = field(default_factory=list[Piece])
    links: list[str] = field(default_factory=list[str])


class _Reader:
    def __init__(self, source: str) -> None:
        self._out = Builder(source)
        self._block = _Block()
        self._list = False
        self._indent = 0

    def read(self, lines: list[str]) -> Page:
        at = self._skip_front_matter(lines)
        while at < len(lines):
            at = self._line(lines, at)
        self._end_list()
        return self._out.page()

    @staticmethod
    def _skip_front_matter(lines: list[str]) -> int:
        if lines and lines[0].strip() == "---":
            for at, line in enumerate(lines[1:], 1):
                if line.strip() == "---":
                    return at + 1
        return 0

    def _line(self, lines: list[str], at: int) -> int:
        line, number = lines[at], at + 1
        after = lines[at + 1] if at + 1 < len(lines) else ""
        if fence := _FENCE.match(line):
            return self._fence(lines, at, fence[1])
        if "|" in line and "-" in after and _DIVIDER.match(after):
            return self._table(lines, at)
        if not line.strip():
            self._end_block()
        elif found := _HEADING.match(line):
            self._heading(len(found[1]), found[2], number)
        elif _RULE.match(line) and not self._block.pieces:
            self._end_list()
        elif self._block.kind == "prose" and _UNDERLINE.match(line) and len(self._block.pieces) == 1:
            heading, self._block = self._block.pieces[0], _Block()
            self._heading(1 if "=" in line else 2, heading.text, heading.line)
        else:
            self._text(line, number)
        return at + 1

    def _text(self, line: str, number: int) -> None:
        if item := _ITEM.match(line):
            self._end_block()
            if not self._list:
                self._out.begin_listing(number, table=False)
                self._list, self._indent = True, len(item[1])
            if len(item[1]) <= self._indent:
                self._out.item()
            self._block.kind = "item"
            self._add(item[2], number)
            return
        if not self._block.pieces:
            if self._list and not line.startswith((" ", "\t")):
                self._end_list()
            self._block.kind = "item" if self._list else "prose"
        self._add(line.strip().lstrip(">").strip(), number)

    def _add(self, text: str, number: int) -> None:
        plain, links = inline(text)
        self._block.pieces.append(Piece(f" {plain}", number))
        self._block.links += links

    def _end_block(self) -> None:
        block, self._block = self._block, _Block()
        if block.pieces:
            self._out.add(block.kind, block.pieces, block.links)

    def _end_list(self) -> None:
        self._end_block()
        if self._list:
            self._out.end_listing()
            self._list = False

    def _heading(self, depth: int, text: str, number: int) -> None:
        self._end_list()
        self._out.heading(depth, inline(text)[0], number)

    def _fence(self, lines: list[str], at: int, fence: str) -> int:
        self._end_block()
        end = at + 1
        while end < len(lines) and not lines[end].strip().startswith(fence):
            end += 1
        self._out.code("\n".join(lines[at + 1 : end]), at + 1)
        return end + 1

    def _table(self, lines: list[str], at: int) -> int:
        self._end_list()
        self._out.begin_listing(at + 3, table=True)
        names = cells(lines[at])
        row = at + 2
        while row < len(lines) and "|" in lines[row]:
            told = [inline(cell) for cell in cells(lines[row])]
            self._out.row([text for text, _ in told], names, [link for _, found in told for link in found], row + 1)
            row += 1
        self._out.end_listing()
        return row


def cells(line: str) -> list[str]:
    """Return the cells of a table's line."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def inline(text: str) -> tuple[str, list[str]]:
    """Return what a reader sees of a line, and where its links lead."""
    links = [found[2] or found[3] or found[1] for found in _LINK.finditer(text)]
    links += _AUTO.findall(text)
    text = _LINK.sub(r"\1", text)
    text = _AUTO.sub(lambda found: found[1].removeprefix("mailto:"), text)
    links += _BARE.findall(text)
    text = _CODE.sub(r"\2", text)
    return _MARKS.sub("", _TAG.sub("", text)).replace("\\", ""), links
