"""What the linter reads and what it finds; pure data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class Level(StrEnum):
    """How sure a finding is; the words of SARIF 2.1.0, section 3.27.10."""

    ERROR = "error"
    """The page contradicts itself, or says what cannot be so."""
    WARNING = "warning"
    """A date has passed, or something that readers need is missing."""
    NOTE = "note"
    """A promise that nothing stands behind."""


LEVELS = (Level.NOTE, Level.WARNING, Level.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence, list item, table row or heading."""

    text: str
    line: int
    kind: str
    """`prose`, `item`, `row`, `heading`, `summary`: where it stands."""
    section: str
    """The headings above it, outermost first, joined by ` › `."""
    block: int
    """Sentences of one paragraph, item or row have one number."""
    ends_block: bool
    links: tuple[str, ...] = ()
    """Where the links of its block lead."""
    state: str | None = None
    """What the page itself puts behind it: the state of a claim (`data-state`), or where it is kept (`data-proof`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list or a table, with what introduces it."""

    intro: str
    line: int
    items: tuple[str, ...]
    section: str
    table: bool
    first_line: int
    """The line of its first item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A block of code."""

    text: str
    line: int
    section: str
    before: str
    """The sentence that introduces it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """Something that only a script shows."""

    what: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page as the rules see it."""

    source: str
    sentences: tuple[Sentence, ...]
    listings: tuple[Listing, ...] = ()
    code: tuple[Code, ...] = ()
    hidden: tuple[Hidden, ...] = ()

    def said(self, *kinds: str) -> Iterable[Sentence]:
        """Yield the sentences of these kinds, all but headings when none is named."""
        wanted = set(kinds) or {"prose", "item", "row", "summary"}
        return (sentence for sentence in self.sentences if sentence.kind in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a page is held against, beside itself."""

    today: date
    processors: frozenset[str] | None = None
    """Names of the published sub-processors, in lower case, when their list is on another page."""
    states: dict[str, str] = field(default_factory=dict[str, str])
    """By row: the best state among the claims of a trust document, when one was named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a page."""

    rule: str
    level: Level
    line: int
    message: str
    text: str
    """What the page says there."""
    rows: tuple[str, ...] = ()
    """The promises that the sentence is about, by the number of their row."""
    also: tuple[int, ...] = ()
    """Other lines that the finding rests on."""


Check = Callable[[Page, Context], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as data: its name, what it looks for, and the function that looks."""

    name: str
    level: Level
    about: str
    """One sentence: what is wrong, and what to write instead."""
    check: Check

    def found(
        self,
        sentence: Sentence,
        message: str,
        *,
        also: Iterable[Sentence] = (),
        level: Level | None = None,
        rows: tuple[str, ...] = (),
    ) -> Finding:
        """Return a finding of this rule at *sentence*."""
        others = tuple(sorted({one.line for one in also} - {sentence.line}))
        return Finding(
            rule=self.name, level=level or self.level, line=sentence.line, message=message, text=sentence.text,
            also=others, rows=rows,
        )  # fmt: skip
