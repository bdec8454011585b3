"""Evidence and findings as every reader gives them, whatever format they came in. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum, unique
from types import MappingProxyType

from heldtrue.capabilities.disclosure.scoring import Severity, severity_of
from heldtrue.kernel.errors import BadInputError, ConflictError, DeniedError, NotFoundError

MOST_BYTES = 8 * 1024 * 1024
"""Of one envelope."""
MOST_FINDINGS = 5_000
"""Of one document."""
SKEW = timedelta(minutes=5)
"""By how much a pipeline's clock may be ahead of ours."""


@unique
class Kind(StrEnum):
    """What a piece of evidence is."""

    SARIF = "sarif"
    SBOM = "sbom"
    VEX = "vex"
    TESTS = "tests"
    REVIEW = "review"
    LETTER = "letter"
    ASFF = "asff"
    SCC = "scc"
    DEFENDER = "defender"
    ADVISORIES = "advisories"
    """Not pushed: findings of matching the newest bill of materials against published advisories."""


PUSHED = tuple(kind for kind in Kind if kind is not Kind.ADVISORIES)
WITH_FINDINGS = frozenset({Kind.SARIF, Kind.SBOM, Kind.VEX, Kind.ASFF, Kind.SCC, Kind.DEFENDER, Kind.ADVISORIES})
PREDICATES: MappingProxyType[Kind, str] = MappingProxyType(
    {
        Kind.SARIF: "https://docs.oasis-open.org/sarif/sarif/v2.1.0",
        Kind.SBOM: "https://cyclonedx.org/bom",
        Kind.VEX: "https://cyclonedx.org/vex",
        Kind.TESTS: "https://in-toto.io/attestation/test-result/v0.1",
        Kind.REVIEW: "https://in-toto.io/attestation/human-review/v0.1",
        Kind.LETTER: "urn:heldtrue:evidence:letter:v1",
        Kind.ASFF: "urn:heldtrue:evidence:asff:v1",
        Kind.SCC: "urn:heldtrue:evidence:scc:v1",
        Kind.DEFENDER: "urn:heldtrue:evidence:defender:v1",
    }
)
"""The `predicateType` under which each kind is signed; a document signed as one kind is never read as another."""
KINDS = MappingProxyType({predicate: kind for kind, predicate in PREDICATES.items()})


class UnreadableEvidenceError(BadInputError):
    """The document is not of its kind, or not of the version that is read; the message says where."""

    code = "unreadable-evidence"


class UnsignedEvidenceError(DeniedError):
    """No registered pipeline key signed these bytes; sign the payload with the key that was registered for it."""

    code = "unsigned-evidence"


class PostdatedEvidenceError(BadInputError):
    """The evidence says that it was made in the future; correct the pipeline's clock and make it again."""

    code = "postdated-evidence"


class StaleEvidenceError(BadInputError):
    """The evidence is older than evidence of its kind is taken; run the check again and push what came of it."""

    code = "stale-evidence"


class UnknownFindingError(NotFoundError):
    """There is no such finding; `heldtrue findings list` names those there are."""

    code = "unknown-finding"


class FindingClosedError(ConflictError):
    """The finding is resolved; it opens again by itself when it is found again."""

    code = "finding-closed"


@dataclass(frozen=True, slots=True)
class Found:
    """One finding, as read."""

    rule: str
    severity: Severity
    title: str
    place: str

    def fingerprint(self, kind: Kind) -> bytes:
        """Return what makes it the same finding in the next document."""
        return hashlib.sha256("\0".join((kind, self.rule, self.place)).encode()).digest()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document says."""

    kind: Kind
    summary: dict[str, int | str] = field(default_factory=dict[str, int | str])
    """Counts and closed words only: it is published in the log."""
    found: tuple[Found, ...] = ()
    made_at: datetime | None = None
    """When the document says that it was made."""
    failed: str = ""
    """Why the document itself says no, as tests that failed; empty where it does not."""
    tools: tuple[str, ...] = ("",)
    """Whose findings this document lists all of: those of these tools that it does not list are gone."""
    excused: frozenset[str] = frozenset()
    """Rules (vulnerabilities) that a VEX document says do not apply."""


def counted(found: tuple[Found, ...]) -> dict[str, int | str]:
    """Return how many findings there are by severity."""
    return {severity.value: sum(one.severity is severity for one in found) for severity in Severity}


def severity_of_score(text: object) -> Severity | None:
    """Return the severity of a score from 0 to 10 in text or as a number; None where it is none."""
    try:
        tenths = round(float(str(text)) * 10)
    except ValueError:
        return None
    return severity_of(tenths) if 0 <= tenths <= 100 else None


def severity_named(word: object) -> Severity:
    """Return the severity that a tool calls *word*; what is not understood counts as critical, not as nothing."""
    known = {
        "critical": Severity.CRITICAL, "high": Severity.HIGH, "medium": Severity.MEDIUM, "moderate": Severity.MEDIUM,
        "low": Severity.LOW, "info": Severity.NONE, "informational": Severity.NONE, "none": Severity.NONE,
    }  # fmt: skip
    return known.get(str(word).strip().lower(), Severity.CRITICAL)
