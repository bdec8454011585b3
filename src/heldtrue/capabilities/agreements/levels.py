"""Service levels as one table of data: targets by plan, what counts as downtime, what is credited. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec

from heldtrue.capabilities.papers.model import Block, Bullets, Column, Heading, Table, Text
from heldtrue.kernel.errors import BadInputError

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
Share = Annotated[int, msgspec.Meta(ge=0, le=10_000, description="Hundredths of a percent: 9990 is 99.9%.")]
Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]
Count = Annotated[int, msgspec.Meta(ge=1, le=365)]


class LevelsContradictError(BadInputError):
    """The service levels contradict themselves; the message says where."""

    code = "levels-contradict"


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A plan: it has a target, or it is best effort; never both."""

    name: Name
    target: Share | None = None
    best_effort: bool = False


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A credit and the availability below which it is due."""

    below: Share | None = None
    """None: below the plan's own target."""
    percent: Percent
    """Of the month's fee."""


class Levels(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that the service levels promise."""

    plans: Annotated[list[Plan], msgspec.Meta(min_length=1, max_length=12)]
    credits: Annotated[list[Band], msgspec.Meta(min_length=1, max_length=8)]
    cap_percent: Percent = 50
    error_percent: Percent = 5
    """Share of server errors above which a minute counts."""
    minutes: Count = 5
    """Consecutive minutes from which it is downtime."""
    notice_hours: Count = 48
    """Before maintenance that is excluded."""
    claim_days: Count = 30
    answer_business_days: Count = 10


DEFAULT = Levels(
    plans=[Plan(name="Enterprise", target=9990), Plan(name="Team", target=9950), Plan(name="Free", best_effort=True)],
    credits=[Band(percent=10), Band(below=9900, percent=25), Band(below=9500, percent=50)],
)
"""What the starter text says."""


def judge(levels: Levels) -> None:
    """Return when *levels* can be promised; raise `LevelsContradictError` otherwise."""
    names = [plan.name for plan in levels.plans]
    if len(set(names)) != len(names):
        raise LevelsContradictError("A plan stands there twice.")
    for plan in levels.plans:
        if (plan.target is None) != plan.best_effort:
            raise LevelsContradictError(f"{plan.name} has a target or is best effort: one of them, not both.")
    bands = levels.credits
    if any(band.below is None for band in bands[1:]):
        raise LevelsContradictError("Only the first credit may begin at the plan's own target; the others name theirs.")
    limits = [band.below for band in bands if band.below is not None]
    lowest = min((plan.target for plan in levels.plans if plan.target is not None), default=10_000)
    if limits != sorted(set(limits), reverse=True) or any(limit > lowest for limit in limits):
        raise LevelsContradictError("The thresholds of the credits fall from band to band, below every plan's target.")
    shares = [band.percent for band in bands]
    if shares != sorted(set(shares)):
        raise LevelsContradictError("Each lower band credits more than the one above it.")
    if max(shares) > levels.cap_percent:
        raise LevelsContradictError(f"A credit of {max(shares)}% is over the cap of {levels.cap_percent}%.")


def share(value: int) -> str:
    """Return hundredths of a percent as they are said: 9990 is `99.9%`."""
    return f"{value // 100}.{value % 100:02d}".rstrip("0").rstrip(".") + "%"


def sentences(levels: Levels) -> dict[str, str]:
    """Return what the levels say, a sentence or two each, by name."""
    plans = "; ".join(f"{plan.name}: {_target(plan)}" for plan in levels.plans)
    credited = "; ".join(f"{band.percent}% of the month's fee {_below(band)}" for band in levels.credits)
    return {
        "targets": f"Availability in a calendar month. {plans}.",
        "downtime": f"Downtime is a period of {levels.minutes} or more consecutive minutes in each of which more than "
        f"{levels.error_percent}% of requests to healthy regions are answered with a server error.",
        "credits": f"{credited}. All credits of a month together are at most {levels.cap_percent}% of its fee.",
        "exclusions": f"Maintenance announced at least {levels.notice_hours} hours before, the customer's own "
        "systems and settings, suspension for breach, and events outside reasonable control are not downtime.",
        "claims": f"A credit is claimed in writing within {levels.claim_days} days after the month's end, and the "
        f"claim is answered within {levels.answer_business_days} business days.",
    }


def blocks(levels: Levels) -> list[Block]:
    """Return the service levels as part of a document."""
    said = sentences(levels)
    return [
        Heading("Targets"),
        Text("Availability is the share of the minutes of a calendar month, in UTC, that are not downtime."),
        Table([Column("Plan", 2), Column("Target", 2), Column("Credits", 3)],
              [[plan.name, _target(plan), "none" if plan.best_effort else "as below"] for plan in levels.plans]),
        Heading("Downtime"), Text(said["downtime"]),
        Heading("Credits"),
        Table([Column("Availability in the month", 3), Column("Credit, of the month's fee", 2)],
              [[_band(levels, at), f"{band.percent}%"] for at, band in enumerate(levels.credits)]),
        Text(f"All credits of a month together are at most {levels.cap_percent}% of its fee. Plans that are best "
             "effort have no credits. Credits are set against the next invoice."),
        Heading("What does not count"),
        Bullets([
            f"maintenance that was announced at least {levels.notice_hours} hours before it begins;",
            "what the customer's own systems, credentials or settings cause;",
            "a suspension that the agreement allows;",
            "events outside reasonable control.",
        ]),
        Heading("Claims"), Text(said["claims"]),
    ]  # fmt: skip


def _target(plan: Plan) -> str:
    return "best effort" if plan.target is None else share(plan.target)


def _below(band: Band) -> str:
    return "below the plan's target" if band.below is None else f"below {share(band.below)}"


def _band(levels: Levels, at: int) -> str:
    band = levels.credits[at]
    top = "below the plan's target" if band.below is None else f"below {share(band.below)}"
    after = levels.credits[at + 1].below if at + 1 < len(levels.credits) else None
    return top if after is None else f"{top}, at least {share(after)}"
