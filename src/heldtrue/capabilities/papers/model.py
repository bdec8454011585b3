"""A document as data: what it says, in order, without any format.

A paper is made by the capability that means it (a questionnaire, an agreement, a policy) and written by the renderers
beside this module. Text is either a `str` or a sequence of `Span`s where a part of it is a link or stands out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from heldtrue.kernel.errors import BadInputError

Tone = Literal["", "good", "bad", "warn", "quiet"]
"""What a text means beside its words; every renderer shows the words too, so that colour is never the only sign."""


class PaperError(BadInputError):
    """The document contradicts itself; the message says where: a row of another length, or nothing in it."""

    code = "paper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A run of text that looks the same."""

    text: str
    strong: bool = False
    link: str = ""
    """An https, mailto or fragment address; anything else is written as text alone."""
    tone: Tone = ""


Words: TypeAlias = str | Sequence[Span]
"""A text: plain, or in runs."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a section; *number* is written before it as it stands."""

    text: str
    level: int = 1
    """1 to 4; 1 and 2 are in the table of contents."""
    number: str = ""

    @property
    def title(self) -> str:
        """Number and text."""
        return f"{self.number} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    words: Words


@dataclass(frozen=True, slots=True)
class Clause:
    """A numbered paragraph of a contract, its number hanging: `4.2`."""

    number: str
    words: Words


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: Sequence[Words]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    width: float = 1.0
    """Its share of the width, against the other columns'."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; the header is repeated on every page."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Words]]
    caption: str = ""
    """What it lists; also the name of its sheet."""

    def __post_init__(self) -> None:
        for at, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise PaperError(f"table {self.caption!r}: row {at + 1} has {len(row)} cells for {len(self.columns)}")


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader must not miss, set apart."""

    words: Words
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class PageBreak:
    """What follows begins on a page of its own."""


Block: TypeAlias = Heading | Text | Clause | Bullets | Table | Note | PageBreak


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What is known of a document beside its words."""

    author: str
    """The company in whose name it speaks."""
    dated: datetime
    """The only time in the file: the same paper and date give the same bytes."""
    subject: str = ""
    reference: str = ""
    """A version, a hash or an address; shown in every footer."""
    language: str = "en"
    contents: bool = True
    """Whether a table of contents stands before it."""
    wide: bool = False
    """Landscape, for wide tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A document."""

    title: str
    subtitle: str = ""
    meta: Meta
    blocks: Sequence[Block]

    def __post_init__(self) -> None:
        if not self.title.strip() or not self.blocks:
            raise PaperError("a paper has a title and something in it")
        if self.meta.dated.tzinfo is None:
            raise PaperError("a paper is dated with a time zone")

    def headings(self) -> list[Heading]:
        """Return the headings of the table of contents."""
        return [block for block in self.blocks if isinstance(block, Heading) and block.level <= 2]


def spans(words: Words) -> tuple[Span, ...]:
    """Return a text as runs."""
    return (Span(text=words),) if isinstance(words, str) else tuple(words)


def plain(words: Words) -> str:
    """Return a text without its looks."""
    return words if isinstance(words, str) else "".join(span.text for span in words)


def safe_link(link: str) -> str:
    """Return *link* where a reader may be sent there, and nothing otherwise."""
    return link if link.startswith(("https://", "mailto:", "#")) else ""


def clean(text: str) -> str:
    """Return *text* without characters that documents cannot hold (XML 1.0, section 2.2), line ends made plain."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\n\t" or (c >= " " and c != "\x7f" and not _unsound(c)))


def _unsound(c: str) -> bool:
    return "\ud800" <= c <= "\udfff" or c in "\ufffe\uffff" or "\x80" <= c <= "\x9f"


def sections(paper: Paper) -> Iterator[tuple[str, Table]]:
    """Yield every table with the title it goes by: its caption, or the heading it stands under."""
    under = paper.title
    for block in paper.blocks:
        if isinstance(block, Heading):
            under = block.title
        elif isinstance(block, Table):
            yield block.caption or under, block
