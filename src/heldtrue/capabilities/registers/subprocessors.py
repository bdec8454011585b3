"""Sub-processors: who else works on customers' data, on what terms, and the 30 days' notice before they may. Pure.

Terms are announced by recording them, and the notice runs from the moment of that entry, not from a date that anybody
typed. They may be active from exactly 30 times 24 hours later: a microsecond before is refused. What is in force may
shrink without notice (fewer data, fewer places, made optional, withdrawn altogether); everything else is a new notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from heldtrue.capabilities.registers.fields import Country, Host, Line, Link, Mail
from heldtrue.capabilities.registers.model import Change, Entry
from heldtrue.kernel.errors import BadInputError, ConflictError

NOTICE = timedelta(days=30)
"""From the entry that announces to the moment from which what it announces may be active."""


class NoticeRunningError(ConflictError):
    """The notice of 30 days has not run; activate it at the moment that the message names, or later."""

    code = "notice-running"


class NoNoticeError(ConflictError):
    """Nothing like this was announced; record it as announced, or as planned, and activate it 30 days later."""

    code = "no-notice"


class TermsContradictError(BadInputError):
    """The sub-processor's terms contradict themselves; the message says where."""

    code = "terms-contradict"


class State(StrEnum):
    """Whether it works on data, or is going to."""

    ANNOUNCED = "announced"
    ACTIVE = "active"


class Basis(StrEnum):
    """On what a transfer to a third country rests (GDPR, chapter V)."""

    NONE = "no-transfer"
    ADEQUACY = "adequacy-decision"
    CLAUSES = "standard-contractual-clauses"
    RULES = "binding-corporate-rules"


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What it does with which data, where: any widening of it needs a notice."""

    purpose: Line
    location: Annotated[list[Country], msgspec.Meta(min_length=1, max_length=60)]
    """Countries in which data is processed, ISO 3166-1 alpha-2."""
    transfer_basis: Basis
    data: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=40)]
    """Categories of personal data, in words."""
    optional: bool = False
    """Whether it gets nothing of an organisation that has not opted in."""


class SubProcessor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A company that processes customers' data for the operator."""

    name: Line
    address: Line
    contact: Mail
    state: State
    terms: Terms
    """In force while active, announced while announced."""
    planned: Terms | None = None
    """Other terms that are announced for one that is active."""
    hosts: Annotated[list[Host], msgspec.Meta(max_length=100)] = []
    """Hosts that this instance calls there; `*.example.com` stands for every name below."""
    website: Link | None = None
    review_by: date | None = None
    """When the operator looks at it again; in the calendar."""


class Event(StrEnum):
    """What readers and subscribers are told of."""

    LISTED = "listed"
    ANNOUNCED = "announced"
    CHANGE_ANNOUNCED = "change-announced"
    ACTIVE = "active"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that readers are told, as it stands in the log."""

    item: str
    version: int
    name: str
    event: Event
    at: datetime
    terms: Terms
    reason: str | None = None
    """Why it was removed."""

    @property
    def may_start_at(self) -> datetime | None:
        """The moment from which what is announced may be active."""
        return self.at + NOTICE if self.event in {Event.ANNOUNCED, Event.CHANGE_ANNOUNCED} else None


def judge(change: Change[SubProcessor]) -> None:
    """Return when the change may be made; raise `NoticeRunningError` or `NoNoticeError` for an early activation.

    What the register is opened with, in one import, was in use before and needs no notice. Removal needs none.
    """
    wanted = change.document
    if wanted is None:
        return
    _judge_sense(wanted)
    if wanted.state is not State.ACTIVE or change.opened_at is None or change.opened_at == change.now:
        return
    before = None if change.before is None else change.before.document
    if before is not None and before.state is State.ACTIVE and _within(before.name, before.terms, wanted):
        return
    since = announced_since(change.history, wanted)
    if since is None:
        raise NoNoticeError(
            f"{change.item} was not announced on these terms.",
            advice=f"Record them as announced; they may be active {NOTICE.days} days later.",
        )
    if change.now < since + NOTICE:
        raise NoticeRunningError(
            f"{change.item} was announced at {shown(since)}; it may be active from {shown(since + NOTICE)}.",
            advice="Activate it then. A notice cannot be shortened.",
        )


def announced_since(history: Sequence[Entry[SubProcessor]], wanted: SubProcessor) -> datetime | None:
    """Return since when the terms of *wanted* have been announced without a break up to now; None: they are not."""
    since = None
    for entry in reversed(history):
        said = _announced(entry)
        if said is None or not _within(entry.document.name, said, wanted):
            break
        since = entry.recorded_at
    return since


def may_start_at(history: Sequence[Entry[SubProcessor]]) -> datetime | None:
    """Return from when what the newest version announces may be active; None where it announces nothing."""
    if not history:
        return None
    newest = history[-1]
    said = _announced(newest)
    if said is None:
        return None
    since = announced_since(history, msgspec.structs.replace(newest.document, terms=said))
    return None if since is None else since + NOTICE


def notices(entries: Iterable[Entry[SubProcessor]]) -> list[Notice]:
    """Return what readers are told of every version of every item (*entries*, the oldest first), the newest first."""
    before: dict[str, Entry[SubProcessor]] = {}
    told: list[Notice] = []
    for entry in sorted(entries, key=lambda one: (one.recorded_at, one.item, one.version)):
        past = before.get(entry.item)
        found = _event(None if past is None or past.withdrawn is not None else past.document, entry)
        before[entry.item] = entry
        if found is not None:
            event, terms = found
            told.append(_notice(entry, event, terms))
    return told[::-1]


def _notice(entry: Entry[SubProcessor], event: Event, terms: Terms) -> Notice:
    return Notice(
        item=entry.item, version=entry.version, name=entry.document.name, event=event, at=entry.recorded_at,
        terms=terms, reason=entry.withdrawn,
    )  # fmt: skip


def _event(past: SubProcessor | None, entry: Entry[SubProcessor]) -> tuple[Event, Terms] | None:
    new = entry.document
    if entry.withdrawn is not None:
        return Event.REMOVED, new.terms
    if past is None:
        return (Event.LISTED if new.state is State.ACTIVE else Event.ANNOUNCED), new.terms
    if new.planned is not None and new.planned != past.planned:
        return Event.CHANGE_ANNOUNCED, new.planned
    if new.state is not past.state:
        return (Event.ACTIVE if new.state is State.ACTIVE else Event.ANNOUNCED), new.terms
    if new.terms != past.terms or new.name != past.name:
        return (Event.CHANGED if new.state is State.ACTIVE else Event.ANNOUNCED), new.terms
    return None


def _announced(entry: Entry[SubProcessor]) -> Terms | None:
    """Return the terms that a version announces."""
    if entry.withdrawn is not None:
        return None
    return entry.document.terms if entry.document.state is State.ANNOUNCED else entry.document.planned


def _within(name: str, said: Terms, wanted: SubProcessor) -> bool:
    """Return whether what is *wanted* lies within what was *said*: the same, or less."""
    new = wanted.terms
    return (
        wanted.name == name
        and new.purpose == said.purpose
        and new.transfer_basis is said.transfer_basis
        and set(new.location) <= set(said.location)
        and set(new.data) <= set(said.data)
        and (new.optional or not said.optional)
    )


def _judge_sense(wanted: SubProcessor) -> None:
    if wanted.planned is not None and wanted.state is State.ANNOUNCED:
        raise TermsContradictError("planned: only what is active has other terms planned; change `terms` instead.")
    for terms in filter(None, (wanted.terms, wanted.planned)):
        if len(set(terms.location)) < len(terms.location) or len(set(terms.data)) < len(terms.data):
            raise TermsContradictError("A place or a category of data stands there twice; name it once.")


def shown(at: datetime) -> str:
    """Return a moment to the microsecond where it has any, so that nobody is told to come too early."""
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{at.microsecond:06d}Z" if at.microsecond else "Z")
