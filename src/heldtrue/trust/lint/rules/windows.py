"""Windows, deadlines and answers: what must agree with itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta

from heldtrue.trust.lint.dates import NUMBER, SPAN, number, span, spans, told
from heldtrue.trust.lint.model import Code, Context, Finding, Level, Page, Rule, Sentence

_RETRY = re.compile(r"\bretr(?:y(?!-after)|ies|ied|ying)\b|\battempts?\b|\bredeliver", re.IGNORECASE)
_SEPARATOR = re.compile(r"^\W*(?:and|then|or|after|again|later|next|finally|,|;|→|->|·|\W)*\W*$", re.IGNORECASE)
_WINDOW = re.compile(
    r"\b(?:for(?: up to| at most)?|over(?: a period of)?|within|up to|window(?: is)?(?: of)?"
    r"|during|in total|lasts?)\W+$",
    re.I,
)
_NOT_WINDOW = re.compile(
    r"\b(?:respond|answer|acknowledg|timeout|time out|each|per attempt|at least|kept|stored|retain|replay)", re.I
)
_ATTEMPTS = re.compile(
    rf"\b(?:up to |at most |a total of |after )?{NUMBER} (?:more )?(attempts|tries|times|retries)\b", re.IGNORECASE
)
_LAST = re.compile(r"\b(?:last|previous|past|of) $", re.IGNORECASE)
NEAR = 0.12
"""How far a window may be from the sum of its schedule: round numbers and jitter."""

_BREACH = re.compile(r"\b(?:breach|incident|notif|told|inform|report)\w*", re.IGNORECASE)
_EVENTS = (
    (
        "becoming aware",
        re.compile(r"(?:becom\w+|being|been|made) aware|awareness|discover\w*|detect\w*|first sign|learn\w*", re.I),
    ),
    ("confirmation", re.compile(r"confirm\w*|verif(?:y|ying|ied|ication)|establish\w*|determin\w*|conclu\w*", re.I)),
    ("occurrence", re.compile(r"occurr\w*|taking place|happen\w*", re.I)),
    ("receipt", re.compile(r"receipt of|receiv\w+", re.I)),
)
_COUNTED = re.compile(r"^\W*(?:of|after|from|following|since|once|upon|when)\b(?P<event>[^.;]{0,70})", re.IGNORECASE)
_EARLIER = re.compile(r"whichever|earlie(?:r|st)|both .* recorded|first of", re.IGNORECASE)

_PROVENANCE = re.compile(r"provenance|\bsources?\b|citations?|lineage", re.IGNORECASE)
_EVERY_ANSWER = re.compile(
    r"\b(?:every|each|all|any)\b[^.]{0,40}\b(?:answers?|responses?|results?|records?|numbers?"
    r"|figures?|values?|calls?|datapoints?)\b",
    re.IGNORECASE,
)
_VIEW = re.compile(
    r"\b(?:view|format|mode|summary|compact|export|csv|endpoint|response|answer|table|list|widget|version|tool)s?\b",
    re.I,
)
_DROPS = re.compile(
    r"\b(?:omit|drop|leave|strip|exclude|hide|lack|skip|remove)(?:s|ping|ting|ped|ted|ving|d"
    r"|es|ing)?\b(?: out| off)?[^.]{0,30}(?:provenance|sources?\b|citations?|lineage)"
    r"|(?:without|no|not (?:include|carry|show|contain|return)\w*)(?: \w+){0,3} (?:provenance"
    r"|sources?\b|citations?|lineage)"
    r"|(?:does not|doesn'?t|do not) (?:include|carry|show|contain"
    r"|return)(?: \w+){0,3} (?:provenance|sources?\b|citations?|lineage)"
    r"|(?:provenance|sources?|citations?|lineage)(?: \w+){0,2} (?:is|are) (?:omitted|dropped"
    r"|left out|stripped|not (?:included|shown|returned)|removed)",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"\b(?:never|no (?:view|format|mode|answer|response)s?|cannot|refus\w+|nothing)\b", re.IGNORECASE)


def schedule(one: Sentence) -> list[timedelta]:
    """Return the retry schedule that a sentence lists: three lengths or more, one after the other."""
    found = list(SPAN.finditer(one.text))
    runs: list[list[re.Match[str]]] = []
    for match in found:
        between = one.text[runs[-1][-1].end() : match.start()] if runs else ""
        if runs and _SEPARATOR.match(between):
            runs[-1].append(match)
        else:
            runs.append([match])
    best = max(runs, key=len, default=[])
    return [span(match) for match in best] if len(best) >= 3 else []


def retries(page: Page, _context: Context) -> Iterator[Finding]:
    """Find a retry window, or a number of attempts, that its schedule does not make."""
    for one in page.said():
        steps = schedule(one)
        around = [other for other in page.said() if other.section == one.section and abs(other.block - one.block) <= 4]
        if not steps or not _RETRY.search(" ".join([one.section, one.text, *(other.text for other in around)])):
            continue
        total = sum(steps, timedelta())
        for other in around:
            yield from _window(one, other, total, len(steps))


def _window(one: Sentence, other: Sentence, total: timedelta, count: int) -> Iterator[Finding]:
    if other is not one and not _RETRY.search(other.text):
        return
    for length, found in spans(other.text):
        clause = re.split(r"[;:]", other.text[: found.start()])[-1][-60:]
        if not _WINDOW.search(clause) or _NOT_WINDOW.search(clause) or not _RETRY.search(clause):
            continue
        if abs(length - total) > total * NEAR:
            yield RETRIES.found(other, f"It says {found[0]}, and the schedule adds up to {told(total)}.", also=[one])
    for found in _ATTEMPTS.finditer(other.text):
        said = number(found[1])
        if _LAST.search(other.text[: found.start()]):
            continue
        if 2 <= said <= 100 and found[1].lower() not in {"a", "an"} and not count <= said <= count + 1:
            yield RETRIES.found(other, f"It says {found[0].strip()}, and the schedule has {count} steps.", also=[one])


def two_starts(page: Page, _context: Context) -> Iterator[Finding]:
    """Find one deadline that is counted from two different events."""
    counted: dict[timedelta, list[tuple[str, Sentence]]] = {}
    for one in page.said():
        if not _BREACH.search(one.text) or _EARLIER.search(one.text):
            continue
        for length, found in spans(one.text):
            event = _event(one.text[found.end() :])
            if event and length >= timedelta(hours=1):
                counted.setdefault(length, []).append((event, one))
    for length, starts in counted.items():
        first: dict[str, Sentence] = {}
        for event, one in starts:
            first.setdefault(event, one)
        if len(first) > 1:
            (_, begin), *_, (_, last) = sorted(first.items(), key=lambda pair: pair[1].line)
            yield STARTS.found(
                last,
                f"The {told(length)} are counted from {' and from '.join(first)}: name the one event that starts it.",
                also=[begin],
            )


def _event(after: str) -> str | None:
    counted = _COUNTED.search(after)
    if counted is None:
        return None
    found = [(match.start(), name) for name, words in _EVENTS if (match := words.search(counted["event"]))]
    return min(found)[1] if found else None


def provenance(page: Page, _context: Context) -> Iterator[Finding]:
    """Find an answer view without the provenance that every answer is said to carry."""
    told_of = [
        one for one in page.said()
        if _EVERY_ANSWER.search(one.text) and _PROVENANCE.search(one.text) and not _DROPS.search(one.text)
    ]  # fmt: skip
    for one in page.said():
        if _DROPS.search(one.text) and _VIEW.search(one.text) and not _REFUSED.search(one.text) and told_of:
            yield PROVENANCE.found(one, "The page says that every answer carries it; this one does not.", also=told_of)
    for code in page.code:
        if told_of and _bare_answer(code):
            yield Finding(
                rule=PROVENANCE.name,
                level=PROVENANCE.level,
                line=code.line,
                message="The page says that every answer carries its provenance; this example does not.",
                text=code.text.strip().splitlines()[0],
                also=tuple(sorted({one.line for one in told_of})),
            )


def _bare_answer(code: Code) -> bool:
    if not re.search(r"answer|response|returns?|result", f"{code.before} {code.section}", re.IGNORECASE):
        return False
    try:
        told = json.loads(code.text)
    except ValueError:
        return False
    return isinstance(told, dict) and not _PROVENANCE.search(code.text)


RETRIES = Rule(
    name="retry-window-differs",
    level=Level.ERROR,
    about="The window and the number of attempts must be those that the retry schedule makes.",
    check=retries,
)
STARTS = Rule(
    name="deadline-from-two-events",
    level=Level.ERROR,
    about="A deadline is counted from one event; when two are possible, say that the earlier one counts.",
    check=two_starts,
)
PROVENANCE = Rule(
    name="provenance-dropped",
    level=Level.ERROR,
    about="When every answer carries its provenance, no view, format or example may leave it out.",
    check=provenance,
)
RULES = (RETRIES, STARTS, PROVENANCE)
