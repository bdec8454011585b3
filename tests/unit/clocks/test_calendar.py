"""Business time: holidays, weekends, time zones, and that no reading makes the clock's owner look faster."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.clocks.calendar import (
    CLOSES,
    OutOfCalendarError,
    UnknownCountryError,
    UnknownZoneError,
    business_days,
    business_hours_between,
    deadline,
    deadline_in_hours,
    is_business_day,
    next_business_day,
    zone_named,
)

ZONES = {
    "US": ZoneInfo("America/New_York"),
    "DE": ZoneInfo("Europe/Berlin"),
    "GB": ZoneInfo("Europe/London"),
    "GB-ENG": ZoneInfo("Europe/London"),
    "AE": ZoneInfo("Asia/Dubai"),
}
HOUR = timedelta(hours=1)


def local(country: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONES[country])


@pytest.mark.parametrize(
    ("country", "arrived", "due"),
    [
        # an ordinary day, an evening, a weekend
        ("US", "2026-11-17T10:00", "2026-11-18T17:00"),
        ("US", "2026-11-17T23:59", "2026-11-18T17:00"),
        ("US", "2026-11-20T16:59", "2026-11-23T17:00"),
        ("US", "2026-11-21T12:00", "2026-11-23T17:00"),
        # Thanksgiving is a public holiday, the Friday after it is not
        ("US", "2026-11-25T18:00", "2026-11-27T17:00"),
        ("US", "2026-11-26T09:00", "2026-11-27T17:00"),
        ("US", "2026-11-27T09:00", "2026-11-30T17:00"),
        # Independence Day on a Saturday is kept on Friday the third
        ("US", "2026-07-02T12:00", "2026-07-06T17:00"),
        # Easter: Scotland works on the Monday, and so a company that names no part of Britain does
        ("DE", "2026-04-02T15:00", "2026-04-07T17:00"),
        ("GB", "2026-04-02T15:00", "2026-04-06T17:00"),
        ("GB-ENG", "2026-04-02T15:00", "2026-04-07T17:00"),
        ("US", "2026-04-02T15:00", "2026-04-03T17:00"),
        # Christmas over a weekend: Britain keeps the days after it, Germany does not
        ("GB", "2021-12-24T12:00", "2021-12-29T17:00"),
        ("DE", "2021-12-24T12:00", "2021-12-27T17:00"),
        ("US", "2021-12-23T12:00", "2021-12-27T17:00"),
        ("GB", "2026-12-24T12:00", "2026-12-29T17:00"),
        # New Year's Day on a Saturday is kept in the year before
        ("US", "2021-12-30T12:00", "2022-01-03T17:00"),
        # the Emirates rested on Fridays and Saturdays until 2021
        ("AE", "2021-11-25T12:00", "2021-11-28T17:00"),
        ("AE", "2026-11-19T12:00", "2026-11-20T17:00"),
        ("AE", "2026-11-20T12:00", "2026-11-23T17:00"),
        ("AE", "2026-12-01T12:00", "2026-12-04T17:00"),
    ],
)
def test_one_business_day_ends_where_the_country_works_again(country: str, arrived: str, due: str) -> None:
    found = deadline(local(country, arrived), 1, country=country, zone=ZONES[country])
    assert found == local(country, due)
    assert found.tzinfo is UTC


def test_the_day_is_the_one_of_the_companys_zone() -> None:
    arrived = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)  # Monday evening in New York, Tuesday in Berlin
    assert deadline(arrived, 1, country="US", zone=ZONES["US"]) == local("US", "2026-11-24T17:00")
    assert deadline(arrived, 1, country="DE", zone=ZONES["DE"]) == local("DE", "2026-11-25T17:00")


def test_ten_business_days_pass_over_christmas() -> None:
    assert deadline(local("GB", "2026-12-18T12:00"), 10, country="GB", zone=ZONES["GB"]) == local(
        "GB", "2027-01-06T17:00"
    )


@pytest.mark.parametrize(("month", "hour"), [(3, 16), (10, 17)])
def test_a_deadline_moves_with_summer_time(month: int, hour: int) -> None:
    friday = {3: "2026-03-27T12:00", 10: "2026-10-23T12:00"}[month]
    found = deadline(local("GB", friday), 1, country="GB", zone=ZONES["GB"])
    assert (found.hour, found.astimezone(ZONES["GB"]).time()) == (hour, CLOSES)


def test_business_hours_are_real_hours() -> None:
    """Clocks sprang forward in the night of the 29th: a closed hour went missing, not one of business."""
    start, end = local("GB", "2026-03-27T15:00"), local("GB", "2026-03-30T10:00")
    assert business_hours_between(start, end, country="GB", zone=ZONES["GB"]) == 3 * HOUR


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-11-17T10:00", 1, "2026-11-17T11:00"),
        ("2026-11-17T16:30", 1, "2026-11-18T09:30"),
        ("2026-11-17T13:00", 4, "2026-11-17T17:00"),
        ("2026-11-20T15:00", 4, "2026-11-23T11:00"),
        ("2026-11-25T16:00", 9, "2026-11-27T17:00"),
        ("2026-11-21T12:00", 1, "2026-11-23T10:00"),
    ],
)
def test_business_hours_are_counted_over_closed_days(start: str, hours: int, due: str) -> None:
    found = deadline_in_hours(local("US", start), hours * HOUR, country="US", zone=ZONES["US"])
    assert found == local("US", due)


def test_a_later_moment_has_no_negative_time() -> None:
    later, earlier = local("US", "2026-11-17T12:00"), local("US", "2026-11-17T10:00")
    assert business_hours_between(later, earlier, country="US", zone=ZONES["US"]) == timedelta()


@pytest.mark.parametrize("country", ["ZZ", "us", "USA", "", "Ü1", "GB-", "GB-XXX", "GB-ENG\n"])
def test_a_country_without_a_calendar_is_refused(country: str) -> None:
    with pytest.raises(UnknownCountryError):
        is_business_day(date(2026, 11, 17), country=country)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "\0"])
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(UnknownZoneError):
        zone_named(name)


def test_a_year_without_known_holidays_is_refused() -> None:
    with pytest.raises(OutOfCalendarError):
        business_days("US", 2101)


@pytest.mark.parametrize("days", [0, -1])
def test_a_deadline_is_at_least_a_business_day_away(days: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        deadline(local("US", "2026-11-17T12:00"), days, country="US", zone=ZONES["US"])


moments = st.datetimes(datetime(2015, 1, 1), datetime(2035, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
countries = st.sampled_from(sorted(ZONES))


@given(moments, countries, st.integers(1, 30))
def test_a_deadline_is_a_closing_on_a_business_day_after_its_start(start: datetime, country: str, days: int) -> None:
    found = deadline(start, days, country=country, zone=ZONES[country])
    there = found.astimezone(ZONES[country])
    assert found > start
    assert there.time() == CLOSES
    assert is_business_day(there.date(), country=country)


@given(moments, countries, st.integers(1, 10))
def test_a_deadline_holds_as_many_days_of_business_as_were_given(start: datetime, country: str, days: int) -> None:
    zone = ZONES[country]
    passed = business_hours_between(
        start, deadline(start, days, country=country, zone=zone), country=country, zone=zone
    )
    assert days * 8 * HOUR <= passed <= (days + 1) * 8 * HOUR


@given(moments, countries, st.integers(1, 10), st.timedeltas(timedelta(), timedelta(days=9)))
def test_who_arrives_later_is_never_due_earlier(start: datetime, country: str, days: int, later: timedelta) -> None:
    zone = ZONES[country]
    first = deadline(start, days, country=country, zone=zone)
    assert first <= deadline(start + later, days, country=country, zone=zone)


@given(
    moments, countries, st.timedeltas(timedelta(), timedelta(days=20)), st.timedeltas(timedelta(), timedelta(days=20))
)
def test_business_time_adds_up(start: datetime, country: str, one: timedelta, two: timedelta) -> None:
    zone = ZONES[country]

    def between(a: datetime, b: datetime) -> timedelta:
        return business_hours_between(a, b, country=country, zone=zone)

    middle, end = start + one, start + one + two
    assert between(start, middle) + between(middle, end) == between(start, end)
    assert between(start, end) <= one + two


@given(moments, countries, st.timedeltas(timedelta(seconds=1), timedelta(hours=60)))
def test_what_is_due_in_hours_is_due_after_as_many(start: datetime, country: str, hours: timedelta) -> None:
    zone = ZONES[country]
    due = deadline_in_hours(start, hours, country=country, zone=zone)
    assert business_hours_between(start, due, country=country, zone=zone) == hours


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), countries)
def test_the_next_business_day_is_near(day: date, country: str) -> None:
    after = next_business_day(day, country=country)
    assert timedelta() < after - day <= timedelta(days=12)
