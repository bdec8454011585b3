"""Runs, claims and attacks for tests, in few words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from heldtrue.attack import Outcome, Place
from heldtrue.claims.model import Against, Claim, Run
from heldtrue.claims.record import Record

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SOURCE = "a" * 64


def a_claim(*attacks: str, max_age: timedelta = HOUR) -> Claim:
    return Claim(
        id="group.claim",
        rows=("A1",),
        group="Group",
        sentence="Something holds.",
        scope="Everything.",
        attacks=attacks,
        cadence=max_age / 2 if attacks else timedelta(),
        max_age=max_age if attacks else timedelta(),
    )


def a_run(
    at: datetime,
    outcome: Outcome = Outcome.HELD,
    *,
    number: int = 1,
    against: Against = Against.CONTROL,
    source: str = SOURCE,
    attack: str = "group.attack",
) -> Run:
    return Run(
        attack=attack,
        number=number,
        against=against,
        place=Place.OBSERVE,
        outcome=outcome,
        source_sha256=source,
        started_at=at - timedelta(seconds=1),
        finished_at=at,
        result=f"It {outcome}.",
        coverage={"probes": 3},
        index=number,
    )


def a_record(*runs: Run, attack: str = "group.attack", max_age: timedelta = HOUR, trusted: bool = True) -> Record:
    record = Record(attack, max_age)
    if trusted:
        seen = a_run(NOON - 30 * DAY, Outcome.BROKEN, against=Against.BROKEN, attack=attack)
        record.fold(seen)
    for run in runs:
        record.fold(run)
    return record
