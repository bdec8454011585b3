"""The gate: whether what is known of a change lets it through, and if not, what blocks it and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

import msgspec

from heldtrue.capabilities.disclosure.scoring import RANK, Severity
from heldtrue.capabilities.evidence.model import Found, Kind, Reading
from heldtrue.capabilities.evidence.policy import GatePolicy


@unique
class Why(StrEnum):
    """Why something blocks."""

    FINDING = "finding"
    OVERDUE = "overdue"
    MISSING = "missing"
    EXPIRED = "expired"
    FAILED = "failed"
    UNREADABLE = "unreadable"


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that blocks."""

    why: Why
    what: str
    severity: Severity | None = None
    rule: str | None = None
    place: str | None = None


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says."""

    open: bool
    """True lets the change through."""
    blocks: list[Block]
    findings: int
    """All there are, those that do not block too."""
    excused: int
    threshold: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of evidence before the gate, with what makes it hold no longer."""

    reading: Reading
    expires_at: datetime


def expiry(policy: GatePolicy, reading: Reading, received: datetime) -> datetime:
    """Return until when a piece of evidence holds: from its making, or its arrival where it does not say."""
    return (reading.made_at or received) + policy.valid_days.of(reading.kind)


def judge(policy: GatePolicy, pieces: Sequence[Piece], now: datetime) -> GateResult:
    """Return whether *pieces* let a change through: none failed, none expired, none missing, nothing grave found."""
    blocks = list(_missing(policy, {piece.reading.kind for piece in pieces}))
    for piece in pieces:
        kind = piece.reading.kind
        if piece.expires_at <= now:
            blocks.append(Block(why=Why.EXPIRED, what=f"{kind}: expired at {piece.expires_at:%Y-%m-%d %H:%M} UTC"))
        if piece.reading.failed:
            blocks.append(Block(why=Why.FAILED, what=f"{kind}: {piece.reading.failed}"))
    found, excused = remaining(policy, [piece.reading for piece in pieces], now)
    blocks += [finding_block(one) for one in found if policy.blocks(one.severity)]
    return result(policy, blocks, len(found), excused, now)


def remaining(policy: GatePolicy, readings: Iterable[Reading], now: datetime) -> tuple[list[Found], int]:
    """Return the findings that neither a VEX document nor a running excuse sets aside, and how many are set aside."""
    all_of = list(readings)
    by_vex = frozenset(rule for reading in all_of for rule in reading.excused)
    left: dict[tuple[str, str], Found] = {}
    aside = 0
    for one in (one for reading in all_of for one in reading.found):
        if one.rule in by_vex or _excused(policy, one, now):
            aside += 1
            continue
        known = left.get((one.rule, one.place))
        if known is None or RANK[known.severity] < RANK[one.severity]:
            left[one.rule, one.place] = one
    return sorted(left.values(), key=lambda one: (-RANK[one.severity], one.rule, one.place)), aside


def finding_block(one: Found) -> Block:
    """Return *one* as something that blocks."""
    return Block(why=Why.FINDING, what=one.title, severity=one.severity, rule=one.rule, place=one.place)


def result(policy: GatePolicy, blocks: list[Block], found: int, excused: int, now: datetime) -> GateResult:
    """Return the gate's word."""
    return GateResult(
        open=not blocks, blocks=blocks, findings=found, excused=excused, threshold=policy.threshold, at=now
    )  # fmt: skip


def _missing(policy: GatePolicy, there: Iterable[Kind]) -> Iterable[Block]:
    have = set(there)
    for name in policy.required:
        if Kind(name) not in have:
            yield Block(why=Why.MISSING, what=f"{name}: there is none")


def _excused(policy: GatePolicy, one: Found, now: datetime) -> bool:
    return any(
        excuse.rule == one.rule and excuse.place in {None, one.place} and now.date() <= excuse.expires
        for excuse in policy.excuses
    )
