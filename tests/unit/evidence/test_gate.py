"""The gate and its readers: a seeded violation blocks, an expired piece blocks, a missing piece blocks, and why."""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evidence_samples import ASFF, DEFENDER, DEFENDER_CSV, OSV, REVIEW, SARIF, SBOM, SCC, TESTS, VEX

from heldtrue.app import gating
from heldtrue.capabilities.disclosure.scoring import Severity
from heldtrue.capabilities.evidence import advisories, envelope
from heldtrue.capabilities.evidence.advisories import affects
from heldtrue.capabilities.evidence.gate import Why
from heldtrue.capabilities.evidence.model import Kind, UnreadableEvidenceError, UnsignedEvidenceError
from heldtrue.capabilities.evidence.policy import ExcuseRefusedError, PolicyRefusedError, parse
from heldtrue.capabilities.evidence.readers import READERS
from heldtrue.capabilities.evidence.readers.cyclonedx import components
from heldtrue.crypto.signing import SigningKey

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def changed(document: Any, *path: str | int, to: object) -> Any:
    """Return *document* with one place changed."""
    made = copy.deepcopy(document)
    place = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return made


@pytest.fixture
def judged(tmp_path: Path) -> Any:
    def judge(policy: str = "", at: datetime = NOW, osv: object = None, **documents: object) -> dict[str, Any]:
        files: list[tuple[Kind, Path]] = []
        for name, document in documents.items():
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps(document))
            files.append((Kind(name), path))
        rules = tmp_path / "gate.toml"
        rules.write_text(policy)
        known = None
        if osv is not None:
            known = tmp_path / "osv.json"
            known.write_text(json.dumps(osv))
        return gating.offline(files, rules, known, at)

    return judge


def whys(found: dict[str, Any]) -> list[str]:
    return [one["why"] for one in found["blocks"]]


def test_a_seeded_violation_blocks_and_the_clean_run_does_not(judged: Any) -> None:
    clean = changed(SARIF, "runs", 0, "results", to=[])
    assert judged(sarif=clean)["open"] is True
    found = judged(sarif=SARIF)
    assert (found["open"], whys(found)) == (False, [Why.FINDING])
    assert found["blocks"][0]["rule"] == "bandit/B602"
    assert found["blocks"][0]["place"] == "src/app.py:14"


@pytest.mark.parametrize(("threshold", "blocks"), [("critical", 1), ("high", 2), ("medium", 3), ("low", 3)])
def test_the_threshold_decides_what_blocks(judged: Any, threshold: str, blocks: int) -> None:
    found = judged(f'threshold = "{threshold}"', sarif=SARIF)
    assert (len(found["blocks"]), found["findings"]) == (blocks, 3)


def test_what_the_tool_suppressed_still_counts(judged: Any) -> None:
    hushed = changed(SARIF, "runs", 0, "results", 0, "suppressions", to=[{"kind": "inSource"}])
    assert judged(sarif=hushed)["open"] is False


def test_evidence_blocks_once_it_expired(judged: Any) -> None:
    clean = changed(SARIF, "runs", 0, "results", to=[])
    made = datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert judged(sarif=clean, at=made + timedelta(days=7) - timedelta(seconds=1))["open"] is True
    assert whys(judged(sarif=clean, at=made + timedelta(days=7))) == [Why.EXPIRED]
    assert judged("valid_days.sarif = 8", sarif=clean, at=made + timedelta(days=7))["open"] is True


def test_what_is_required_and_missing_blocks(judged: Any) -> None:
    clean = changed(SARIF, "runs", 0, "results", to=[])
    found = judged('required = ["sarif", "tests", "review"]', sarif=clean)
    assert whys(found) == [Why.MISSING, Why.MISSING]
    assert judged('required = ["sarif", "tests", "review"]', sarif=clean, tests=TESTS, review=REVIEW)["open"] is True


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("sarif", changed(SARIF, "runs", 0, "results", to=None)),
        ("sarif", changed(SARIF, "runs", 0, "invocations", 0, "executionSuccessful", to=False)),
        ("tests", changed(TESTS, "result", to="FAILED")),
        ("tests", changed(TESTS, "failedTests", to=["test_it"])),
        ("review", changed(REVIEW, "result", to="FAILED")),
        ("review", changed(REVIEW, "reviewers", to=["first"])),
        ("review", changed(REVIEW, "reviewers", to=["first", "author"])),
        ("review", changed(REVIEW, "reviewers", to=["first", " First "])),
    ],
    ids=["no run", "crashed", "failed", "failed in the list", "refused", "one", "one and oneself", "one twice"],
)
def test_what_says_no_itself_blocks(judged: Any, kind: str, document: object) -> None:
    assert Why.FAILED in whys(judged(**{kind: document}))


def test_an_excuse_needs_reason_owner_and_end_and_ends_then(judged: Any) -> None:
    excuse = '[[excuses]]\nrule = "bandit/B602"\nreason = "Fixed arguments"\nowner = "platform"\nexpires = 2026-12-01\n'
    assert judged(excuse, sarif=SARIF)["open"] is True
    assert judged("valid_days.sarif = 60\n" + excuse, sarif=SARIF, at=NOW + timedelta(days=10))["open"] is False
    for bad in (excuse.replace('owner = "platform"\n', ""), excuse.replace("2026-12-01", "2028-12-01")):
        with pytest.raises((PolicyRefusedError, ExcuseRefusedError)):
            parse(bad, NOW)
    with pytest.raises(ExcuseRefusedError):
        parse(excuse.replace("Fixed arguments", " "), NOW)


def test_vex_sets_aside_only_with_a_justification(judged: Any) -> None:
    assert judged(sbom=SBOM)["open"] is False
    assert judged(sbom=SBOM, vex=VEX)["open"] is True
    bare = changed(VEX, "vulnerabilities", 0, "analysis", to={"state": "not_affected"})
    assert judged(sbom=SBOM, vex=bare)["open"] is False


def test_an_advisory_seeded_after_the_release_is_found(judged: Any) -> None:
    clean = changed(SBOM, "vulnerabilities", to=[])
    assert judged(sbom=clean)["open"] is True
    found = judged(sbom=clean, osv=OSV)
    assert [one["rule"] for one in found["blocks"]] == ["OSV-2026-1"]
    assert judged(sbom=clean, osv=[{**OSV[0], "withdrawn": "2026-11-01T00:00:00Z"}])["open"] is True


@pytest.mark.parametrize(
    ("version", "hit"),
    [
        ("1.0.0", False),
        ("1.2.0", True),
        ("1.4.9", True),
        ("1.5.0", False),
        ("1.5.0rc1", True),
        ("1.5.0-beta", True),
        ("1.10", False),
        ("2.0.0", False),
        ("2026.c", True),
    ],
)
def test_ranges_hold_their_beginning_and_not_their_fix(version: str, hit: bool) -> None:
    events = [{"introduced": "1.2.0"}, {"fixed": "1.5.0"}]
    assert affects([], [("ECOSYSTEM", events)], version) is hit


def test_versions_that_are_listed_are_affected() -> None:
    assert affects(["1.0"], [], "1.0") is True
    assert affects(["1.0"], [], "1.1") is False
    assert affects([], [("GIT", [{"introduced": "abc"}])], "1.1") is True


@pytest.mark.parametrize(
    ("kind", "document", "severities"),
    [
        (Kind.ASFF, ASFF, ["critical"]),
        (Kind.SCC, SCC, ["high"]),
        (Kind.DEFENDER, DEFENDER, ["high"]),
        (Kind.DEFENDER, {"csv": DEFENDER_CSV}, ["medium"]),
    ],
    ids=["asff", "scc", "defender", "defender csv"],
)
def test_cloud_findings_are_read_from_their_exports(kind: Kind, document: object, severities: list[str]) -> None:
    reading = READERS[kind](document)
    assert [one.severity for one in reading.found] == severities
    assert all(one.place and one.title for one in reading.found)


@pytest.mark.parametrize("kind", list(READERS))
@pytest.mark.parametrize("document", [None, 1, [], {}, {"version": "2.1.0"}, {"bomFormat": "CycloneDX"}, [{"x": 1}]])
def test_what_is_of_no_kind_is_refused(kind: Kind, document: object) -> None:
    if document == [] and kind in {Kind.ASFF, Kind.SCC, Kind.DEFENDER}:
        assert READERS[kind](document).found == ()
        return
    with pytest.raises(UnreadableEvidenceError):
        READERS[kind](document)


def test_a_severity_that_is_not_understood_is_grave() -> None:
    [one] = READERS[Kind.SCC](changed(SCC, 0, "finding", "severity", to="WHO_KNOWS")[:1]).found
    assert one.severity is Severity.CRITICAL


KEY = SigningKey.generate(lambda n: bytes(range(n)), NOW)
OTHER = SigningKey.generate(lambda n: bytes(range(1, n + 1)), NOW)


def keys_of(key_id: str) -> bytes | None:
    return KEY.public if key_id == envelope.key_id(KEY.public) else None


def pushed(key: SigningKey = KEY) -> dict[str, Any]:
    return json.loads(envelope.sealed(Kind.TESTS, TESTS, "app@1.0", {"sha256": "a" * 64}, key))


def test_an_envelope_is_read_when_a_registered_key_signed_its_payload() -> None:
    statement = envelope.opened(json.dumps(pushed()).encode(), keys_of)
    assert (statement.reading.kind, statement.subject.name) == (Kind.TESTS, "app@1.0")


@pytest.mark.parametrize("part", ["payload", "sig", "keyid", "other key"])
def test_an_envelope_with_anything_altered_is_refused(part: str) -> None:
    signed = pushed(OTHER if part == "other key" else KEY)
    if part == "payload":
        payload = base64.b64decode(signed["payload"]).replace(b"app@1.0", b"app@1.1")
        signed["payload"] = base64.b64encode(payload).decode()
    elif part in {"sig", "keyid"}:
        signed["signatures"][0][part] = pushed(OTHER)["signatures"][0][part]
    with pytest.raises(UnsignedEvidenceError):
        envelope.opened(json.dumps(signed).encode(), keys_of)


def test_a_key_file_others_can_read_is_refused(tmp_path: Path) -> None:
    from heldtrue.kernel.errors import SettingsError

    path = tmp_path / "key"
    path.write_text(gating.key_text(KEY) + "\n")
    path.chmod(0o600)
    assert gating.read_key(path).public == KEY.public
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="0600"):
        gating.read_key(path)


def test_nested_components_are_matched_too() -> None:
    nested = changed(SBOM, "components", 0, "components", to=[{"name": "inner", "purl": "pkg:pypi/inner@0.1"}])
    assert "pkg:pypi/inner@0.1" in {one.purl for one in components(nested)}
    [found] = advisories.match(
        components(nested),
        [advisories.Osv(id="X", affected=[_affected("inner")])], frozenset(),
    ).found  # fmt: skip
    assert (found.rule, found.severity) == ("X", Severity.CRITICAL)


def _affected(name: str) -> Any:
    return msgspec.convert(
        [{"id": "X", "affected": [{"package": {"ecosystem": "PyPI", "name": name}, "versions": []}]}],
        list[advisories.Osv],
    )[0].affected[0]
