"""CycloneDX 1.6: components, vulnerabilities, and what a VEX document says of them (ECMA-424)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from heldtrue.capabilities.disclosure.scoring import RANK, Severity
from heldtrue.capabilities.evidence.model import (
    Found,
    Kind,
    Reading,
    UnreadableEvidenceError,
    counted,
    severity_named,
    severity_of_score,
)
from heldtrue.capabilities.evidence.readers.shape import bounded, moment, shaped

EXCUSED = frozenset({"not_affected", "false_positive", "resolved", "resolved_with_pedigree"})
"""Analysis states that close a vulnerability, when a justification or a detail says why."""


class _Component(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    version: str = ""
    purl: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    ref: str = msgspec.field(name="bom-ref", default="")
    components: list[_Component] = []


class _Rating(msgspec.Struct):
    score: float | None = None
    severity: str | None = None


class _Analysis(msgspec.Struct):
    state: str = ""
    justification: str = ""
    detail: str = ""


class _Affects(msgspec.Struct):
    ref: str = ""


class _Vulnerability(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    ratings: list[_Rating] = []
    analysis: _Analysis = msgspec.field(default_factory=_Analysis)
    affects: list[_Affects] = []
    description: str = ""


class _Metadata(msgspec.Struct):
    timestamp: str | None = None


class _Bom(msgspec.Struct):
    format: Literal["CycloneDX"] = msgspec.field(name="bomFormat")
    version: Literal["1.6"] = msgspec.field(name="specVersion")
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    components: list[_Component] = []
    vulnerabilities: list[_Vulnerability] = []


@dataclass(frozen=True, slots=True)
class Component:
    """A component of a release."""

    name: str
    version: str
    purl: str


def read_sbom(document: Any) -> Reading:
    """Return what a bill of materials says; one without components says nothing, and is refused."""
    bom = shaped(document, _Bom, "CycloneDX 1.6 document")
    listed = components(document)
    if not listed:
        raise UnreadableEvidenceError("This bill of materials has no components.")
    found = bounded([one for each in bom.vulnerabilities if not _excused(each) for one in _found(each)])
    return Reading(
        Kind.SBOM, {"components": len(listed), **counted(found)}, found, moment(bom.metadata.timestamp),
        excused=frozenset(each.id for each in bom.vulnerabilities if _excused(each)),
    )  # fmt: skip


def read_vex(document: Any) -> Reading:
    """Return what a VEX document says: which vulnerabilities do not apply, and which do."""
    bom = shaped(document, _Bom, "CycloneDX 1.6 document")
    if not bom.vulnerabilities:
        raise UnreadableEvidenceError("This VEX document names no vulnerability.")
    found = bounded([one for each in bom.vulnerabilities if not _excused(each) for one in _found(each)])
    excused = frozenset(each.id for each in bom.vulnerabilities if _excused(each))
    summary: dict[str, int | str] = {"excused": len(excused), **counted(found)}
    return Reading(Kind.VEX, summary, found, moment(bom.metadata.timestamp), excused=excused)


def components(document: Any) -> list[Component]:
    """Return every component of a bill of materials, nested ones too."""
    waiting = list(shaped(document, _Bom, "CycloneDX 1.6 document").components)
    listed: list[Component] = []
    while waiting:
        one = waiting.pop()
        listed.append(Component(one.name, one.version, one.purl))
        waiting += one.components
    return listed


def _excused(one: _Vulnerability) -> bool:
    told = one.analysis.justification.strip() or one.analysis.detail.strip()
    return one.analysis.state in EXCUSED and bool(told)


def _found(one: _Vulnerability) -> list[Found]:
    severity = max((_severity(rating) for rating in one.ratings), key=RANK.__getitem__, default=Severity.CRITICAL)
    title = one.description.strip().splitlines()[0][:300] if one.description.strip() else one.id
    return [Found(one.id, severity, title, affected.ref[:500]) for affected in one.affects or [_Affects()]]


def _severity(rating: _Rating) -> Severity:
    if rating.score is not None:
        return severity_of_score(rating.score) or Severity.CRITICAL
    return severity_named(rating.severity)
