"""Times and numbers as a reader says them; the exact value always stands beside, in `title` and `datetime`.

Times come as `heldtrue.claims.documents.stamp` writes them: RFC 3339 in UTC, so their parts stand where they stand.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from markupsafe import Markup, escape

_NARROW = "\N{NO-BREAK SPACE}"


def lasting(seconds: int) -> str:
    """Return a length of time in its largest sensible unit: `41 s`, `14 min`, `3 h`, `12 days`."""
    if seconds < 90:
        return f"{seconds}{_NARROW}s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)}{_NARROW}min"
    if seconds < 36 * 3600:
        return f"{round(seconds / 3600)}{_NARROW}h"
    days = round(seconds / 86400)
    return f"{days}{_NARROW}days"


def every(seconds: int) -> str:
    """Return a cadence: `every 10 min`, `every hour`, `every day`."""
    return {60: "every minute", 3600: "every hour", 86400: "every day"}.get(seconds, f"every {lasting(seconds)}")


def ago(at: str, now: str) -> str:
    """Return how long before *now* it was."""
    passed = int((_parse(now) - _parse(at)).total_seconds())
    return "just now" if passed < 2 else f"{lasting(passed)} ago"


def since(at: str, now: str) -> str:
    """Return how long it has lasted at *now*."""
    return lasting(max(0, int((_parse(now) - _parse(at)).total_seconds())))


def moment(at: str) -> str:
    """Return a time in full: `22 November 2026, 05:14:09 UTC`."""
    return f"{day(at)}, {at[11:19]} UTC"


def day(at: str) -> str:
    """Return a date: `22 November 2026`."""
    return f"{int(at[8:10])} {_MONTHS[int(at[5:7]) - 1]} {at[:4]}"


def day_before(at: str, back: int) -> str:
    """Return the date *back* days before *at*."""
    return day((_parse(at) - timedelta(days=back)).isoformat())


def count(number: int) -> str:
    """Return a number with its thousands set apart."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 claim`, `12 claims`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def tell(coverage: dict[str, int]) -> str:
    """Return counts of what was tried: `41 routes, 164 requests`."""
    return ", ".join(f"{count(n)} {name.replace('_', ' ')}" for name, n in coverage.items())


def short(digest: str) -> str:
    """Return a digest as a reader compares it: its head and its tail."""
    return digest if len(digest) < 20 else f"{digest[:8]}…{digest[-8:]}"


def briefly(failures: Iterable[Ended]) -> Markup:
    """Return failures that are over, an item each: how long, from when to when, and where the evidence is.

    Written here and not in a template: a page has up to a hundred for each of its claims.
    """
    return Markup(  # noqa: S704 - ours, but for the link
        "".join(_item(one.duration_s, one.started_at, one.ended_at, one.evidence) for one in failures if one.ended_at)
    )


@functools.lru_cache(maxsize=16_384)
def _item(seconds: int, started_at: str, ended_at: str, evidence: str | None) -> str:
    link = f' · <a href="{escape(evidence)}">evidence</a>' if evidence else ""
    return (
        f'<li>{lasting(seconds)}: <time datetime="{started_at}">{moment(started_at)}</time> to '
        f'<time datetime="{ended_at}">{moment(ended_at)}</time>{link}</li>'
    )


class Ended(Protocol):
    """A failure, with its times as published."""

    duration_s: int
    started_at: str
    ended_at: str | None
    evidence: str | None


@functools.lru_cache(maxsize=1024)
def strokes(days: str) -> tuple[tuple[str, str], ...]:
    """Return a history as paths of an SVG, 4 wide a day: (class, outline) by letter. What failed has a gap in it."""
    return tuple(
        (name, "".join(f"M{at * 4} {outline}" for at, day in enumerate(days) if day == letter))
        for letter, name, outline in _OUTLINES
        if letter in days
    )


_OUTLINES = (
    ("h", "h", "2h3v16h-3z"),
    ("f", "f", "0h3v8h-3zm0 12h3v8h-3z"),
    ("s", "s", "10h3v8h-3z"),
    (".", "n", "15h3v3h-3z"),
)


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def _parse(text: str) -> datetime:
    return datetime.fromisoformat(text)
