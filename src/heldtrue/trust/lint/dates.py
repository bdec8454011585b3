"""Dates as pages write them, and numbers, spans of time and counts as words."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = {
    **{name.lower(): at for at, name in enumerate(calendar.month_name) if name},
    **{name.lower(): at for at, name in enumerate(calendar.month_abbr) if name},
    "sept": 9,
}
_MONTH = "(" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_ISO = re.compile(r"\b(20\d\d)-(\d\d)(?:-(\d\d))?\b")
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH},? (20\d\d)\b", re.IGNORECASE)
_MONTH_FIRST = re.compile(rf"\b{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?,? (20\d\d)\b", re.IGNORECASE)
_MONTH_ONLY = re.compile(rf"(?<!\d )(?<!\d\d )(?<!st )(?<!nd )(?<!rd )(?<!th )\b{_MONTH},? (20\d\d)\b", re.IGNORECASE)
_QUARTER = re.compile(r"\bQ([1-4])[ /-]?(20\d\d)\b", re.IGNORECASE)

NUMBERS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
}  # fmt: skip
NUMBER = r"(\d{1,6}(?:[.,]\d+)?|an?|" + "|".join(NUMBERS) + ")"
_UNITS = {
    "s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "m": 60, "h": 3600, "hr": 3600, "hour": 3600, "d": 86400,
    "day": 86400, "week": 604800, "month": 2629800, "quarter": 7889400, "year": 31557600,
}  # fmt: skip
_GAP = "[ \N{NO-BREAK SPACE}-]"
SPAN = re.compile(
    rf"\b{NUMBER}(?:(?<=\d)|(?<!\d){_GAP}){_GAP}?(business |working |calendar )?"
    r"(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|months?|quarters?|years?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Dated:
    """A date in a text; of a month or quarter, its last day."""

    day: date
    text: str
    at: int


def dates(text: str) -> list[Dated]:
    """Return the dates that *text* names, in order."""
    return sorted(_dates(text), key=lambda one: one.at)


def _dates(text: str) -> Iterator[Dated]:
    for found in _ISO.finditer(text):
        yield from _made(found, int(found[1]), int(found[2]), int(found[3]) if found[3] else None)
    for found in _DAY_FIRST.finditer(text):
        yield from _made(found, int(found[3]), _MONTHS[found[2].lower()], int(found[1]))
    for found in _MONTH_FIRST.finditer(text):
        yield from _made(found, int(found[3]), _MONTHS[found[1].lower()], int(found[2]))
    for found in _MONTH_ONLY.finditer(text):
        yield from _made(found, int(found[2]), _MONTHS[found[1].lower()], None)
    for found in _QUARTER.finditer(text):
        yield from _made(found, int(found[2]), int(found[1]) * 3, None)


def _made(found: re.Match[str], year: int, month: int, day: int | None) -> Iterator[Dated]:
    if not 1 <= month <= 12:
        return
    last = calendar.monthrange(year, month)[1]
    if day is None or 1 <= day <= last:
        yield Dated(date(year, month, day or last), found[0], found.start())


def number(text: str) -> float:
    """Return the number that a word or numeral is."""
    word = text.lower()
    if word in {"a", "an"}:
        return 1
    return NUMBERS[word] if word in NUMBERS else float(text.replace(",", "."))


def span(found: re.Match[str]) -> timedelta:
    """Return the length of a match of `SPAN`."""
    unit = found[3].lower()
    return timedelta(seconds=number(found[1]) * _UNITS[unit if unit in _UNITS else unit.rstrip("s")])


def spans(text: str) -> list[tuple[timedelta, re.Match[str]]]:
    """Return the lengths of time that *text* names, in order."""
    return [(span(found), found) for found in SPAN.finditer(text)]


def told(length: timedelta) -> str:
    """Return a length of time in the unit that a reader would use."""
    seconds = length.total_seconds()
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"
