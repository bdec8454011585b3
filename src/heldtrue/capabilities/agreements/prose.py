"""A small part of Markdown as blocks: `#` titles, `##` headings that are numbered, `-` lists, `>` notes, paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from heldtrue.capabilities.papers.model import Block, Bullets, Clause, Heading, Note

_NAME = re.compile(r"\{(\w+)\}")


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return *text* with each `{name}` replaced; a name without a value shows what is to be filled in."""
    return _NAME.sub(lambda match: values.get(match[1]) or f"[{match[1].replace('_', ' ')}]", text)


def blocks(text: str, *, level: int = 1, number: str = "") -> list[Block]:
    """Return *text* as blocks; headings are numbered from 1 (below *number*), and paragraphs within them."""
    return list(_blocks(text, level, number))


def _blocks(text: str, level: int, number: str) -> Iterator[Block]:
    section, clause = 0, 0
    for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip()):
        lines = part.strip().split("\n")
        head = lines[0]
        if head.startswith("## "):
            section, clause = section + 1, 0
            yield Heading(head[3:].strip(), level, f"{number}{section}")
            lines = lines[1:]
        elif head.startswith("# "):
            lines = lines[1:]
        elif head.startswith("> "):
            yield Note(" ".join(line.removeprefix(">").strip() for line in lines), "warn")
            continue
        lines = [line for line in lines if line.strip()]
        if not lines:
            continue
        if all(line.startswith("- ") for line in lines):
            yield Bullets([line[2:] for line in lines])
        else:
            clause += 1
            yield Clause(f"{number}{section}.{clause}" if section else f"{number}{clause}", " ".join(lines))
