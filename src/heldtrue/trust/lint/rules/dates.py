"""Dates that have passed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from heldtrue.trust.lint.dates import Dated, dates
from heldtrue.trust.lint.model import Context, Finding, Level, Page, Rule, Sentence

_EVERY = (
    (
        re.compile(r"\b(?:quarterly|(?:each|every|once (?:a|per)|per) quarter|every (?:three|3) months)\b", re.I),
        timedelta(92),
        "a quarter",
    ),
    (re.compile(r"\b(?:monthly|(?:each|every|once (?:a|per)) month)\b", re.I), timedelta(31), "a month"),
    (re.compile(r"\b(?:weekly|(?:each|every|once (?:a|per)) week)\b", re.I), timedelta(7), "a week"),
    (
        re.compile(r"\b(?:annual(?:ly)?|yearly|(?:each|every|once (?:a|per)) year|every (?:twelve|12) months)\b", re.I),
        timedelta(366),
        "a year",
    ),
)
_DONE = re.compile(
    r"\b(?:drill|restore|recovery test|penetration test|pen ?test|audit|review|training"
    r"|exercise|rotation|scan|test)\w*\b",
    re.I,
)
_LAST = re.compile(
    r"\b(?:last|latest|most recent(?:ly)?|previous|performed on|completed (?:on|in)"
    r"|carried out (?:on|in)|dated|reviewed(?: on|:)?|run on)\b",
    re.I,
)
_FUTURE = re.compile(
    r"\b(?:next (?:review|audit|drill|test|due)|(?:review|renewal) due|due (?:on|by|in|for)"
    r"|expires?(?: on)?|expiry|valid (?:until|through|to)"
    r"|by the end of|planned for|expected (?:in|by|on)|scheduled for|coming in"
    r"|on the roadmap for|will (?:be|start|begin|complete)"
    r"|effective until|targeted for)\b",
    re.I,
)
_PAST_ALREADY = re.compile(r"\b(?:expired|was|were|had|ended|has been|since|closed)\b", re.I)
_UPDATED = re.compile(
    r"\b(?:last (?:updated|reviewed|modified|revised)|updated on|effective(?: date| from)?|version of|as of)\b", re.I
)
YEAR = timedelta(366)


def overdue(page: Page, context: Context) -> Iterator[Finding]:
    """Find what is done every so often, and was done longer ago than that."""
    for one in page.said():
        for pattern, length, words in _EVERY:
            if not (pattern.search(one.text) and _DONE.search(one.text)):
                continue
            subject = {found[0].lower()[:6] for found in _DONE.finditer(one.text)}
            for told in _nearby(page, one):
                when = _last(told, context.today, subject, same=told is one)
                if when is not None and context.today - when.day > length:
                    yield OVERDUE.found(
                        one, f"The last one that the page names is of {when.text}: more than {words} ago.", also=[told]
                    )
                    break
            break


def _nearby(page: Page, one: Sentence) -> list[Sentence]:
    return [told for told in page.said() if told.section == one.section and abs(told.block - one.block) <= 4]


def _last(told: Sentence, today: date, subject: set[str], *, same: bool) -> Dated | None:
    if not _LAST.search(told.text):
        return None
    about = {found[0].lower()[:6] for found in _DONE.finditer(told.text)}
    if not same and about and not about & subject:
        return None
    past = [found for found in dates(told.text) if found.day <= today and not _FUTURE.search(_before(told.text, found))]
    return max(past, key=lambda found: found.day, default=None)


def _before(text: str, found: Dated) -> str:
    return text[max(0, found.at - 32) : found.at]


def promised(page: Page, context: Context) -> Iterator[Finding]:
    """Find a date that is told as to come and has passed."""
    for one in page.said():
        for found in dates(one.text):
            before = _before(one.text, found)
            if found.day < context.today and _FUTURE.search(before) and not _PAST_ALREADY.search(before):
                yield PASSED.found(one, f"{found.text} has passed.")
                break


def old(page: Page, context: Context) -> Iterator[Finding]:
    """Find a page or a policy that was last looked at more than a year ago."""
    for one in page.said():
        for found in dates(one.text):
            if _UPDATED.search(_before(one.text, found)) and context.today - found.day > YEAR:
                yield OLD.found(one, f"{found.text} is more than a year ago: review it, and say when.")
                break


OVERDUE = Rule(
    name="done-too-long-ago",
    level=Level.ERROR,
    about="What is promised each quarter was done within a quarter, and so with a month or a year.",
    check=overdue,
)
PASSED = Rule(
    name="date-has-passed",
    level=Level.WARNING,
    about="A date that is told as to come must lie ahead; say what came of it.",
    check=promised,
)
OLD = Rule(
    name="not-reviewed-for-a-year",
    level=Level.WARNING,
    about="A policy or page that is dated must have been reviewed within a year.",
    check=old,
)
RULES = (OVERDUE, PASSED, OLD)
