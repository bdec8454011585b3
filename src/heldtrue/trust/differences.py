"""The difference of the page between two dates: what the diary says happened between them, and what it came to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

import msgspec

from heldtrue.claims.documents import stamp
from heldtrue.kernel.errors import BadInputError
from heldtrue.trust.diary import Diary, Event, Told

MONTH = timedelta(days=30)
PAGE = 100
"""Events on one page."""
TROUBLE = frozenset({"failing", "stale"})
DAY = timedelta(days=1)


class UnreadableDateError(BadInputError):
    """A date is a day, as `2026-11-22`, or a moment in UTC, as `2026-11-22T05:14:00Z`; `from` comes before `to`."""

    code = "unreadable-date"


class AskChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Between which dates; a day counts from its beginning as `from`, and to its end as `to`."""

    start: str = msgspec.field(default="", name="from")
    end: str = msgspec.field(default="", name="to")
    page: str = ""

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """Return both moments: by default the last thirty days; raise `UnreadableDateError`."""
        end = _moment(self.end, whole_day=True) if self.end else now
        start = _moment(self.start, whole_day=False) if self.start else end - MONTH
        if start >= end:
            raise UnreadableDateError(f"from {self.start or 'then'} to {self.end or 'now'} is no time that passed")
        return start, end

    @property
    def number(self) -> int:
        """The page's number; what is no number is the first."""
        return max(1, int(self.page)) if self.page.isascii() and self.page.isdigit() and len(self.page) < 7 else 1

    def link(self, path: str, page: int) -> str:
        """Return the address of a page of the same question."""
        asked = {"from": self.start, "to": self.end, "page": str(page) if page > 1 else ""}
        query = urlencode({name: value for name, value in asked.items() if value})
        return f"{path}?{query}" if query else path


class NetView(msgspec.Struct, kw_only=True):
    """What became of one claim between the dates."""

    claim: str
    sentence: str
    before: str | None
    after: str | None
    page: str


class EventView(msgspec.Struct, kw_only=True):
    """One thing that changed."""

    at: str
    kind: str
    """`claim`, `state`, `document`, `note`, `register`."""
    subject: str
    name: str
    """How people call the subject: a claim's sentence, an item's name."""
    before: str | None
    after: str | None
    text: str
    entry: int | None
    """The log's entry that says so; null where time alone changed it."""
    lasted_s: int | None = None
    """Of a failure that ended: how long it lasted."""
    link: str | None = None


class ChangesView(msgspec.Struct, kw_only=True):
    """The difference of the page between two moments, from the log's entries alone."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    entries: int
    """How many entries of the log were read for it: the log's size."""
    complete: bool
    """False while older entries are still being read."""
    added: list[NetView]
    removed: list[NetView]
    reworded: list[NetView]
    moved: list[NetView]
    """Claims whose state is another."""
    opened: int
    """Failures and missed checks that began."""
    closed: int
    registers: int
    total: int
    page: int
    pages: int
    events: list[EventView]
    """Newest first."""


@dataclass(frozen=True, slots=True)
class Read:
    """How far the log was read."""

    size: int
    complete: bool


def changes(diary: Diary, ask: AskChanges, now: datetime, read: Read) -> ChangesView:
    """Return what changed between the dates that are asked for."""
    start, end = ask.span(now)
    events = diary.between(start, end)
    pages = max(1, -(-len(events) // PAGE))
    page = min(ask.number, pages)
    newest = events[::-1][(page - 1) * PAGE : page * PAGE]
    nets = list(_nets(diary, events, start, end))
    return ChangesView(
        start=stamp(start),
        end=stamp(end),
        entries=read.size,
        complete=read.complete,
        added=[net for kind, net in nets if kind == "added"],
        removed=[net for kind, net in nets if kind == "removed"],
        reworded=[net for kind, net in nets if kind == "reworded"],
        moved=[net for kind, net in nets if kind == "moved"],
        opened=sum(_opens(event) for event in events),
        closed=sum(_closes(event) for event in events),
        registers=sum(event.kind == "register" for event in events),
        total=len(events),
        page=page,
        pages=pages,
        events=[_event_view(diary, event) for event in newest],
    )


def _nets(diary: Diary, events: Iterable[Event], start: datetime, end: datetime) -> Iterable[tuple[str, NetView]]:
    """Yield what became of each claim that anything happened to."""
    for name in dict.fromkeys(event.subject for event in events if event.kind in {"claim", "state"}):
        told = diary.claims[name]
        was, now = diary.sentence_at(told, start), diary.sentence_at(told, end)
        kind = "added" if was is None else "removed" if now is None else "reworded"
        if was != now:
            yield kind, _net(name, now or was or "", was, now)
        states = diary.state_at(told, start), diary.state_at(told, end)
        if was is not None and now is not None and states[0] is not states[1]:
            yield "moved", _net(name, now, states[0], states[1])


def _net(name: str, sentence: str, before: str | None, after: str | None) -> NetView:
    return NetView(claim=name, sentence=sentence, before=before, after=after, page=f"/trust/claims/{name}")


def _event_view(diary: Diary, event: Event) -> EventView:
    told = diary.claims.get(event.subject)
    name, link = event.subject, None
    if told is not None:
        name, link = told.claim.sentence, f"/trust/claims/{event.subject}"
    elif event.kind == "register":
        name = event.after or event.before or event.subject
    return EventView(
        at=stamp(event.at),
        kind=event.kind,
        subject=event.subject,
        name=name,
        before=event.before,
        after=event.after,
        text=event.text,
        entry=event.index,
        lasted_s=_lasted(told, event) if told is not None and _closes(event) else None,
        link=link,
    )


def _opens(event: Event) -> bool:
    return event.kind == "state" and event.after in TROUBLE and event.before is not None and event.before not in TROUBLE


def _closes(event: Event) -> bool:
    return event.kind == "state" and event.before in TROUBLE and event.after not in TROUBLE


def _lasted(told: Told, event: Event) -> int | None:
    """Return for how many seconds it had been failing or stale when it ended."""
    began = None
    for at, state in reversed(told.states):
        if at >= event.at:
            continue
        if state not in TROUBLE:
            break
        began = at
    return None if began is None else int((event.at - began).total_seconds())


def _moment(text: str, *, whole_day: bool) -> datetime:
    try:
        if len(text) == len("2026-11-22"):
            begins = datetime.combine(date.fromisoformat(text), time(), UTC)
            return begins + DAY if whole_day else begins
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise UnreadableDateError(f"{text[:40]!r} is no date") from error
    if moment.tzinfo is None:
        raise UnreadableDateError(f"{text[:40]!r} has no time zone")
    return moment.astimezone(UTC)
