"""Judge an answer by its status and by its content: does it hold what only the owner's own answer holds?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?")
SHORTEST_TEXT, SMALLEST_NUMBER, LEAST_MARK = 6, 100_000, 4
ALIKE = 0.5
Leaf = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    media: str
    body: bytes

    @property
    def served(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Baseline:
    """The owner's own answer, and what in it is the owner's alone."""

    reply: Reply
    private: frozenset[Leaf]
    marks: frozenset[str]

    @property
    def distinguished(self) -> bool:
        """Whether anything in it would be recognised in another's hands."""
        return bool(self.private) or any(mark in self.reply.text for mark in self.marks)


def baseline(reply: Reply, other: Reply | None, marks: Iterable[str], sent: str) -> Baseline:
    """Return what is a's alone in *reply*: marks, and values that b's own answer (*other*) has not.

    What the request itself carried (*sent*) may be echoed and proves nothing. Without b's answer only marks count.
    """
    own = frozenset(mark for mark in marks if len(mark) >= LEAST_MARK and mark not in sent)
    if other is None or not other.served:
        return Baseline(reply, frozenset(), own)
    theirs = set(leaves(other.json()))
    texts = {text for _, text in theirs}
    private = {
        (at, text) for at, text in leaves(reply.json()) if text not in texts and text not in sent and _telling(text)
    }
    return Baseline(reply, frozenset(private), own)


def discloses(reply: Reply, owner: Baseline) -> str | None:
    """Return in words what of the owner's *reply* holds, None when nothing does, whatever its status."""
    text = reply.text
    for mark in sorted(owner.marks):
        if mark in text:
            return "it holds a mark of the owner's organisation"
    found = owner.private & set(leaves(reply.json()))
    if found:
        names = ", ".join(sorted({at or "the value" for at, _ in found})[:3])
        return f"{names}: the same as in the owner's own answer"
    return None


def alike(reply: Reply, owner: Reply) -> bool:
    """Whether *reply* is of the same form as the owner's: the same bytes, the same members, or half of the lines."""
    if reply.body.strip() == owner.body.strip():
        return True
    if not reply.body.strip() or not owner.body.strip():
        return False
    one, two = reply.json(), owner.json()
    if (one is None) != (two is None):
        return False
    mine = set(shape(one)) if one is not None else set(reply.text.splitlines())
    theirs = set(shape(two)) if two is not None else set(owner.text.splitlines())
    return bool(mine & theirs) and len(mine & theirs) / len(mine | theirs) >= ALIKE


def hidden_members(document: Any, names: Iterable[str]) -> list[str]:
    """Return which of *names* are members anywhere in *document*."""
    wanted = set(names)
    return sorted({name for name in _members(document) if name in wanted})


def marks_in(reply: Reply, marks: Iterable[str], sent: str) -> list[str]:
    """Return which of *marks* are in *reply* although they were not sent."""
    return sorted(mark for mark in marks if len(mark) >= LEAST_MARK and mark not in sent and mark in reply.text)


def leaves(document: Any, at: str = "") -> Iterator[Leaf]:
    """Yield every simple value with the names that lead to it; places in lists do not count."""
    if isinstance(document, dict):
        for name, value in cast("Mapping[str, Any]", document).items():
            yield from leaves(value, f"{at}.{name}" if at else name)
    elif isinstance(document, list):
        for value in cast("list[Any]", document):
            yield from leaves(value, f"{at}[]")
    elif isinstance(document, str | int | float) and not isinstance(document, bool):
        yield at, str(document)


def shape(document: Any, at: str = "") -> Iterator[str]:
    """Yield the names that lead to every value, empty lists and objects included."""
    if isinstance(document, dict) and document:
        for name, value in cast("Mapping[str, Any]", document).items():
            yield from shape(value, f"{at}.{name}" if at else name)
    elif isinstance(document, list) and document:
        for value in cast("list[Any]", document):
            yield from shape(value, f"{at}[]")
    else:
        yield at


def _members(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for name, value in cast("Mapping[str, Any]", document).items():
            yield name
            yield from _members(value)
    elif isinstance(document, list):
        for value in cast("list[Any]", document):
            yield from _members(value)


def lasting(text: str) -> bool:
    """Whether a value stays as it is until somebody changes it: no moment, no number."""
    try:
        float(text)
    except ValueError:
        return not _MOMENT.fullmatch(text)
    return False


def _telling(text: str) -> bool:
    """Whether a value is too particular to be there by chance; moments never are, an error may carry the same."""
    if _MOMENT.fullmatch(text):
        return False
    try:
        number = float(text)
    except ValueError:
        return len(text) >= SHORTEST_TEXT
    return abs(number) >= SMALLEST_NUMBER and not 1.5e9 < number < 2.5e9 and not 1.5e12 < number < 2.5e12
