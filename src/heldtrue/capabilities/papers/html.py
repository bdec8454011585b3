"""A paper as HTML: an article for our own pages, or a file that stands alone. Readable by screen readers and print."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from heldtrue.capabilities.papers.model import (
    Block,
    Bullets,
    Clause,
    Heading,
    Note,
    PageBreak,
    Paper,
    Span,
    Table,
    Text,
    Words,
    clean,
    safe_link,
    spans,
)

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.55 system-ui,sans-serif;max-width:58rem;margin:2rem auto;padding:0 1rem}
a{color:inherit}h1,h2,h3,h4{line-height:1.25}h2{margin-top:2.5rem}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;vertical-align:top;padding:.45rem .6rem;border-bottom:1px solid #8886}th{border-bottom-width:2px}
caption{text-align:left;font-weight:600;padding:.4rem 0}
.paper-note{border-left:4px solid #888;padding:.1rem 1rem;margin:1rem 0}
.clause{display:grid;grid-template-columns:3.5rem 1fr}.clause p{margin:.4rem 0}
@media print{body{max-width:none;margin:0}
thead{display:table-header-group}tr{break-inside:avoid}.break{break-before:page}}
""".replace("\n", "")


def render(paper: Paper) -> bytes:
    """Return a file that stands alone."""
    page = (
        f'<!doctype html>\n<html lang="{escape(paper.meta.language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="author" content="{escape(paper.meta.author)}">\n'
        f"<title>{_text(paper.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{_text(paper.title)}</h1>\n{_intro(paper)}{article(paper)}</main>\n</body>\n</html>\n"
    )
    return page.encode()


def article(paper: Paper, *, contents: bool | None = None) -> str:
    """Return what stands below the title, as HTML; headings begin at `h2`, classes begin with `paper-`."""
    parts: list[str] = []
    if paper.meta.contents if contents is None else contents:
        parts.append(_contents(paper))
    anchors = _Anchors()
    parts += [_block(block, anchors) for block in paper.blocks]
    return "".join(parts)


def _intro(paper: Paper) -> str:
    meta = paper.meta
    day = f'<time datetime="{meta.dated.date().isoformat()}">{meta.dated.day} {meta.dated:%B %Y}</time>'
    facts = [_text(meta.author), day, *([_text(meta.reference)] if meta.reference else [])]
    subtitle = f"<p>{_text(paper.subtitle)}</p>\n" if paper.subtitle else ""
    return f"{subtitle}<p>{' · '.join(facts)}</p>\n"


class _Anchors:
    """Gives each heading a fragment and each table a name of its own, the same every time."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def of(self, heading: Heading) -> str:
        name = re.sub(r"[^a-z0-9]+", "-", heading.title.lower()).strip("-") or "section"
        self._seen[name] = self._seen.get(name, 0) + 1
        return name if self._seen[name] == 1 else f"{name}-{self._seen[name]}"

    def label(self, text: str) -> str:
        """Return what a region goes by: *text*, numbered from the second one of that name."""
        name = f"label {text}"
        self._seen[name] = self._seen.get(name, 0) + 1
        return text if self._seen[name] == 1 else f"{text} {self._seen[name]}"


def _contents(paper: Paper) -> str:
    anchors = _Anchors()
    listed = [(heading, anchors.of(heading)) for heading in (b for b in paper.blocks if isinstance(b, Heading))]
    top = [
        f'<li><a href="#{anchor}">{_text(heading.title)}</a></li>' for heading, anchor in listed if heading.level == 1
    ]
    if len(top) < 2:
        return ""
    return f'<nav class="paper-contents" aria-label="Contents">\n<ul>\n{chr(10).join(top)}\n</ul>\n</nav>\n'


def _block(block: Block, anchors: _Anchors) -> str:  # noqa: PLR0911 - one answer a kind of block
    match block:
        case Heading():
            level = min(block.level, 4) + 1
            return f'<h{level} id="{anchors.of(block)}">{_text(block.title)}</h{level}>\n'
        case Text():
            return f"<p>{_words(block.words)}</p>\n"
        case Clause():
            return (
                f'<div class="paper-clause clause"><span class="paper-number">{_text(block.number)}</span>'
                f"<p>{_words(block.words)}</p></div>\n"
            )
        case Bullets():
            kind = "ol" if block.ordered else "ul"
            return f"<{kind}>\n" + "".join(f"<li>{_words(item)}</li>\n" for item in block.items) + f"</{kind}>\n"
        case Table():
            return _table(block, anchors)
        case Note():
            tone = f" paper-{block.tone}" if block.tone else ""
            return f'<div class="paper-note{tone}" role="note"><p>{_words(block.words)}</p></div>\n'
        case PageBreak():
            return '<div class="paper-break break"></div>\n'


def _table(table: Table, anchors: _Anchors) -> str:
    titles = "".join(f'<th scope="col">{_text(column.title)}</th>' for column in table.columns)
    head = f"<thead><tr>{titles}</tr></thead>\n" if table.headed else ""
    rows = "".join(_row(row, named=not table.headed) for row in table.rows)
    caption = f"<caption>{_text(table.caption)}</caption>\n" if table.caption else ""
    named = table.caption or ", ".join(column.title for column in table.columns if column.title) or "Facts"
    label = _text(anchors.label(named))
    return (
        f'<div class="paper-table scroll" role="region" aria-label="{label}" tabindex="0">\n<table>\n{caption}'
        f"{head}<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )


def _row(row: Sequence[Words], *, named: bool) -> str:
    first, *rest = (_words(cell) for cell in row)
    begun = f'<th scope="row">{first}</th>' if named else f"<td>{first}</td>"
    return f"<tr>{begun}{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>\n"


def _words(words: Words) -> str:
    return "".join(_span(span) for span in spans(words))


def _span(span: Span) -> str:
    text = _text(span.text).replace("\n", "<br>")
    if span.tone:
        text = f'<span class="paper-{span.tone}">{text}</span>'
    if span.strong:
        text = f"<strong>{text}</strong>"
    return f'<a href="{escape(span.link)}">{text}</a>' if safe_link(span.link) else text


def _text(text: str) -> str:
    return escape(clean(text))
