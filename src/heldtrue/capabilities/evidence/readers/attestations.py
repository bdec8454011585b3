"""In-toto predicates of tests and reviews, and letters of penetration tests: a digest with what it says."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec

from heldtrue.capabilities.evidence.model import Kind, Reading, UnreadableEvidenceError
from heldtrue.capabilities.evidence.readers.shape import moment, shaped

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
REVIEWERS = 2


class _Tests(msgspec.Struct):
    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: list[dict[str, Any]]
    passed: list[str] = msgspec.field(name="passedTests", default_factory=list[str])
    warned: list[str] = msgspec.field(name="warnedTests", default_factory=list[str])
    failed: list[str] = msgspec.field(name="failedTests", default_factory=list[str])


class _Review(msgspec.Struct):
    result: Literal["PASSED", "FAILED"]
    timestamp: str
    author: Line
    """Who wrote the change; a review of one's own does not count."""
    reviewers: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=100)]
    link: str = msgspec.field(name="reviewLink", default="")


class _Letter(msgspec.Struct, forbid_unknown_fields=True):
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$(?!\\n)")]
    """Of the PDF, which stays with its owner."""
    size: Annotated[int, msgspec.Meta(ge=1)]
    firm: Line
    dated: date
    scope: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    open_findings: Annotated[int, msgspec.Meta(ge=0)]


def read_tests(predicate: Any) -> Reading:
    """Return what a test result says; one that lists failed tests has failed, whatever its result claims."""
    found = shaped(predicate, _Tests, "test result")
    if not found.configuration:
        raise UnreadableEvidenceError("A test result names its configuration.")
    failed = found.result == "FAILED" or bool(found.failed)
    summary: dict[str, int | str] = {
        "result": "FAILED" if failed else found.result, "passed": len(found.passed), "warned": len(found.warned),
        "failed": len(found.failed),
    }  # fmt: skip
    return Reading(Kind.TESTS, summary, failed=f"{len(found.failed) or 'some'} tests failed" if failed else "")


def read_review(predicate: Any) -> Reading:
    """Return what a review says; fewer than two people beside the author are too few."""
    found = shaped(predicate, _Review, "review")
    people = {one.strip().casefold() for one in found.reviewers} - {found.author.strip().casefold()}
    short = f"reviewed by {len(people)}, not by {REVIEWERS}" if len(people) < REVIEWERS else ""
    return Reading(
        Kind.REVIEW, {"result": found.result, "reviewers": len(people)}, made_at=moment(found.timestamp),
        failed="the review refused the change" if found.result == "FAILED" else short,
    )  # fmt: skip


def read_letter(predicate: Any) -> Reading:
    """Return what the letter of a penetration test says."""
    found = shaped(predicate, _Letter, "letter of a penetration test")
    made = datetime.fromisoformat(f"{found.dated.isoformat()}T00:00:00+00:00")
    return Reading(Kind.LETTER, {"sha256": found.sha256, "open_findings": found.open_findings}, made_at=made)
