"""What commands print: rich tables for people, JSON for programs, one sentence for what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from heldtrue.kernel.errors import HeldtrueError

WIDE = 240
"""Columns where nobody's terminal sets a limit."""


class Output:
    """Standard output, as JSON or for people; progress and errors go to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = WIDE
        self.progress = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Print a sentence; nothing in JSON mode."""
        if not self.as_json:
            self.console.print(text)

    def record(self, found: Mapping[str, Any], *, title: str = "") -> None:
        """Print one thing."""
        if self.as_json:
            self.json(found)
            return
        table = Table(title=title or None, show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in found.items():
            table.add_row(f"[dim]{escape(name)}[/]", escape(_cell(value)))
        self.console.print(table)

    def rows(self, found: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
        """Print many things as a table of *columns*; *empty* says what to do when there are none."""
        listed = list(found)
        if self.as_json:
            self.json(listed)
        elif not listed:
            self.say(empty)
        else:
            table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
            for column in columns:
                table.add_column(column.replace("_", " "), overflow="fold", no_wrap=column.endswith("id"))
            for row in listed:
                table.add_row(*(escape(_cell(row.get(column))) for column in columns))
            self.console.print(table)

    def finding(self, mark: str, subject: str, found: str, advice: str) -> None:
        """Print one thing that was looked at; *mark* is markup of ours."""
        tail = f" [dim]({escape(advice)})[/]" if advice else ""
        self.console.print(f"{mark}  [bold]{escape(subject)}[/]: {escape(found)}{tail}")

    def json(self, value: object) -> None:
        """Print *value* as indented JSON."""
        sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")

    def bytes(self, content: bytes) -> None:
        """Write *content* as it is."""
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def complain(error: HeldtrueError) -> None:
    """Print what went wrong and what to do, in one line, to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"[bold red]heldtrue:[/] {escape(sentence(error))}",
    )


def sentence(error: HeldtrueError) -> str:
    """Return the message and its advice as sentences."""
    parts = (part.strip() for part in (error.message, error.advice))
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value) or "-"
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    return str(value)
