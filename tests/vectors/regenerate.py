"""Write the worked examples into the pages of docs/spec: `python -m tests.vectors.regenerate`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.vectors.examples import EXAMPLES

SPEC = Path(__file__).resolve().parents[2] / "docs" / "spec"
_BLOCK = re.compile(r"<!-- example: (?P<name>[a-z0-9-]+) -->\n(?P<fence>```[a-z]*)\n(?:(?!```).*\n)*```\n")


def pages() -> list[Path]:
    """Return every page of the specification."""
    return sorted(SPEC.glob("*.md"))


def names_in(text: str) -> list[str]:
    """Return the examples that a page asks for, in order."""
    return [block["name"] for block in _BLOCK.finditer(text)]


def regenerated(text: str, examples: Mapping[str, Callable[[], str]] = EXAMPLES) -> str:
    """Return the page with each marked block made anew."""
    return _BLOCK.sub(
        lambda block: (
            f"<!-- example: {block['name']} -->\n{block['fence']}\n{examples[block['name']]().rstrip()}\n```\n"
        ),
        text,
    )


if __name__ == "__main__":
    for page in pages():
        page.write_text(regenerated(page.read_text()))
