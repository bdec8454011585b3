"""From a CVSS vector to score and severity: versions 3.1 and 4.0 (FIRST), base metrics and whatever else it names. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any

from cvss import CVSS3, CVSS4
from cvss.exceptions import CVSSError

from heldtrue.kernel.errors import BadInputError

LONGEST = 300


@unique
class Severity(StrEnum):
    """The qualitative severity of a score (CVSS 3.1, section 5; CVSS 4.0, section 6)."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"


RANK = {Severity.NONE: 0, Severity.LOW: 1, Severity.MEDIUM: 2, Severity.HIGH: 3, Severity.CRITICAL: 4}
"""To compare by."""


class NoVectorError(BadInputError):
    """The text is no CVSS vector of version 3.1 or 4.0; copy it whole, as `CVSS:4.0/AV:N/AC:L/…`."""

    code = "no-vector"


@dataclass(frozen=True, slots=True)
class Score:
    """What a vector says."""

    version: str
    vector: str
    """In the specification's order of metrics."""
    tenths: int
    """The base score times ten: 98 is 9.8."""
    severity: Severity

    @property
    def text(self) -> str:
        """The score with its decimal, as `9.8`."""
        return f"{self.tenths // 10}.{self.tenths % 10}"


def score(vector: str) -> Score:
    """Return what *vector* says; raise `NoVectorError` for anything that is not a vector of 3.1 or 4.0."""
    if len(vector) > LONGEST or not vector.isascii():
        raise NoVectorError
    kinds: dict[str, Any] = {"CVSS:3.1/": CVSS3, "CVSS:4.0/": CVSS4}
    kind = next((kinds[prefix] for prefix in kinds if vector.startswith(prefix)), None)
    if kind is None:
        raise NoVectorError("Only CVSS 3.1 and 4.0 are taken.")
    try:
        found = kind(vector)
    except CVSSError as error:
        raise NoVectorError(f"{error}") from error
    tenths = round(float(found.base_score) * 10)
    return Score(vector[5:8], str(found.clean_vector()), tenths, severity_of(tenths))


def severity_of(tenths: int) -> Severity:
    """Return the severity of a score, given times ten; both versions have the same scale."""
    if tenths >= 90:
        return Severity.CRITICAL
    if tenths >= 70:
        return Severity.HIGH
    if tenths >= 40:
        return Severity.MEDIUM
    return Severity.LOW if tenths >= 1 else Severity.NONE
