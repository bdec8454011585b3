"""Notices as feeds (Atom, RFC 4287; RSS 2.0; JSON Feed 1.1), and review dates as a calendar (RFC 5545). Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import feedgenerator
from icalendar import Calendar
from icalendar import Event as CalendarEvent

from heldtrue.capabilities.registers.subprocessors import Notice
from heldtrue.capabilities.registers.subscribers import sentence

LENGTH = 100
"""Notices in a feed; all of them are on the page."""
START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Whose feed it is, and where."""

    company: str
    url: str
    """Where the pages are, without a trailing slash."""
    origin: str
    """Name of the log: what ids begin with."""

    @property
    def title(self) -> str:
        """The feed's title."""
        return f"{self.company}: sub-processors"

    @property
    def page(self) -> str:
        """The page that the feed is of."""
        return f"{self.url}/trust/sub-processors"

    def id_of(self, notice: Notice) -> str:
        """Return what names a notice for ever (RFC 4151)."""
        host = self.origin.split("/")[0].split(":")[0]
        return f"tag:{host},{notice.at:%Y-%m-%d}:sub-processors/{notice.item}/{notice.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A day on which something is due."""

    name: str
    """Unique and stable, as `policies/backup`."""
    day: date
    what: str
    link: str


def atom(channel: Channel, notices: Sequence[Notice]) -> bytes:
    """Return the notices, the newest first, as an Atom feed."""
    return _written(feedgenerator.Atom1Feed, channel, notices, f"{channel.page}.atom")


def rss(channel: Channel, notices: Sequence[Notice]) -> bytes:
    """Return the notices, the newest first, as an RSS feed."""
    return _written(feedgenerator.Rss201rev2Feed, channel, notices, f"{channel.page}.rss")


def json_feed(channel: Channel, notices: Sequence[Notice]) -> bytes:
    """Return the notices, the newest first, as a JSON Feed."""
    items = [
        {
            "id": channel.id_of(notice),
            "url": f"{channel.page}#{notice.item}",
            "title": _title(notice),
            "content_text": sentence(notice),
            "date_published": _instant(notice.at),
            "tags": [notice.event.value],
        }
        for notice in notices[:LENGTH]
    ]
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": channel.title,
        "home_page_url": channel.page,
        "feed_url": f"{channel.page}.feed.json",
        "description": "New sub-processors are announced thirty days before they may be active.",
        "items": items,
    }
    return json.dumps(feed, ensure_ascii=False, indent=1).encode()


def calendar(channel: Channel, dues: Sequence[Due], stamp: datetime) -> bytes:
    """Return days on which something is due as a calendar; *stamp*: when it was made."""
    found = Calendar()
    found.add("prodid", "-//Heldtrue//registers//EN")
    found.add("version", "2.0")
    found.add("x-wr-calname", f"{channel.company}: reviews and notices")
    host = channel.origin.split("/")[0].split(":")[0]
    for due in sorted(dues, key=lambda one: (one.day, one.name)):
        event = CalendarEvent()
        event.add("uid", f"{due.name}/{due.day}@{host}")
        event.add("dtstamp", stamp.replace(microsecond=0))
        event.add("dtstart", due.day)
        event.add("dtend", due.day + timedelta(days=1))
        event.add("summary", due.what)
        event.add("url", due.link)
        event.add("transp", "TRANSPARENT")
        found.add_component(event)
    return found.to_ical()


def _written(kind: Any, channel: Channel, notices: Sequence[Notice], at: str) -> bytes:
    feed = kind(
        title=channel.title, link=channel.page, feed_url=at, language="en",
        description="New sub-processors are announced thirty days before they may be active.",
        author_name=channel.company,
    )  # fmt: skip
    for notice in notices[:LENGTH]:
        feed.add_item(
            title=_title(notice), link=f"{channel.page}#{notice.item}", description=sentence(notice),
            unique_id=channel.id_of(notice), unique_id_is_permalink=False, pubdate=notice.at, updateddate=notice.at,
            categories=[notice.event.value],
        )  # fmt: skip
    if not notices:
        feed.latest_post_date = lambda: START  # the library would write the moment of asking, so it never stood still
    return feed.writeString("utf-8").encode()


def _title(notice: Notice) -> str:
    return f"{notice.name}: {notice.event.value.replace('-', ' ')}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
