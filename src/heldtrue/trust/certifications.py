"""The page of certifications: one honest status each; tests and audits; vendors and what they have shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from heldtrue.capabilities.ledger.model import instant
from heldtrue.capabilities.post import actions as post
from heldtrue.capabilities.registers import actions, assurance, certifications
from heldtrue.capabilities.registers.assurance import Finding, Test, Vendor
from heldtrue.capabilities.registers.certifications import Certification
from heldtrue.capabilities.registers.kinds import CERTIFICATIONS, FINDINGS, TESTS, VENDORS
from heldtrue.capabilities.registers.model import Entry
from heldtrue.capabilities.tenants.model import WHOLE
from heldtrue.http.exchange import Page
from heldtrue.http.route import Route
from heldtrue.trust.company import CompanyServices
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import page, shown, twin

PATH = "/trust/certifications"


class CertificationView(msgspec.Struct, frozen=True, kw_only=True):
    """Where the company stands with one standard."""

    id: str
    standard: str
    form: str
    status: str
    """`certified`, `in-observation`, `audit-in-progress`, `aligned`, `roadmap` or `not-in-scope`: there is no other."""
    lapsed: bool
    overdue: bool
    """The owner has not looked at it in time."""
    words: str
    scope: str
    owner: str
    auditor: str | None
    dated: str | None
    expires: str | None
    stated_on: str
    review_by: str
    document_sha256: str | None
    leaf_id: str


class TestView(msgspec.Struct, frozen=True, kw_only=True):
    """A test or audit that took place."""

    id: str
    form: str
    title: str
    by: str
    independent: bool
    scope: str
    dated: str
    next_by: str
    overdue: bool
    summary: str | None
    report_sha256: str | None


class FindingsView(msgspec.Struct, frozen=True, kw_only=True):
    """How many findings there are; what they say stays private."""

    open: dict[str, int]
    overdue: int
    fixed: int


class VendorProofView(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor has shown."""

    standard: str
    auditor: str
    dated: str
    expires: str
    lapsed: bool


class VendorView(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor."""

    id: str
    name: str
    service: str
    proofs: list[VendorProofView]
    missing: list[str]
    """Standards it must show and does not, or not any more."""
    reviewed_on: str
    review_by: str
    overdue: bool


class CertificationsView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page says."""

    at: str
    company: str
    certifications: list[CertificationView]
    tests: list[TestView]
    findings: FindingsView
    vendors: list[VendorView]


def routes(services: CompanyServices, pages: Pages) -> list[Route]:
    """Return the page and its JSON."""

    def view() -> CertificationsView:
        with services.office() as office:
            keys = office.keys(post.operator_known(office.tx), WHOLE)
            return build(
                services.company.name,
                office.now,
                actions.current(office.tx, CERTIFICATIONS),
                actions.current(office.tx, TESTS),
                actions.current(office.tx, FINDINGS, keys),
                actions.current(office.tx, VENDORS),
            )

    def html() -> Page:
        return shown(
            pages, PATH, lambda: pages.render("certifications.html", at=PATH, twin=f"{PATH}.json", view=view())
        )

    return [
        page(PATH, html, "Certifications, tests and vendors, with their true status"),
        twin(f"{PATH}.json", view, "The same as JSON", CertificationsView),
    ]


def build(
    company: str,
    now: datetime,
    stated: Sequence[Entry[Certification]],
    tests: Sequence[Entry[Test]],
    findings: Sequence[Entry[Finding]],
    vendors: Sequence[Entry[Vendor]],
) -> CertificationsView:
    """Return the page's view at *now*."""
    told = assurance.counted(findings, now)
    return CertificationsView(
        at=instant(now),
        company=company,
        certifications=[_certification(entry, now) for entry in stated],
        tests=[_test(entry, now) for entry in sorted(tests, key=lambda one: one.document.dated, reverse=True)],
        findings=FindingsView(open=told.open, overdue=told.overdue, fixed=told.fixed),
        vendors=[_vendor(entry, now) for entry in vendors],
    )


def _certification(entry: Entry[Certification], now: datetime) -> CertificationView:
    found = entry.document
    told = certifications.standing(found, now)
    return CertificationView(
        id=entry.item, standard=found.standard, form=found.form.value, status=told.status.value, lapsed=told.lapsed,
        overdue=told.overdue, words=told.words, scope=found.scope, owner=found.owner, auditor=found.auditor,
        dated=_day(found.dated), expires=_day(found.expires), stated_on=str(found.stated_on),
        review_by=str(found.review_by), document_sha256=found.document_sha256, leaf_id=str(entry.leaf),
    )  # fmt: skip


def _test(entry: Entry[Test], now: datetime) -> TestView:
    found = entry.document
    return TestView(
        id=entry.item, form=found.form.value, title=found.title, by=found.by, independent=found.independent,
        scope=found.scope, dated=str(found.dated), next_by=str(found.next_by), overdue=now.date() > found.next_by,
        summary=found.summary, report_sha256=found.report_sha256,
    )  # fmt: skip


def _vendor(entry: Entry[Vendor], now: datetime) -> VendorView:
    found = entry.document
    good = {one.standard for one in found.certifications if assurance.current(one, now)}
    proofs = [
        VendorProofView(
            standard=one.standard, auditor=one.auditor, dated=str(one.dated), expires=str(one.expires),
            lapsed=not assurance.current(one, now),
        )
        for one in found.certifications
    ]  # fmt: skip
    return VendorView(
        id=entry.item, name=found.name, service=found.service, proofs=proofs,
        missing=[one for one in found.needs if one not in good], reviewed_on=str(found.reviewed_on),
        review_by=str(found.review_by), overdue=now.date() > found.review_by,
    )  # fmt: skip


def _day(day: object) -> str | None:
    return None if day is None else str(day)
