"""Markdown of our own documents as HTML: headings, paragraphs, lists, tables, emphasis. Everything else is text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

_STRONG = re.compile(r"\*\*(.+?)\*\*")
_CODE = re.compile(r"`([^`]+)`")
_BULLET, _NUMBER = re.compile(r"[-*] "), re.compile(r"\d+\. ")


def prose(text: str) -> Markup:
    """Return *text* as HTML; its first heading is left out, since the page has it."""
    blocks = re.split(r"\n{2,}", text.strip())
    if blocks and blocks[0].startswith("# "):
        blocks = blocks[1:]
    return Markup("\n").join(part for block in blocks for part in _block(block.splitlines()))


def _block(lines: list[str]) -> Iterable[Markup]:
    """Yield a block's parts: a list may follow its paragraph without an empty line."""
    while lines:
        first = lines[0]
        if first.startswith("#"):
            level = min(len(first) - len(first.lstrip("#")), 4)
            yield Markup("<h{0}>{1}</h{0}>").format(level, _inline(first.lstrip("# ")))
            lines = lines[1:]
        elif first.startswith("|"):
            count = _run(lines, re.compile(r"\|"))
            yield _table(lines[:count])
            lines = lines[count:]
        elif _BULLET.match(first) or _NUMBER.match(first):
            mark, tag = (_BULLET, "ul") if _BULLET.match(first) else (_NUMBER, "ol")
            count = _run(lines, mark)
            items = Markup("").join(
                Markup("<li>{}</li>").format(_inline(mark.sub("", line, count=1))) for line in lines[:count]
            )
            yield Markup("<{0}>{1}</{0}>").format(tag, items)
            lines = lines[count:]
        else:
            count = next((at for at, line in enumerate(lines) if at and _BULLET.match(line)), len(lines))
            yield Markup("<p>{}</p>").format(_inline(" ".join(lines[:count])))
            lines = lines[count:]


def _run(lines: list[str], mark: re.Pattern[str]) -> int:
    """Return how many of the first lines begin with *mark*."""
    return next((at for at, line in enumerate(lines) if not mark.match(line)), len(lines))


def _table(lines: list[str]) -> Markup:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    body = [row for row in rows[1:] if not all(set(cell) <= set("-: ") for cell in row)]
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(_inline(cell)) for cell in rows[0])
    cells = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(_inline(cell)) for cell in row)
        )
        for row in body
    )  # fmt: skip
    shape = Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    )
    return shape.format(head, cells)


def _inline(text: str) -> Markup:
    written = str(escape(text))
    return Markup(_CODE.sub(r"<code>\1</code>", _STRONG.sub(r"<strong>\1</strong>", written)))  # noqa: S704 - escaped above
