"""What others looked at: tests, audits and vendor reviews; what they found, with the day by which it is mended. Pure.

A test is public. Its findings are private: the log has commitments to them, and readers are told how many are open, of
which severity, and how many are overdue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from heldtrue.capabilities.registers.fields import Digest, Line, Link, Prose
from heldtrue.capabilities.registers.model import Change, Entry
from heldtrue.kernel.errors import BadInputError

YEAR = timedelta(days=366)
"""Whatever comes again, comes again within it."""


class RecordContradictsError(BadInputError):
    """The dates or members of the record contradict each other; the message says which, and what would fit."""

    code = "record-contradicts"


class TestForm(StrEnum):
    """What kind of look it was."""

    PENETRATION_TEST = "penetration-test"
    INTERNAL_AUDIT = "internal-audit"
    VENDOR_REVIEW = "vendor-review"


class Severity(StrEnum):
    """How bad a finding is, as the tester rated it."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Test(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A penetration test, internal audit or vendor review that took place."""

    form: TestForm
    title: Line
    by: Line
    """Who tested: a firm, or a role of the operator's own."""
    independent: bool
    """Whether they are not the operator's own people."""
    scope: Line
    from_day: date
    to_day: date
    dated: date
    """Date of the report."""
    report_sha256: Digest | None = None
    next_by: date
    """When the next of its form is due."""
    owner: Line
    summary: Prose | None = None


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that a test found; without a day by which it is mended it cannot be recorded."""

    test: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    """The item of the register of tests."""
    title: Line
    severity: Severity
    found_on: date
    owner: Line
    fix_by: date
    fixed_on: date | None = None
    fix: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None
    """What mended it: a change, a release, a ticket."""
    retested_on: date | None = None
    detail: Prose | None = None


class VendorCertification(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a vendor showed of itself."""

    standard: Line
    auditor: Line
    dated: date
    expires: date
    document_sha256: Digest


class Vendor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A vendor that the operator relies on, with what it has shown and when it was last reviewed."""

    name: Line
    service: Line
    sub_processor: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    """The item of the register of sub-processors, where it works on customers' data."""
    needs: Annotated[list[Line], msgspec.Meta(max_length=20)] = []
    """Standards that it must be able to show, as `PCI DSS`."""
    certifications: Annotated[list[VendorCertification], msgspec.Meta(max_length=40)] = []
    owner: Line
    reviewed_on: date
    review_by: date
    website: Link | None = None


@dataclass(frozen=True, slots=True)
class OpenFindings:
    """What readers are told of findings."""

    open: dict[str, int]
    """How many are open, by severity; all four words."""
    overdue: int
    fixed: int


def judge_test(change: Change[Test]) -> None:
    """Return when the dates of a test make sense; raise `RecordContradictsError` otherwise."""
    found = change.document
    if found is None:
        return
    today = change.now.date()
    _demand(found.from_day <= found.to_day <= found.dated, "from_day, to_day and dated follow one another.")
    _demand(found.dated <= today, "dated lies ahead: a report cannot be dated after the day it is recorded.")
    _demand(found.next_by > found.dated, "next_by must be after dated.")
    _demand(found.next_by - found.dated <= YEAR, "next_by must be within a year of dated.")


def judge_finding(change: Change[Finding]) -> None:
    """Return when a finding's dates make sense; raise `RecordContradictsError` otherwise."""
    found = change.document
    if found is None:
        raise RecordContradictsError("A finding is not withdrawn; record how and when it was mended.")
    today = change.now.date()
    _demand(found.found_on <= today, "found_on lies ahead.")
    _demand(found.fix_by >= found.found_on, "fix_by must not be before found_on.")
    _demand(found.fix_by - found.found_on <= YEAR, "fix_by must be within a year of found_on.")
    _demand((found.fixed_on is None) == (found.fix is None), "fixed_on and fix go together: when, and by what.")
    if found.fixed_on is not None:
        _demand(found.found_on <= found.fixed_on <= today, "fixed_on must lie between found_on and today.")
    before = None if change.before is None else change.before.document
    if before is not None:
        _demand(found.test == before.test and found.found_on == before.found_on, "test and found_on stay as they were.")
        over = before.fix_by < today and found.fix_by > before.fix_by
        _demand(not over, "fix_by is over and cannot be moved any more: the finding is overdue until it is mended.")


def judge_vendor(change: Change[Vendor]) -> None:
    """Return when a vendor's dates make sense; raise `RecordContradictsError` otherwise."""
    found = change.document
    if found is None:
        return
    today = change.now.date()
    _demand(found.reviewed_on <= today, "reviewed_on lies ahead.")
    _demand(found.review_by > found.reviewed_on, "review_by must be after reviewed_on.")
    _demand(found.review_by - found.reviewed_on <= YEAR, "review_by must be within a year of reviewed_on.")
    for one in found.certifications:
        _demand(one.dated <= today, f"{one.standard}: dated lies ahead.")
        _demand(one.expires > one.dated, f"{one.standard}: expires must be after dated.")


def current(found: VendorCertification, now: datetime) -> bool:
    """Return whether what a vendor showed still counts."""
    return found.dated <= now.date() <= found.expires


def vendor_faults(vendors: Iterable[Entry[Vendor]], now: datetime) -> list[str]:
    """Return what is wrong with the vendors at *now*: lapsed, missing or unreviewed, one sentence each."""
    faults: list[str] = []
    for entry in vendors:
        vendor = entry.document
        good = {one.standard for one in vendor.certifications if current(one, now)}
        gone = {one.standard: one.expires for one in vendor.certifications if one.standard not in good}
        faults += [f"{vendor.name}'s {standard} lapsed on {day}." for standard, day in sorted(gone.items())]
        faults += [f"{vendor.name} has not shown {one}." for one in vendor.needs if one not in good and one not in gone]
        if now.date() > vendor.review_by:
            faults.append(f"The review of {vendor.name} was due on {vendor.review_by}.")
    return faults


def overdue(findings: Iterable[Entry[Finding]], now: datetime) -> list[Entry[Finding]]:
    """Return the findings that are not mended and should be at *now*."""
    return [one for one in findings if one.document.fixed_on is None and now.date() > one.document.fix_by]


def finding_faults(tests: Sequence[Entry[Test]], findings: Sequence[Entry[Finding]], now: datetime) -> list[str]:
    """Return what is wrong with tests and findings at *now*; it names items and days, never a finding's content."""
    known = {entry.item for entry in tests}
    faults = [f"The finding {one.item} was to be mended by {one.document.fix_by}." for one in overdue(findings, now)]
    faults += [f"The finding {one.item} names no test on file." for one in findings if one.document.test not in known]
    newest: dict[TestForm, Test] = {}
    for one in (entry.document for entry in tests):
        last = newest.get(one.form)
        newest[one.form] = one if last is None or one.dated > last.dated else last
    faults += [
        f"The next {form.replace('-', ' ')} was due on {test.next_by}."
        for form, test in sorted(newest.items())
        if now.date() > test.next_by
    ]
    return faults


def counted(findings: Sequence[Entry[Finding]], now: datetime) -> OpenFindings:
    """Return what readers are told of *findings* at *now*."""
    waiting = Counter(one.document.severity.value for one in findings if one.document.fixed_on is None)
    return OpenFindings(
        open={severity.value: waiting[severity.value] for severity in Severity},
        overdue=len(overdue(findings, now)),
        fixed=sum(one.document.fixed_on is not None for one in findings),
    )


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RecordContradictsError(otherwise)
