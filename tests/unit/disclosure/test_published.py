"""What is published of disclosure, without a database: CSAF by its schema, security.txt by its RFC, bands, moves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sectxt
from csaf.csaf.v20 import validate
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.disclosure import csaf, securitytxt
from heldtrue.capabilities.disclosure.figures import figures
from heldtrue.capabilities.disclosure.kinds import ADVISORIES, Advisory
from heldtrue.capabilities.disclosure.model import MOVES, IllegalMoveError, Report, State, move
from heldtrue.capabilities.disclosure.office import Office
from heldtrue.capabilities.disclosure.rewards import (
    Band,
    Bands,
    BandsRefusedError,
    OutsideBandError,
    RewardPolicy,
    judge_award,
    judge_policy,
)
from heldtrue.capabilities.disclosure.scoring import NoVectorError, Severity, score
from heldtrue.capabilities.registers.model import Entry
from heldtrue.kernel.ids import LeafId

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FULL: dict[str, Any] = {
    "title": "A report could be read by its number",
    "summary": "Somebody who knew the number of a report could read it.",
    "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
    "vector_v4": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N",
    "product": "Gateway",
    "affected": ["1.0.0", "1.1.0"],
    "fixed": ["1.1.1"],
    "remediation": "Install 1.1.1.",
    "workaround": "Close the route.",
    "cve": "CVE-2026-12345",
    "cwe": "CWE-639",
    "cwe_name": "Authorization Bypass Through User-Controlled Key",
    "credits": ["A Researcher"],
    "references": ["https://example.com/more"],
}
LEAST = {name: FULL[name] for name in ("title", "summary", "vector", "product", "affected", "remediation")}
PUBLISHER = csaf.Publisher(
    name="Example", namespace="https://example.com", contact="security@example.com", url="https://trust.example.com"
)
OFFICE = Office(
    name="Example", calendar="US", zone="America/New_York", url="https://trust.example.com",
    mail="security@example.com", languages=("en", "de"), hiring="https://example.com/jobs",
)  # fmt: skip


def entries(document: dict[str, Any], versions: int) -> list[Entry[Advisory]]:
    return [
        Entry(
            register="advisories", item="ex-2026-001", version=number, document=ADVISORIES.read(document),
            recorded_at=NOON + timedelta(days=number), leaf=LeafId(UUID(int=number)),
        )
        for number in range(1, versions + 1)
    ]  # fmt: skip


@pytest.mark.parametrize("document", [FULL, LEAST], ids=["full", "least"])
@pytest.mark.parametrize("versions", [1, 3])
def test_an_advisory_passes_the_schema_and_every_mandatory_test_of_csaf(
    document: dict[str, Any], versions: int
) -> None:
    report = validate(csaf.document(PUBLISHER, entries(document, versions)))
    failed = [(one.id, one.errors) for one in report.results if one.passed is False and one.group != "optional"]
    assert failed == []
    assert len(report.results) > 30
    assert report.overall_valid


def test_the_validator_would_see_a_wrong_advisory() -> None:
    wrong = csaf.document(PUBLISHER, entries(FULL, 2))
    wrong["document"]["tracking"]["version"] = "1"
    assert not validate(wrong).overall_valid


def test_the_files_of_a_provider_belong_together() -> None:
    files = csaf.files(PUBLISHER, [entries(FULL, 1)], NOON, "A" * 40, "https://trust.example.com/key")
    metadata = json.loads(files["provider-metadata.json"][0])
    assert metadata["public_openpgp_keys"] == [{"fingerprint": "A" * 40, "url": "https://trust.example.com/key"}]
    listed = files["white/index.txt"][0].decode().split()
    assert all(f"white/{path}{tail}" in files for path in listed for tail in ("", ".sha256", ".sha512"))
    assert files["white/changes.csv"][0].startswith(b'"2026/ex-2026-001.json","2026-11-21T12:00:00.000Z"')


@given(st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_security_txt_never_expires_and_never_lives_a_year(now: datetime) -> None:
    text = securitytxt.text(OFFICE, now, key=True, advisories=True)
    [line] = [line for line in text.splitlines() if line.startswith("Expires: ")]
    expires = datetime.fromisoformat(line.removeprefix("Expires: "))
    assert timedelta(days=170) < expires - now < timedelta(days=365)


def test_security_txt_passes_its_parser() -> None:
    text = securitytxt.text(OFFICE, datetime.now(UTC), key=True, advisories=True)
    found = sectxt.Parser(text.encode(), is_local=True)
    assert [one["code"] for one in found.errors] == []
    assert {one["code"] for one in found.recommendations} <= {"not_signed"}
    assert {"Contact", "Expires", "Encryption", "Canonical", "Policy", "Hiring"} <= {
        line.partition(":")[0] for line in text.splitlines()
    }


@pytest.mark.parametrize(("severity", "least", "most"), [
    (Severity.CRITICAL, 5_000, 10_000), (Severity.HIGH, 1_500, 5_000), (Severity.MEDIUM, 300, 1_500),
    (Severity.LOW, 50, 300),
])  # fmt: skip
def test_the_published_bands_hold_to_the_dollar_and_to_the_cent(severity: Severity, least: int, most: int) -> None:
    policy = RewardPolicy(mode="rewards")
    for cents in (least * 100, most * 100):
        judge_award(policy, severity, cents)
    for cents in ((least - 1) * 100, least * 100 - 1, most * 100 + 1, (most + 1) * 100):
        with pytest.raises(OutsideBandError):
            judge_award(policy, severity, cents)


def test_what_has_no_severity_earns_nothing() -> None:
    with pytest.raises(OutsideBandError):
        judge_award(RewardPolicy(mode="rewards"), Severity.NONE, 1)


@pytest.mark.parametrize(
    "bands", [Bands(low=Band(2, 1)), Bands(critical=Band(1, 2)), Bands(low=Band(5_000, 2_000_000))]
)
def test_bands_that_make_no_sense_are_refused(bands: Bands) -> None:
    with pytest.raises(BandsRefusedError):
        judge_policy(RewardPolicy(mode="rewards", bands=bands))


@pytest.mark.parametrize(
    ("vector", "version", "tenths", "severity"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "3.1", 98, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N", "3.1", 53, "medium"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "4.0", 93, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "3.1", 0, "none"),
    ],
)
def test_a_vector_says_score_and_severity(vector: str, version: str, tenths: int, severity: str) -> None:
    found = score(vector)
    assert (found.version, found.tenths, found.severity) == (version, tenths, severity)


@pytest.mark.parametrize("vector", ["", "9.8", "CVSS:2.0/AV:N", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                                    "CVSS:3.1/AV:N", "CVSS:4.0/AV:N", "CVSS:3.1/" + "A" * 400])  # fmt: skip
def test_what_is_no_vector_is_refused(vector: str) -> None:
    with pytest.raises(NoVectorError):
        score(vector)


@given(st.sampled_from(list(State)), st.sampled_from(list(State)))
def test_only_listed_moves_are_made(before: State, after: State) -> None:
    if after in MOVES[before]:
        assert move(before, after) is after
    else:
        with pytest.raises(IllegalMoveError):
            move(before, after)


def test_nothing_leads_back_to_unacknowledged() -> None:
    assert all(State.RECEIVED not in onward for onward in MOVES.values())


def report(acknowledged: datetime | None) -> Report:
    received = datetime(2026, 11, 17, 15, tzinfo=UTC)
    return Report(
        report_id=UUID(int=1), state=State.RECEIVED if acknowledged is None else State.ACKNOWLEDGED, encrypted=False,
        calendar="US", zone="America/New_York", received_at=received, due_at=OFFICE.due(received),
        acknowledged_at=acknowledged,
    )  # fmt: skip


def test_figures_count_the_second_after_the_deadline() -> None:
    due = OFFICE.due(datetime(2026, 11, 17, 15, tzinfo=UTC))
    tick = timedelta(microseconds=1)
    assert (figures([report(None)], due).overdue, figures([report(None)], due + tick).overdue) == (0, 1)
    late = figures([report(due), report(due + tick)], due + timedelta(days=1))
    assert (late.acknowledged_in_time, late.acknowledged_late) == (1, 1)
    assert late.median_business_minutes == (7 + 8) * 60
    assert figures([], due).median_business_minutes is None
