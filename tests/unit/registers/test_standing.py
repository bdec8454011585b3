"""Certifications, policies, tests, findings, vendors and threats: nothing looks better than its dates and documents."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from heldtrue.capabilities.registers import assurance, certifications, policies, threats
from heldtrue.capabilities.registers.assurance import RecordContradictsError
from heldtrue.capabilities.registers.certifications import StatusUnfoundedError
from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.registers.kinds import CERTIFICATIONS, FINDINGS, POLICIES, TESTS, THREATS, VENDORS
from heldtrue.capabilities.registers.model import Change, DocumentRefusedError, Entry, Kind
from heldtrue.capabilities.registers.policies import NAMES, STARTERS, PolicyRefusedError, State
from heldtrue.claims.catalogue import CATALOGUE
from heldtrue.kernel.ids import LeafId

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY, DAY = NOON.date(), timedelta(days=1)
LEAF = LeafId.new(NOON, bytes)
SHA = "0" * 64
REPORT = {
    "standard": "SOC 2", "form": "report-type-2", "status": "certified", "scope": "The service",
    "owner": "Head of Security", "stated_on": TODAY, "review_by": TODAY + 90 * DAY, "auditor": "Example Audit LLP",
    "dated": date(2026, 10, 1), "expires": date(2027, 9, 30), "document_sha256": SHA,
}  # fmt: skip
UNFOUNDED: dict[str, Any] = dict.fromkeys(("auditor", "dated", "expires", "document_sha256"))
WATCHED = {**UNFOUNDED, "status": "in-observation"}


def judged(kind: Kind[Any], document: Any, now: datetime = NOON) -> Any:
    found = None if document is None else kind.read(document)
    kind.guard(Change(item="one", document=found, history=[], now=now, opened_at=NOON))
    return found


def entry(kind: Kind[Any], document: Any, item: str = "one") -> Entry[Any]:
    return Entry(register=kind.name, item=item, version=1, document=kind.read(document), recorded_at=NOON, leaf=LEAF)


# ---------------------------------------------------------------- certifications


@pytest.mark.parametrize("missing", sorted(UNFOUNDED))
def test_certified_needs_auditor_date_expiry_and_document(missing: str) -> None:
    judged(CERTIFICATIONS, REPORT)
    with pytest.raises(StatusUnfoundedError, match=missing):
        judged(CERTIFICATIONS, {**REPORT, missing: None})


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"dated": TODAY + DAY}, "lies ahead"),
        ({"stated_on": TODAY + DAY}, "lies ahead"),
        ({"expires": TODAY - DAY}, "expired"),
        ({"form": "self-declaration"}, "aligned"),
        ({"form": "report-type-1", "observed_from": date(2026, 1, 1)}, "type 2"),
        ({"review_by": TODAY}, "review_by"),
        ({"review_by": TODAY + 367 * DAY}, "review_by"),
        ({"expires": date(2029, 10, 4)}, "three years"),
        ({"status": "roadmap"}, "roadmap"),
        ({"status": "not-in-scope"}, "not-in-scope"),
        ({"status": "aligned"}, "self-declaration"),
        ({**UNFOUNDED, "status": "audit-in-progress"}, "auditor"),
        ({**WATCHED}, "observed_from"),
        ({**WATCHED, "observed_from": TODAY + DAY}, "not begun"),
        ({**WATCHED, "observed_from": TODAY - 9 * DAY, "observed_to": TODAY - DAY}, "over"),
        ({**WATCHED, "form": "report-type-1"}, "type 2"),
    ],
    ids=[
        "postdated", "stated-ahead", "expired", "self-certified", "window-of-type-1", "reviewed-never",
        "reviewed-too-rarely", "good-for-too-long",
        "roadmap-with-report", "out-of-scope-with-report", "aligned-with-report", "audit-without-auditor",
        "observation-without-start", "observation-not-begun", "observation-over", "observation-of-type-1",
    ],
)  # fmt: skip
def test_a_status_claims_no_more_than_it_rests_on(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(StatusUnfoundedError, match=why):
        judged(CERTIFICATIONS, {**REPORT, **changed})


def test_a_report_lapses_visibly_the_day_after_it_expires() -> None:
    found = judged(CERTIFICATIONS, REPORT)
    last = datetime(2027, 9, 30, 23, 59, 59, tzinfo=UTC)
    assert not certifications.standing(found, last).lapsed
    after = certifications.standing(found, last + timedelta(seconds=1))
    assert (after.lapsed, after.words) == (True, "Lapsed: the report expired on 2027-09-30.")


def test_no_words_call_a_report_a_certificate() -> None:
    assert certifications.standing(judged(CERTIFICATIONS, REPORT), NOON).words == (
        "Report (type 2) by Example Audit LLP, dated 2026-10-01, good until 2027-09-30."
    )


# ---------------------------------------------------------------- policies


def a_policy(**changed: Any) -> dict[str, Any]:
    text = changed.pop("text", "Do well.")
    return {
        "title": "Backup", "owner": "Head of Operations", "adopted_on": date(2026, 1, 31),
        "reviewed_on": date(2026, 1, 31), "text": text, "text_sha256": policies.digest(text), **changed,
    }  # fmt: skip


def test_twenty_starters_ship_and_none_is_in_force_before_it_is_adopted() -> None:
    found = policies.standings([], NOON)
    assert (len(found), {one.state for one in found}) == (20, {State.NOT_ADOPTED})
    assert sorted(STARTERS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_starter_is_a_text_of_real_use(name: str) -> None:
    starter = STARTERS[name]
    words = len(starter.text.split())
    assert 300 <= words <= 650, words
    assert starter.review_months <= 12
    filled = starter.filled(
        Company(name="Example", security_mail="security@example.com", privacy_mail="privacy@example.com")
    )
    assert "{" not in filled
    assert "## Evidence" in filled
    with pytest.raises(PolicyRefusedError, match="settings"):
        starter.filled(Company())


def test_a_policy_is_current_to_the_day_of_its_review_and_stale_after() -> None:
    adopted = entry(POLICIES, a_policy(), "backup")
    states = [
        next(one.state for one in policies.standings([adopted], day) if one.name == "backup")
        for day in (NOON, datetime(2027, 1, 31, 23, 59, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
    ]
    assert states == [State.CURRENT, State.CURRENT, State.STALE]


@pytest.mark.parametrize(
    ("reviewed", "months", "due"),
    [
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2026, 12, 31), 1, date(2027, 1, 31)),
        (date(2026, 11, 30), 1, date(2026, 12, 30)),
    ],
    ids=["leap", "short-month", "over-new-year", "december"],
)
def test_a_review_is_due_on_a_day_that_exists(reviewed: date, months: int, due: date) -> None:
    policy = POLICIES.read(a_policy(adopted_on=reviewed, reviewed_on=reviewed, review_months=months))
    assert policies.review_by(policy) == due


@pytest.mark.parametrize(
    "changed",
    [
        {"reviewed_on": TODAY + DAY},
        {"review_months": 13},
        {"text_sha256": SHA},
        {"text": "Ask {company}."},
        {"reviewed_on": date(2026, 1, 1)},
    ],
    ids=["ahead", "too-rarely", "other-text", "placeholder", "before-adoption"],
)
def test_a_policy_that_cannot_be_is_refused(changed: dict[str, Any]) -> None:
    judged(POLICIES, a_policy())
    with pytest.raises(PolicyRefusedError):
        judged(POLICIES, a_policy(**changed))


# ---------------------------------------------------------------- tests, findings, vendors

TEST = {
    "form": "penetration-test", "title": "Quarterly test", "by": "Example Testers", "independent": True, "scope": "API",
    "from_day": date(2026, 10, 1), "to_day": date(2026, 10, 5), "dated": date(2026, 10, 9),
    "next_by": date(2027, 1, 9), "owner": "Head of Security",
}  # fmt: skip
FINDING = {
    "test": "one", "title": "A header is missing", "severity": "low", "found_on": TODAY, "owner": "Head of Engineering",
    "fix_by": TODAY + 10 * DAY,
}  # fmt: skip
PROOF = {"standard": "PCI DSS", "auditor": "x", "dated": date(2026, 1, 1), "expires": TODAY, "document_sha256": SHA}
VENDOR = {
    "name": "Example Payments", "service": "Card processing", "needs": ["PCI DSS"], "certifications": [PROOF],
    "owner": "Head of Finance", "reviewed_on": TODAY, "review_by": TODAY + 300 * DAY,
}  # fmt: skip


def test_a_finding_without_a_day_by_which_it_is_mended_cannot_be_recorded() -> None:
    judged(FINDINGS, FINDING)
    with pytest.raises(DocumentRefusedError, match="fix_by"):
        judged(FINDINGS, {key: value for key, value in FINDING.items() if key != "fix_by"})


@pytest.mark.parametrize(
    "changed",
    [{"fix_by": TODAY - DAY}, {"found_on": TODAY + DAY}, {"fixed_on": TODAY}, {"fix": "a change"},
     {"fixed_on": TODAY + DAY, "fix": "a change"}],
    ids=["before-found", "found-ahead", "fixed-by-nothing", "fixed-never", "fixed-ahead"],
)  # fmt: skip
def test_a_finding_contradicts_itself(changed: dict[str, Any]) -> None:
    with pytest.raises(RecordContradictsError):
        judged(FINDINGS, {**FINDING, **changed})


@pytest.mark.parametrize(
    ("kind", "document", "name", "from_day"),
    [
        (FINDINGS, FINDING, "fix_by", TODAY), (TESTS, TEST, "next_by", TEST["dated"]),
        (VENDORS, VENDOR, "review_by", TODAY),
    ],
    ids=["finding", "test", "vendor"],
)  # fmt: skip
def test_nothing_is_put_off_for_more_than_a_year(kind: Kind[Any], document: Any, name: str, from_day: date) -> None:
    judged(kind, {**document, name: from_day + 366 * DAY})
    with pytest.raises(RecordContradictsError, match="within a year"):
        judged(kind, {**document, name: from_day + 367 * DAY})


def test_the_day_of_a_finding_cannot_be_moved_once_it_is_over() -> None:
    def changed(now: datetime, **how: Any) -> None:
        document = FINDINGS.read({**FINDING, **how})
        FINDINGS.guard(
            Change(item="one", document=document, history=[entry(FINDINGS, FINDING)], now=now, opened_at=NOON)
        )

    last, later = NOON + 10 * DAY, TODAY + 40 * DAY
    changed(last, fix_by=later)
    changed(last + DAY, title="Reworded")
    changed(last + DAY, fix_by=TODAY + 5 * DAY)
    changed(last + DAY, fixed_on=TODAY + 11 * DAY, fix="a change")
    with pytest.raises(RecordContradictsError, match="overdue until it is mended"):
        changed(last + DAY, fix_by=later)


def test_a_finding_is_never_withdrawn() -> None:
    with pytest.raises(RecordContradictsError):
        judged(FINDINGS, None)


def test_a_finding_is_overdue_from_the_day_after_and_no_more_once_mended() -> None:
    found = entry(FINDINGS, FINDING)
    mended = entry(FINDINGS, {**FINDING, "fixed_on": TODAY, "fix": "a change"})
    tests = [entry(TESTS, TEST)]
    assert assurance.finding_faults(tests, [found], NOON + 10 * DAY) == []
    assert assurance.finding_faults(tests, [found], NOON + 11 * DAY) == [
        "The finding one was to be mended by 2026-12-02."
    ]
    assert assurance.finding_faults(tests, [mended], NOON + 11 * DAY) == []
    assert assurance.counted([found], NOON + 11 * DAY).overdue == 1
    assert assurance.counted([found, mended], NOON).open["low"] == 1


def test_the_next_test_is_missed_from_the_day_after() -> None:
    tests = [entry(TESTS, TEST)]
    assert assurance.finding_faults(tests, [], datetime(2027, 1, 9, tzinfo=UTC)) == []
    assert assurance.finding_faults(tests, [], datetime(2027, 1, 10, tzinfo=UTC)) == [
        "The next penetration test was due on 2027-01-09."
    ]


def test_a_vendors_certification_counts_to_its_last_day() -> None:
    vendors = [entry(VENDORS, VENDOR)]
    assert assurance.vendor_faults(vendors, NOON) == []
    assert assurance.vendor_faults(vendors, NOON + DAY) == ["Example Payments's PCI DSS lapsed on 2026-11-22."]
    never = [entry(VENDORS, {**VENDOR, "certifications": []})]
    assert assurance.vendor_faults(never, NOON) == ["Example Payments has not shown PCI DSS."]


# ---------------------------------------------------------------- threats


def test_every_threat_that_ships_is_answered_by_a_claim() -> None:
    claims = frozenset(claim.id for claim in CATALOGUE.claims)
    assert threats.faults(threats.STARTERS, claims, NOON) == []
    assert threats.faults(threats.STARTERS, claims - {"access.isolation"}, NOON) != []
    assert len(threats.faults(threats.STARTERS, claims, NOON + 400 * DAY)) == len(threats.STARTERS)


def test_each_capability_has_a_threat_model() -> None:
    modelled = {threat.capability for threat in threats.STARTERS.values()}
    assert modelled >= {
        "tenants", "access", "edge", "mail", "intake", "outputs", "receipts", "deliveries", "promises", "transforms",
        "ledger", "keystore", "backups", "portal", "probe", "registers",
    }  # fmt: skip


def test_a_threat_without_a_claim_cannot_be_recorded() -> None:
    written = THREATS.write(next(iter(threats.STARTERS.values())))
    with pytest.raises(DocumentRefusedError, match="claims"):
        judged(THREATS, {**written, "claims": []})
