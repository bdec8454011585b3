"""Numbers that pages give of themselves: counts of lists, targets, credits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from heldtrue.trust.lint.dates import NUMBER, number
from heldtrue.trust.lint.model import Context, Finding, Level, Listing, Page, Rule, Sentence

_THINGS = (
    r"sections?|chapters?|categories|topics|areas|policies|parts|questions|controls|principles|domains|sub-?processors"
    r"|vendors|certifications|regions|plans|steps|items|pillars|measures|criteria|states|kinds|rules|reasons|things"
)
_COUNT = re.compile(rf"\b{NUMBER} (?:\w+[ -]){{0,2}}?({_THINGS})\b", re.IGNORECASE)
_OPENS = re.compile(r":\s*$|\b(?:following|these|below|listed|as follows)\b[^.]*[.:]?\s*$", re.IGNORECASE)
_INLINE = re.compile(rf"\b{NUMBER} (?:\w+[ -]){{0,2}}?({_THINGS})\s*(?::|\(|–|—|, namely)\s*([^.;)]+)", re.IGNORECASE)
_PARTIAL = re.compile(
    r"\b(?:over|more than|at least|up to|about|around|some|nearly|almost|of|among|include|including|such as)\b", re.I
)
_AND_MORE = re.compile(
    r"\b(?:etc|and more|and others|among others|for example|e\.g|such as|including)\b", re.IGNORECASE
)
_TARGET = re.compile(r"\btargets?\b|\b99(?:\.\d+)? ?%|\bguarantee", re.IGNORECASE)
_BEST = re.compile(r"best[- ]efforts?", re.IGNORECASE)
_APART = re.compile(
    r"\bno (?:uptime )?(?:target|guarantee)|without (?:a |any )?(?:target|guarantee)|rather than|instead of", re.I
)
_CREDIT = re.compile(r"\bcredits?\b", re.IGNORECASE)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?) ?%")


def listed(page: Page, _context: Context) -> Iterator[Finding]:
    """Find a count that differs from the list it introduces."""
    for listing in page.listings:
        sentence = _at(page, listing)
        counts = [
            (number(one[1]), one) for one in _COUNT.finditer(listing.intro) if one[1].lower() not in {"a", "an", "one"}
        ]
        if sentence is None or not counts or not listing.items or _vague(listing.intro, counts[-1][1].start()):
            continue
        if sentence.kind != "heading" and not _OPENS.search(listing.intro):
            continue
        said = counts[-1]
        if said[0] != len(listing.items):
            yield COUNT.found(sentence, f"It says {said[1][0]}, and the list below has {len(listing.items)}.")
    for sentence in page.said():
        for found in _INLINE.finditer(sentence.text):
            items = [part for part in re.split(r",\s*(?:and\s+)?|\s+and\s+", found[3]) if part.strip()]
            commas = found[3].count(",")
            if found[1].lower() in {"a", "an", "one"}:
                continue
            if commas < 1 or _vague(sentence.text, found.start()) or _AND_MORE.search(found[3]):
                continue
            least = commas + 1
            if not least <= number(found[1]) <= len(items):
                yield COUNT.found(sentence, f"It says {found[1]} {found[2]}, and names {least}.")


def _vague(text: str, at: int) -> bool:
    return bool(_PARTIAL.search(text[max(0, at - 12) : at]))


def _at(page: Page, listing: Listing) -> Sentence | None:
    found = [one for one in page.sentences if one.line == listing.line and one.text == listing.intro]
    return found[-1] if found else None


def best_effort(page: Page, _context: Context) -> Iterator[Finding]:
    """Find a target that is best effort as well."""
    for one in page.said():
        for clause in re.split(r"[;·]| \| |, (?=(?:and|but|while|whereas)\b)|(?<=[a-z%]), (?=best)", one.text):
            if _BEST.search(clause) and _TARGET.search(clause) and not _APART.search(clause):
                yield BEST_EFFORT.found(one, "What is best effort has no target: write a number that is kept, or none.")
                break


def credit_bands(page: Page, _context: Context) -> Iterator[Finding]:
    """Find credit bands that do not say when they are owed."""
    bands = [one for one in page.said() if _CREDIT.search(f"{one.text} {one.section}") and _owed(one)]
    by_section: dict[str, list[Sentence]] = {}
    for one in bands:
        by_section.setdefault(one.section, []).append(one)
    for section, told in by_section.items():
        around = [one for one in page.said() if one.section == section]
        if not any(_threshold(one.text) for one in around):
            yield CREDITS.found(
                told[0], "The credits have no thresholds: say below which availability each is owed.", also=told[1:]
            )


def _owed(one: Sentence) -> bool:
    values = [float(value) for value in _PERCENT.findall(one.text)]
    bands = [value for value in values if value <= 100 and value not in {99.0, 100.0} and not 90 < value < 100]
    return len(bands) >= 2 or (bool(bands) and one.kind in {"row", "item"} and "credit" in one.text.lower())


def _threshold(text: str) -> bool:
    return any(90 <= float(value) < 100 for value in _PERCENT.findall(text)) and bool(
        re.search(r"below|less than|under|<|≥|>=|between|at least|from|to|falls|·|–|-", text)
    )


COUNT = Rule(
    name="count-differs",
    level=Level.ERROR,
    about="A number that introduces a list must be the number of its items.",
    check=listed,
)
BEST_EFFORT = Rule(
    name="target-best-effort",
    level=Level.ERROR,
    about="A target is kept or missed; best effort is neither. Choose one.",
    check=best_effort,
)
CREDITS = Rule(
    name="credits-without-thresholds",
    level=Level.ERROR,
    about="Bands of service credits need the availability below which each is owed.",
    check=credit_bands,
)
RULES = (COUNT, BEST_EFFORT, CREDITS)
