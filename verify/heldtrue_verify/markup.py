"""The page as people read it against its JSON: the same claims, sentences and states, in marks and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from heldtrue_verify.canonical import JsonObject, text_in
from heldtrue_verify.replay import State
from heldtrue_verify.verdicts import DoesNotHoldError

STATES = frozenset(name.lower() for name in State.__members__)
VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
"""Elements without an end (HTML, "Void elements")."""


@dataclass
class Shown:
    """A claim as an element of the page shows it."""

    claim: str
    state: str
    """By the attribute `data-state`."""
    classes: list[str] = field(default_factory=list[str])
    """State words among the element's classes, which give it its colour."""
    first: str = ""
    """The first state that is named inside, by a picture's label or as a word of its own."""
    depth: int = 0


class Marks(HTMLParser):
    """Collects the visible text of a page, and the elements that bear `data-claim`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Shown] = []
        self.text = ""
        self._open: list[Shown] = []
        self._depth = 0
        self._mute = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element; void ones have no end."""
        marks = {name: value or "" for name, value in attrs}
        if tag in ("script", "style", "template"):
            self._mute += 1
        if tag not in VOID:
            self._depth += 1
        if "data-claim" in marks and "data-state" in marks:
            words = [word for word in marks.get("class", "").split() if word in STATES]
            self._open.append(Shown(marks["data-claim"], marks["data-state"], words, "", self._depth))
            self.found.append(self._open[-1])
        self._name(marks.get("aria-label", ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take `<rect/>` and its kin: they open nothing."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        if tag in VOID:
            return
        if tag in ("script", "style", "template"):
            self._mute = max(0, self._mute - 1)
        while self._open and self._open[-1].depth >= self._depth:
            self._open.pop()
        self._depth -= 1

    def handle_data(self, data: str) -> None:
        """Take text that is shown."""
        if not self._mute:
            self.text += data
            self._name(data)

    def _name(self, text: str) -> None:
        word = text.strip().lower()
        if self._open and not self._open[-1].first and word in STATES:
            self._open[-1].first = word


def compare_html(html: str, claims: Mapping[str, JsonObject]) -> str:
    """Refuse a page that shows people another state, sentence or set of claims than its JSON."""
    marks = Marks()
    marks.feed(html)
    marks.close()
    said = {name: text_in(claim, "state") for name, claim in claims.items()}
    text = " ".join(marks.text.split())
    wrong: list[str] = []
    for shown in marks.found:
        named = [shown.state, *shown.classes, *([shown.first] if shown.first else [])]
        wrong += [
            f"The HTML shows {shown.claim} as {word}, the JSON as {said.get(shown.claim)}."
            for word in dict.fromkeys(named)
            if said.get(shown.claim) != word
        ]
    wrong += [f"The HTML does not show {name}." for name in said.keys() - {shown.claim for shown in marks.found}]
    wrong += [
        f"The HTML does not say the sentence of {name}."
        for name, claim in claims.items()
        if " ".join(text_in(claim, "sentence").split()) not in text
    ]
    if wrong:
        raise DoesNotHoldError(*sorted(wrong))
    return f"{len(said)} claims, the same in both."
