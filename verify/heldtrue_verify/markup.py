"""The page as people read it against its JSON: the same claims, sentences and states, in marks and in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from heldtrue_verify.canonical import JsonObject, instant_in, text_in
from heldtrue_verify.comparison import claims_of
from heldtrue_verify.lapses import objects
from heldtrue_verify.replay import State
from heldtrue_verify.verdicts import DoesNotHoldError

STATES = frozenset(name.lower() for name in State.__members__)
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAY = re.compile(rf"\b[0-9]{{1,2}} (?:{'|'.join(MONTHS)}) [0-9]{{4}}\b")
VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
"""Elements without an end (HTML, "Void elements")."""
UNSEEN = frozenset(("script", "style", "template"))
"""Elements whose content is not shown; that of one with a style of its own may not be either."""


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
    times: list[str] = field(default_factory=list[str])
    """Those inside, in the attribute `datetime`."""
    depth: int = 0


class Marks(HTMLParser):
    """Collects the visible text of a page, its counts, its times, and the elements that bear `data-claim`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Shown] = []
        self.text = ""
        self.counts: dict[str, str] = {}
        """By state, the digits that are shown."""
        self.times: list[tuple[str, str]] = []
        """The attribute `datetime` of each time, and its text."""
        self._open: list[Shown] = []
        self._depth = 0
        self._mute: int | None = None
        """The depth of the element that is not shown, and whose content is not."""
        self._counting = ""
        self._timing = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element; void ones have no end."""
        marks = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self._depth += 1
        if self._mute is not None:
            return
        if tag not in VOID and (tag in UNSEEN or "hidden" in marks or "style" in marks):
            self._mute = self._depth
            return
        if "data-claim" in marks and "data-state" in marks:
            words = [word for word in marks.get("class", "").split() if word in STATES]
            self._open.append(Shown(marks["data-claim"], marks["data-state"], words, "", [], self._depth))
            self.found.append(self._open[-1])
        self._counting = marks.get("data-tally", "")
        if tag == "time":
            self.times.append((marks.get("datetime", ""), ""))
            self._timing = True
            for shown in self._open:
                shown.times.append(marks.get("datetime", ""))
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
        if self._mute is not None and self._depth <= self._mute:
            self._mute = None
        self._counting = ""
        if tag == "time":
            self._timing = False
        while self._open and self._open[-1].depth >= self._depth:
            self._open.pop()
        self._depth -= 1

    def handle_data(self, data: str) -> None:
        """Take text that is shown."""
        if self._mute is not None:
            return
        self.text += data
        self._name(data)
        if self._counting:
            self.counts[self._counting] = "".join(c for c in data if c.isdigit())
        if self._timing:
            self.times[-1] = (self.times[-1][0], self.times[-1][1] + data)

    def _name(self, text: str) -> None:
        word = text.strip().lower()
        if self._open and not self._open[-1].first and word in STATES:
            self._open[-1].first = word


def compare_html(html: str, page: JsonObject) -> str:
    """Refuse a page that shows people another state, sentence, past, count or set of claims than its JSON."""
    marks, claims = Marks(), claims_of(page)
    marks.feed(html)
    marks.close()
    wrong = _states(marks, claims) + _past(marks, claims) + _dates(marks) + _counts(marks, page)
    text = " ".join(marks.text.split())
    wrong += [
        f"The HTML does not say the sentence of {name}."
        for name, claim in claims.items()
        if " ".join(text_in(claim, "sentence").split()) not in text
    ]
    if wrong:
        raise DoesNotHoldError(*sorted(dict.fromkeys(wrong)))
    return f"{len(claims)} claims, the same in both."


def _states(marks: Marks, claims: Mapping[str, JsonObject]) -> list[str]:
    said = {name: text_in(claim, "state") for name, claim in claims.items()}
    wrong: list[str] = []
    for shown in marks.found:
        named = [shown.state, *shown.classes, *([shown.first] if shown.first else [])]
        wrong += [
            f"The HTML shows {shown.claim} as {word}, the JSON as {said.get(shown.claim)}."
            for word in dict.fromkeys(named)
            if said.get(shown.claim) != word
        ]
    wrong += [f"The HTML does not show {name}." for name in said.keys() - {shown.claim for shown in marks.found}]
    return wrong


def _past(marks: Marks, claims: Mapping[str, JsonObject]) -> list[str]:
    """Name what the JSON has of a claim's past and the HTML leaves out: failures, loosenings, since when it holds."""
    wrong: list[str] = []
    for name, claim in claims.items():
        times = [None, *(time for shown in marks.found if shown.claim == name for time in shown.times)]
        for failure in objects(claim.get("failures")):
            if failure.get("started_at") not in times or failure.get("ended_at") not in times:
                wrong.append(f"The HTML leaves out the failure of {name} that began at {failure.get('started_at')}.")
        for each in objects(claim.get("loosened")):
            if each.get("at") not in times:
                wrong.append(f"The HTML does not say that {name} asks for less since {each.get('at')}.")
        if claim.get("continuous_since") not in times:
            wrong.append(f"The HTML does not say since when {name} holds.")
    return wrong


def _dates(marks: Marks) -> list[str]:
    """Name the times whose text says another day than they mark."""
    wrong: list[str] = []
    for marked, text in marks.times:
        day = DAY.search(text)
        if day is None:
            continue
        at = instant_in({"at": marked}, "at")
        if day[0] != f"{at.day} {MONTHS[at.month - 1]} {at.year}":
            wrong.append(f"The HTML says {day[0]} of a time that it marks as {marked}.")
    return wrong


def _counts(marks: Marks, page: JsonObject) -> list[str]:
    tally = page.get("tally")
    counted = tally.items() if isinstance(tally, dict) else ()
    return [
        f"The HTML counts {marks.counts.get(state) or 'no'} claims as {state}, the JSON {number}."
        for state, number in counted
        if marks.counts.get(state) != str(number)
    ]
