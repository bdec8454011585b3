"""The entries that claims leave in the log: schedule, intent and evidence, in clear, in the narrow JSON profile.

ASCII names, no floats, times as RFC 3339 in UTC with milliseconds. The separate verifier reads exactly these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from heldtrue.attack import Attack, Outcome, Place
from heldtrue.claims.model import Against, Claim, Run

VERSION = 1
RESULT_LENGTH = 600
"""Characters of a finding's sentence that are kept."""


def stamp(at: datetime) -> str:
    """Return *at* as RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_stamp(text: str) -> datetime:
    """Return the time that `stamp` wrote."""
    return datetime.fromisoformat(text)


def schedule(claim: Claim, attacks: Mapping[str, Attack], now: datetime) -> dict[str, Any]:
    """Return what is promised to be checked, how, and how often."""
    return {
        "v": VERSION,
        "kind": "schedule",
        "claim": claim.id,
        "rows": list(claim.rows),
        "sentence": claim.sentence,
        "scope": claim.scope,
        "place": sorted({str(attacks[name].place) for name in claim.attacks}),
        "attacks": list(claim.attacks),
        "cadence_s": int(claim.cadence.total_seconds()),
        "max_age_s": int(claim.max_age.total_seconds()),
        "at": stamp(now),
    }


def intent(attack: Attack, number: int, against: Against, place: Place, now: datetime) -> dict[str, Any]:
    """Return what is about to be tried; it enters the log before the attack starts."""
    return {
        "v": VERSION,
        "kind": "intent",
        "attack": attack.name,
        "number": number,
        "against": str(against),
        "place": str(place),
        "at": stamp(now),
    }


def evidence(
    *,
    attack: str,
    source_sha256: str,
    number: int,
    against: Against,
    place: Place,
    outcome: Outcome,
    subject: str,
    coverage: Mapping[str, int],
    originator: str,
    executor: str,
    started_at: datetime,
    finished_at: datetime,
    result: str,
) -> dict[str, Any]:
    """Return what came of a run, still unsigned."""
    return {
        "v": VERSION,
        "kind": "evidence",
        "attack": attack,
        "number": number,
        "against": str(against),
        "place": str(place),
        "outcome": str(outcome),
        "method": {"name": attack, "source_sha256": source_sha256},
        "subject": subject,
        "coverage": {name: int(count) for name, count in sorted(coverage.items())},
        "originator": originator,
        "executor": executor,
        "started_at": stamp(started_at),
        "finished_at": stamp(finished_at),
        "result": result[:RESULT_LENGTH],
    }


def run_of(document: Mapping[str, Any], index: int) -> Run:
    """Return the run that an evidence document tells of."""
    return Run(
        attack=document["attack"],
        number=document["number"],
        against=Against(document["against"]),
        place=Place(document["place"]),
        outcome=Outcome(document["outcome"]),
        source_sha256=document["method"]["source_sha256"],
        started_at=parse_stamp(document["started_at"]),
        finished_at=parse_stamp(document["finished_at"]),
        result=document["result"],
        coverage=dict(document["coverage"]),
        index=index,
    )


def same_schedule(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two schedules promise the same, whenever they were written."""
    return {**one, "at": ""} == {**other, "at": ""}


def names(claims: Sequence[Claim]) -> list[str]:
    """Return the attacks that these claims need, each once, in order."""
    return list(dict.fromkeys(name for claim in claims for name in claim.attacks))
