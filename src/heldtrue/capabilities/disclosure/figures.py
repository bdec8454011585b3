"""How fast reports are answered, and whether they are: counted from the records, never written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

import msgspec

from heldtrue.capabilities.clocks.calendar import business_hours_between, zone_named
from heldtrue.capabilities.disclosure import store
from heldtrue.capabilities.disclosure.model import Report, State
from heldtrue.db.tx import SystemTx

WINDOW = timedelta(days=365)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the reports of the last 365 days, and of any older one that still waits."""

    received: int
    acknowledged_in_time: int
    acknowledged_late: int
    waiting: int
    """Not acknowledged yet, with time left."""
    overdue: int
    """Not acknowledged, and the time is over."""
    confirmed: int
    fixed: int
    rewarded: int
    median_business_minutes: int | None
    """From arrival to acknowledgement, in business time; null before the first one."""


def figures(reports: Sequence[Report], now: datetime) -> Figures:
    """Return the figures of *reports* at *now*."""
    acknowledged = [one for one in reports if one.acknowledged_at is not None]
    overdue = sum(one.overdue(now) for one in reports)
    return Figures(
        received=len(reports),
        acknowledged_in_time=sum(not one.late() for one in acknowledged),
        acknowledged_late=sum(one.late() for one in acknowledged),
        waiting=len(reports) - len(acknowledged) - overdue,
        overdue=overdue,
        confirmed=sum(one.state in {State.CONFIRMED, State.FIXED, State.DISCLOSED} for one in reports),
        fixed=sum(one.state in {State.FIXED, State.DISCLOSED} for one in reports),
        rewarded=sum(one.award_cents is not None for one in reports),
        median_business_minutes=round(median(_minutes(one) for one in acknowledged)) if acknowledged else None,
    )


def standing(tx: SystemTx, now: datetime) -> Figures:
    """Return the figures of this instance at *now*; page, metric and claim are made of these."""
    return figures(store.since(tx, now - WINDOW), now)


def _minutes(report: Report) -> float:
    taken = business_hours_between(
        report.received_at, report.acknowledged_at or report.received_at, country=report.calendar,
        zone=zone_named(report.zone),
    )  # fmt: skip
    return taken / timedelta(minutes=1)
