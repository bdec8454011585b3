"""What a claim is, what is known of its attacks, and what follows: all pure, all passed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

from heldtrue.attack import Outcome, Place
from heldtrue.capabilities.attestations.model import Annotation, Document

__all__ = ["Against", "Annotation", "Claim", "Document", "Episode", "EvidenceClass", "Run", "State"]


@unique
class State(StrEnum):
    """Where a claim stands; computed, never written by hand."""

    PROVEN = "proven"
    """Attacked within its maximum age, and held; each attack has been seen to succeed against a broken control."""
    FAILING = "failing"
    """The latest run of an attack did not hold."""
    STALE = "stale"
    """Not attacked in time, or by an attack that is not trusted yet: a missed check is a failure."""
    ATTESTED = "attested"
    """No machine can prove it; a dated, hashed, expiring document with a named owner says so."""
    PROMISED = "promised"
    """Not built yet."""


@unique
class EvidenceClass(StrEnum):
    """Who stands behind the evidence."""

    MACHINE = "machine"
    HUMAN = "human"
    THIRD_PARTY = "third party"


@unique
class Against(StrEnum):
    """What a run was aimed at."""

    CONTROL = "control"
    BROKEN = "broken-control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A published sentence and what would show it false."""

    id: str
    rows: tuple[str, ...]
    """The rows of the index that this claim answers, as `A1`."""
    group: str
    sentence: str
    scope: str
    attacks: tuple[str, ...] = ()
    cadence: timedelta = timedelta()
    max_age: timedelta = timedelta()
    evidence: EvidenceClass = EvidenceClass.MACHINE
    frameworks: tuple[str, ...] = ()
    """Control identifiers only: `SOC 2 CC6.7`, `ISO 27001:2022 A.8.24`."""
    document: Document | None = None
    """Of an instance that files none: the one of the catalogue. What the log says of it comes first."""
    promised: str = ""
    """Why it is only promised, where nothing stands behind it: what is still missing."""
    own: bool = False
    """The operator's own, from a package or a posture file; the others ship."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished run of an attack, as the log has it."""

    attack: str
    number: int
    against: Against
    place: Place
    outcome: Outcome
    source_sha256: str
    started_at: datetime
    finished_at: datetime
    result: str
    coverage: Mapping[str, int]
    index: int
    """Of the evidence's entry in the log."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which an attack succeeded, could not run, or was overdue; shown with its duration, never hidden."""

    kind: State
    """`failing` or `stale`."""
    attack: str
    started_at: datetime
    ended_at: datetime | None
    number: int | None
    """The run that opened it; None for an overdue check."""
    reason: str

    def duration(self, now: datetime) -> timedelta:
        """Return how long it lasted, or has lasted at *now*."""
        return (self.ended_at or now) - self.started_at
