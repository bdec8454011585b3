"""Business time by country and time zone: deadlines, and how much of it has passed.

A business day is one on which the country as a whole works: neither its weekend nor one of its public holidays. Days on
which only a part of a country rests count where that part is named (`GB-ENG`, `DE-BY`; ISO 3166-2). Business hours are
09:00 to 17:00 local time. A clock never pauses: nothing but the calendar stops it.

Where a rule could be read in two ways, the one that ends earlier is taken, so that no calendar makes its owner look
faster. What arrives after hours or on a closed day is due by the same rule as what arrives at noon.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

from heldtrue.kernel.errors import BadInputError

OPENS = time(9)
CLOSES = time(17)
_CODE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
FIRST_YEAR, LAST_YEAR = 1990, 2100
"""Years whose holidays are known well enough; movable feasts of later ones are computed."""


class UnknownCountryError(BadInputError):
    """There is no calendar of this country; write its code by ISO 3166, such as `US`, or with its part, `GB-ENG`."""

    code = "unknown-country"


class UnknownZoneError(BadInputError):
    """There is no such time zone; write its name in the IANA database, such as `America/New_York`."""

    code = "unknown-zone"


class OutOfCalendarError(BadInputError):
    """No holidays are known for that year; ask for a moment between 1990 and 2100."""

    code = "out-of-calendar"


def zone_named(name: str) -> ZoneInfo:
    """Return the IANA time zone *name*; raise `UnknownZoneError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownZoneError(f"{name!r} is no time zone.", advice="Such as Europe/Berlin.") from error


@lru_cache(maxsize=512)
def business_days(country: str, year: int) -> frozenset[date]:
    """Return the business days of *country* (ISO 3166-1 alpha-2, or 3166-2) in *year*; raise `UnknownCountryError`.

    Weekends are the country's own, of that year; a Saturday that a country declares a working day is one.
    """
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise OutOfCalendarError(f"{year} is out of the calendar.")
    if _CODE.fullmatch(country) is None:
        raise UnknownCountryError(f"{country!r} is no code of a country.")
    whole, _, part = country.partition("-")
    try:
        known = holidays.country_holidays(whole, subdiv=part or None, years=year, expand=False)
    except NotImplementedError as error:
        raise UnknownCountryError(f"There is no calendar of {country}.") from error
    first = date(year, 1, 1)
    days = (first + timedelta(days=at) for at in range((date(year + 1, 1, 1) - first).days))
    return frozenset(day for day in days if known.is_working_day(day))


def is_business_day(day: date, *, country: str) -> bool:
    """Return whether *country* works on *day*."""
    return day in business_days(country, day.year)


def next_business_day(day: date, *, country: str) -> date:
    """Return the first business day of *country* after *day*."""
    return next(_business_days_after(day, country))


def deadline(start: datetime, business_days: int, *, country: str, zone: ZoneInfo) -> datetime:
    """Return the end, in UTC, of the *business_days*-th business day after the local day of *start*.

    *start* is aware; *business_days* at least 1. From a Friday evening, one business day ends on Monday at 17:00.
    """
    if business_days < 1:
        raise ValueError("a deadline is at least one business day away")
    following = _business_days_after(start.astimezone(zone).date(), country)
    day = next(following)
    for _ in range(business_days - 1):
        day = next(following)
    return _at(day, CLOSES, zone)


def deadline_in_hours(start: datetime, business_time: timedelta, *, country: str, zone: ZoneInfo) -> datetime:
    """Return when, in UTC, *business_time* of business hours will have passed since *start*; it is over zero."""
    if business_time <= timedelta():
        raise ValueError("a deadline is in the future")
    left = business_time
    day = start.astimezone(zone).date()
    days = _business_days_after(day - timedelta(days=1), country)
    while True:
        day = next(days)
        opening = max(_at(day, OPENS, zone), start.astimezone(UTC))
        open_for = max(_at(day, CLOSES, zone) - opening, timedelta())
        if left <= open_for:
            return opening + left
        left -= open_for


def business_hours_between(start: datetime, end: datetime, *, country: str, zone: ZoneInfo) -> timedelta:
    """Return how much business time lies between *start* and *end*, both aware; zero when *end* is not later."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    passed = timedelta()
    day, final = first.astimezone(zone).date(), last.astimezone(zone).date()
    while day <= final:
        if is_business_day(day, country=country):
            open_for = min(_at(day, CLOSES, zone), last) - max(_at(day, OPENS, zone), first)
            passed += max(open_for, timedelta())
        day += timedelta(days=1)
    return passed


def warm(country: str, zone: str, years: Iterable[int]) -> None:
    """Compute the calendar of *years* now: a process that gave up its rights may not read the holidays' code."""
    zone_named(zone)
    for year in years:
        business_days(country, year)


def _business_days_after(day: date, country: str) -> Iterator[date]:
    while True:
        day += timedelta(days=1)
        if is_business_day(day, country=country):
            yield day


def _at(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return the moment of *day* at *clock* in *zone*, in UTC, where differences are real time."""
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
