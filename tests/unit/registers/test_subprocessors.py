"""The thirty days' notice, to the microsecond; and what readers are told of each version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from heldtrue.capabilities.registers import subprocessors
from heldtrue.capabilities.registers.kinds import SUB_PROCESSORS
from heldtrue.capabilities.registers.model import Change, Entry
from heldtrue.capabilities.registers.subprocessors import (
    Basis,
    Event,
    NoNoticeError,
    NoticeRunningError,
    State,
    SubProcessor,
    Terms,
    TermsContradictError,
)
from heldtrue.kernel.ids import LeafId

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
LEAF = LeafId.new(NOON, bytes)
ANNOUNCED, ACTIVE = State.ANNOUNCED, State.ACTIVE


def terms(**changed: Any) -> Terms:
    given: dict[str, Any] = {
        "purpose": "hosting", "location": ["DE", "FR"], "transfer_basis": Basis.NONE, "data": ["names", "addresses"],
    }  # fmt: skip
    return Terms(**{**given, **changed})


def vendor(state: State = ANNOUNCED, **changed: Any) -> SubProcessor:
    given: dict[str, Any] = {"name": "Example Cloud", "address": "1 Street", "contact": "privacy@example.com"}
    return SubProcessor(**{**given, "state": state, "terms": terms(), **changed})


def entries(*made: tuple[datetime, SubProcessor, str | None]) -> list[Entry[SubProcessor]]:
    return [
        Entry(register="sub-processors", item="cloud", version=number, document=document, recorded_at=at,
              withdrawn=withdrawn, leaf=LEAF)
        for number, (at, document, withdrawn) in enumerate(made, start=1)
    ]  # fmt: skip


def judge(
    document: SubProcessor | None, now: datetime, *made: tuple[datetime, SubProcessor, str | None],
    opened: datetime | None = NOON - 100 * DAY,
) -> None:  # fmt: skip
    change = Change(item="cloud", document=document, history=entries(*made), now=now, opened_at=opened)
    SUB_PROCESSORS.guard(change)


def said(at: datetime, state: State = ANNOUNCED, withdrawn: str | None = None, **changed: Any) -> Any:
    return at, vendor(state, **changed), withdrawn


def test_day_29_is_refused_with_the_date_and_day_30_is_accepted() -> None:
    announced = said(NOON)
    for too_early in (NOON, NOON + 29 * DAY, NOON + 30 * DAY - TICK):
        with pytest.raises(NoticeRunningError, match=r"may be active from 2026-12-22T12:00:00Z"):
            judge(vendor(ACTIVE), too_early, announced)
    judge(vendor(ACTIVE), NOON + 30 * DAY, announced)


def test_what_was_never_announced_is_refused() -> None:
    with pytest.raises(NoNoticeError):
        judge(vendor(ACTIVE), NOON)


def test_what_the_register_is_opened_with_was_in_use_before() -> None:
    judge(vendor(ACTIVE), NOON, opened=None)
    judge(vendor(ACTIVE), NOON, opened=NOON)
    with pytest.raises(NoNoticeError):
        judge(vendor(ACTIVE), NOON, opened=NOON - TICK)


@pytest.mark.parametrize(
    "wider",
    [
        {"purpose": "analysis"},
        {"location": ["DE", "US"]},
        {"data": ["names", "health"]},
        {"transfer_basis": Basis.CLAUSES},
        {"optional": False},
    ],
    ids=["purpose", "location", "data", "transfer", "for-everybody"],
)
def test_every_widening_of_what_is_active_needs_a_notice_of_its_own(wider: dict[str, Any]) -> None:
    before = said(NOON - 90 * DAY, ACTIVE, terms=terms(optional=True))
    wanted = terms(**{"optional": True, **wider})
    with pytest.raises(NoNoticeError):
        judge(vendor(ACTIVE, terms=wanted), NOON, before)
    planned = said(NOON, ACTIVE, terms=terms(optional=True), planned=wanted)
    with pytest.raises(NoticeRunningError):
        judge(vendor(ACTIVE, terms=wanted), NOON + 30 * DAY - TICK, before, planned)
    judge(vendor(ACTIVE, terms=wanted), NOON + 30 * DAY, before, planned)


@pytest.mark.parametrize(
    "narrower",
    [{"location": ["DE"]}, {"data": ["names"]}, {"optional": True}],
    ids=["location", "data", "optional"],
)
def test_what_shrinks_needs_no_notice(narrower: dict[str, Any]) -> None:
    judge(vendor(ACTIVE, terms=terms(**narrower)), NOON, said(NOON - DAY, ACTIVE))


def test_removal_needs_no_notice() -> None:
    judge(None, NOON, said(NOON - DAY))


def test_another_company_under_the_same_name_of_item_needs_a_notice() -> None:
    with pytest.raises(NoNoticeError):
        judge(vendor(ACTIVE, name="Other Cloud"), NOON + 40 * DAY, said(NOON))


def test_an_address_may_be_corrected_at_once() -> None:
    judge(vendor(ACTIVE, address="2 Street"), NOON, said(NOON - DAY, ACTIVE))


def test_a_notice_that_was_broken_off_begins_anew() -> None:
    broken = (said(NOON), said(NOON + 10 * DAY, terms=terms(purpose="other")), said(NOON + 20 * DAY))
    with pytest.raises(NoticeRunningError, match="announced at 2026-12-12"):
        judge(vendor(ACTIVE), NOON + 31 * DAY, *broken)
    judge(vendor(ACTIVE), NOON + 50 * DAY, *broken)
    withdrawn = (said(NOON), said(NOON + DAY, withdrawn="no longer"))
    with pytest.raises(NoNoticeError):
        judge(vendor(ACTIVE), NOON + 31 * DAY, *withdrawn)


def test_a_correction_during_the_notice_does_not_begin_it_anew() -> None:
    judge(vendor(ACTIVE), NOON + 30 * DAY, said(NOON), said(NOON + 20 * DAY, address="2 Street"))


def test_a_microsecond_is_never_rounded_away() -> None:
    at = NOON + TICK
    with pytest.raises(NoticeRunningError, match=r"2026-12-22T12:00:00\.000001Z"):
        judge(vendor(ACTIVE), NOON + 30 * DAY, said(at))
    judge(vendor(ACTIVE), at + 30 * DAY, said(at))


def test_terms_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(TermsContradictError):
        judge(vendor(planned=terms(purpose="x")), NOON)
    with pytest.raises(TermsContradictError):
        judge(vendor(terms=terms(location=["DE", "DE"])), NOON)


def test_readers_are_told_of_what_changes_and_of_nothing_else() -> None:
    other = terms(purpose="analysis")
    told = subprocessors.notices(
        entries(
            said(NOON),
            said(NOON + DAY, address="2 Street"),
            said(NOON + 30 * DAY, ACTIVE),
            said(NOON + 40 * DAY, ACTIVE, planned=other),
            said(NOON + 70 * DAY, ACTIVE, terms=other),
            said(NOON + 80 * DAY, ACTIVE, terms=other, withdrawn="not used any more"),
            said(NOON + 90 * DAY, ACTIVE),
        )
    )
    assert [one.event for one in reversed(told)] == [
        Event.ANNOUNCED, Event.ACTIVE, Event.CHANGE_ANNOUNCED, Event.CHANGED, Event.REMOVED, Event.LISTED,
    ]  # fmt: skip
    assert [one.may_start_at for one in reversed(told)][:3] == [NOON + 30 * DAY, None, NOON + 70 * DAY]


def test_a_document_says_itself_what_it_is() -> None:
    written = SUB_PROCESSORS.write(vendor(ACTIVE, planned=terms(purpose="x")))
    assert SUB_PROCESSORS.read(msgspec.json.decode(msgspec.json.encode(written))) == vendor(
        ACTIVE, planned=terms(purpose="x")
    )
