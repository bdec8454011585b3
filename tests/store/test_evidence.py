"""Evidence pushed over the product's own table: signed, logged, sealed, its findings tracked to their end."""

from __future__ import annotations

import copy
import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asgi import Caller, Got
from evidence_samples import LETTER, OSV, REVIEW, SARIF, SBOM, TESTS, VEX
from whole import Whole, open_whole

from heldtrue.app import disclosing
from heldtrue.capabilities.evidence import actions, envelope
from heldtrue.capabilities.evidence.model import Kind
from heldtrue.crypto.signing import SigningKey, multikey
from heldtrue.db.roles import at_database

SUBJECT = "app@1.0"
START = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Pipeline:
    """A build pipeline with a registered key."""

    def __init__(self, whole: Whole, seed: int) -> None:
        self.whole = whole
        self.key = SigningKey.generate(lambda n: bytes([seed]) * n, START)
        made = whole.house.operator.post(
            "/v1/evidence/keys", {"name": f"pipeline {seed}", "public_key": multikey(self.key.public)}
        )
        assert made.status == 201, made.body
        self.id = made.json()["id"]
        self.caller: Caller = whole.house.caller(made.json()["credential"])

    def push(self, kind: Kind, predicate: object, *, key: SigningKey | None = None, subject: str = SUBJECT) -> Got:
        body = envelope.sealed(kind, predicate, subject, {"gitCommit": "a" * 40}, key or self.key)
        return self.caller.call("POST", "/v1/evidence", body=body, headers={"content-type": "application/json"})


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    name = server.create()
    with open_whole(at_database(server.roles, name), tmp_path_factory.mktemp("whole")) as opened:
        opened.house.clock.at = START
        yield opened
    server.drop(name)


_seeds = iter(range(1, 250))


@pytest.fixture
def pipeline(whole: Whole) -> Pipeline:
    """A pipeline of its own, on an instance without any finding, at a time of its own."""
    with whole.house.database.system() as tx:
        tx.execute("UPDATE heldtrue.tracked_findings SET state = 'resolved', resolved_at = now(), accepted_by = NULL,"
                   " accepted_until = NULL")  # fmt: skip
    whole.house.clock.at = START.replace(hour=12) + timedelta(days=40 * (seed := next(_seeds)))
    return Pipeline(whole, seed)


def dated(document: dict[str, Any], whole: Whole, back: timedelta = timedelta(hours=1)) -> dict[str, Any]:
    """Return *document* as if it had been made a while ago, by the house's clock."""
    made = copy.deepcopy(document)
    at = (whole.house.clock.at - back).strftime("%Y-%m-%dT%H:%M:%SZ")
    if "runs" in made:
        made["runs"][0]["invocations"][0]["endTimeUtc"] = at
    elif "metadata" in made:
        made["metadata"]["timestamp"] = at
    elif "timestamp" in made:
        made["timestamp"] = at
    return made


def clean(whole: Whole) -> dict[str, Any]:
    made = dated(SARIF, whole)
    made["runs"][0]["results"] = []
    return made


def gate(pipeline: Pipeline, subject: str | None = None) -> dict[str, Any]:
    got = pipeline.caller.get("/v1/gate" + (f"?subject={subject}" if subject else ""))
    assert got.status == 200, got.body
    return got.json()


def findings(whole: Whole, state: str = "open") -> list[dict[str, Any]]:
    return whole.house.operator.get(f"/v1/findings?limit=200&state={state}").json()["data"]


def policy(whole: Whole, **document: object) -> None:
    got = whole.house.operator.call(
        "PUT", "/v1/registers/gate/policy", body=json.dumps({"document": document}).encode(),
        headers={"content-type": "application/json"},
    )  # fmt: skip
    assert got.status == 200, got.body


def test_a_pushed_violation_blocks_until_it_is_gone(whole: Whole, pipeline: Pipeline) -> None:
    pushed = pipeline.push(Kind.SARIF, dated(SARIF, whole))
    assert pushed.status == 201, pushed.body
    assert pushed.json()["opened"] == 3
    assert [(one["why"], one["rule"]) for one in gate(pipeline)["blocks"]] == [("finding", "bandit/B602")]
    whole.house.clock.at += timedelta(hours=2)
    after = pipeline.push(Kind.SARIF, clean(whole)).json()
    assert (after["opened"], after["resolved"]) == (0, 3)
    assert gate(pipeline)["blocks"] == []
    whole.house.clock.at += timedelta(hours=2)
    assert pipeline.push(Kind.SARIF, dated(SARIF, whole)).json()["opened"] == 3


def test_evidence_expires_and_then_blocks(whole: Whole, pipeline: Pipeline) -> None:
    policy(whole, required=["sarif"])
    assert pipeline.push(Kind.SARIF, clean(whole)).status == 201
    assert gate(pipeline)["blocks"] == []
    whole.house.clock.at += timedelta(days=7)
    assert [one["why"] for one in gate(pipeline)["blocks"]] == ["expired"]
    assert [one["why"] for one in gate(pipeline, "app@2.0")["blocks"]] == ["missing"]
    policy(whole)


@pytest.mark.parametrize("by", ["a stranger", "a revoked key"])
def test_what_no_registered_key_signed_is_refused(whole: Whole, pipeline: Pipeline, by: str) -> None:
    stranger = SigningKey.generate(lambda n: b"\xaa" * n, START)
    if by == "a revoked key":
        assert whole.house.operator.delete(f"/v1/evidence/keys/{pipeline.id}").status == 200
    got = pipeline.push(Kind.TESTS, TESTS, key=stranger if by == "a stranger" else None)
    assert (got.status, got.code) == (403, "unsigned-evidence")


def test_the_credential_of_a_pipeline_pushes_and_does_nothing_else(pipeline: Pipeline) -> None:
    for method, path in (("GET", "/v1/findings"), ("GET", "/v1/evidence/keys"), ("GET", "/v1/organisations")):
        assert pipeline.caller.call(method, path).status == 403
    assert pipeline.caller.post("/v1/organisations", {"name": "x"}).status == 403


def test_a_signature_alone_does_not_push(whole: Whole, pipeline: Pipeline) -> None:
    body = envelope.sealed(Kind.TESTS, TESTS, SUBJECT, {"gitCommit": "a" * 40}, pipeline.key)
    headers = {"content-type": "application/json"}
    assert whole.house.caller().call("POST", "/v1/evidence", body=body, headers=headers).status == 401
    other = whole.house.organisation("Others")
    assert other.call("POST", "/v1/evidence", body=body, headers=headers).status == 403


def test_the_same_bytes_again_change_nothing(whole: Whole, pipeline: Pipeline) -> None:
    document = dated(SARIF, whole)
    first, second = (pipeline.push(Kind.SARIF, document).json() for _ in range(2))
    assert (first["id"], first["opened"], second["id"], second["opened"]) == (second["id"], 3, first["id"], 0)


@pytest.mark.parametrize(
    ("back", "code"), [(timedelta(days=8), "stale-evidence"), (timedelta(hours=-1), "postdated-evidence")]
)
def test_evidence_of_another_time_is_refused(whole: Whole, pipeline: Pipeline, back: timedelta, code: str) -> None:
    got = pipeline.push(Kind.SARIF, dated(SARIF, whole, back))
    assert (got.status, got.code) == (422, code)


def test_an_older_run_resolves_nothing(whole: Whole, pipeline: Pipeline) -> None:
    assert pipeline.push(Kind.SARIF, dated(SARIF, whole)).status == 201
    older = clean(whole)
    older["runs"][0]["invocations"][0]["endTimeUtc"] = dated(SARIF, whole, timedelta(hours=5))["runs"][0][
        "invocations"
    ][0]["endTimeUtc"]
    assert pipeline.push(Kind.SARIF, older).json()["resolved"] == 0
    assert len(findings(whole)) == 3


def test_a_finding_that_came_back_is_due_from_its_return(whole: Whole, pipeline: Pipeline) -> None:
    assert pipeline.push(Kind.SARIF, dated(SARIF, whole)).status == 201
    whole.house.clock.at += timedelta(hours=2)
    assert pipeline.push(Kind.SARIF, clean(whole)).json()["resolved"] == 3
    whole.house.clock.at += timedelta(days=10)
    back = whole.house.clock.at
    for _ in range(2):
        assert pipeline.push(Kind.SARIF, dated(SARIF, whole)).status == 201
        whole.house.clock.at += timedelta(hours=2)
    due = {one["severity"]: datetime.fromisoformat(one["due_at"]) for one in findings(whole)}
    assert round((due["critical"] - back) / timedelta(days=1)) == 7


def test_a_crashed_run_and_another_tool_resolve_nothing(whole: Whole, pipeline: Pipeline) -> None:
    assert pipeline.push(Kind.SARIF, dated(SARIF, whole)).status == 201
    crashed = clean(whole)
    crashed["runs"][0]["invocations"][0]["executionSuccessful"] = False
    other = clean(whole)
    other["runs"][0]["tool"]["driver"]["name"] = "another"
    assert [pipeline.push(Kind.SARIF, one).json()["resolved"] for one in (crashed, other)] == [0, 0]


def test_findings_are_due_by_severity_and_block_when_overdue(whole: Whole, pipeline: Pipeline) -> None:
    policy(whole, valid_days={"sarif": 365})
    assert pipeline.push(Kind.SARIF, dated(SARIF, whole)).status == 201
    due = {one["severity"]: one["due_at"] for one in findings(whole)}
    opened = whole.house.clock.at
    assert {name: round((datetime.fromisoformat(at) - opened) / timedelta(days=1)) for name, at in due.items()} == {
        "critical": 7, "high": 30, "medium": 90,
    }  # fmt: skip
    [critical] = [one["id"] for one in findings(whole) if one["severity"] == "critical"]
    assert resolve(whole, critical).status == 200
    assert gate(pipeline)["blocks"] == []
    whole.house.clock.at = opened + timedelta(days=31)
    assert [(one["why"], one["severity"]) for one in gate(pipeline)["blocks"]] == [("overdue", "high")]
    policy(whole)


def resolve(whole: Whole, finding: str) -> Got:
    return whole.house.operator.post(f"/v1/findings/{finding}/resolve", {"reason": "Fixed in 1.0.1"})


def accept(whole: Whole, finding: str, **asked: str) -> Got:
    return whole.house.operator.post(f"/v1/findings/{finding}/accept", asked)


def test_an_accepted_finding_counts_again_when_its_time_is_over(whole: Whole, pipeline: Pipeline) -> None:
    assert pipeline.push(Kind.SARIF, dated(SARIF, whole)).status == 201
    [critical] = [one["id"] for one in findings(whole) if one["severity"] == "critical"]
    until = (whole.house.clock.at + timedelta(days=3)).date().isoformat()
    assert accept(whole, critical, reason="Not reachable", until=until).status == 422
    assert accept(whole, critical, reason=" ", owner="platform", until=until).code == "excuse-refused"
    assert accept(whole, critical, reason="Not reachable", owner="platform", until="2030-01-01").status == 422
    assert accept(whole, critical, reason="Not reachable", owner="platform", until=until).status == 200
    assert gate(pipeline)["blocks"] == []
    assert pipeline.push(Kind.SARIF, dated(SARIF, whole, timedelta(minutes=5))).status == 201
    assert gate(pipeline)["blocks"] == []
    whole.house.clock.at += timedelta(days=4)
    assert "finding" in [one["why"] for one in gate(pipeline)["blocks"]]


def test_what_was_accepted_counts_again_when_it_turns_out_graver(whole: Whole, pipeline: Pipeline) -> None:
    mild = dated(SARIF, whole)
    mild["runs"][0]["tool"]["driver"]["rules"][0]["properties"]["security-severity"] = "2.0"
    assert pipeline.push(Kind.SARIF, mild).status == 201
    [low] = [one["id"] for one in findings(whole) if one["severity"] == "low"]
    until = (whole.house.clock.at + timedelta(days=3)).date().isoformat()
    assert accept(whole, low, reason="Not worth it", owner="platform", until=until).status == 200
    assert pipeline.push(Kind.SARIF, dated(SARIF, whole, timedelta(minutes=5))).status == 201
    assert [(one["why"], one["severity"]) for one in gate(pipeline)["blocks"]] == [("finding", "critical")]
    assert low in [one["id"] for one in findings(whole)]


def test_an_advisory_seeded_after_the_release_is_found_the_next_day(
    whole: Whole, pipeline: Pipeline, tmp_path: Path
) -> None:
    bill = dated(SBOM, whole)
    assert pipeline.push(Kind.VEX, dated(VEX, whole)).status == 201
    assert pipeline.push(Kind.SBOM, bill).json()["opened"] == 0
    assert gate(pipeline)["blocks"] == []
    known = tmp_path / "osv.json"
    operate = disclosing.for_strangers(whole.parts)
    for advisories, opened, resolved in (([], 0, 0), (OSV, 1, 0), (OSV, 0, 0), ([], 0, 1)):
        known.write_text(json.dumps(advisories))
        with operate() as op:
            tracked = actions.rematch(op, known)
        assert tracked is not None
        assert (tracked.opened, tracked.resolved) == (opened, resolved)
        assert gate(pipeline)["open"] is (not advisories)


def test_digest_and_counts_are_in_the_log_and_nothing_else(whole: Whole, pipeline: Pipeline) -> None:
    document = dated(SARIF, whole)
    document["runs"][0]["results"][0]["message"]["text"] = "canary-in-evidence"
    pushed = pipeline.push(Kind.SARIF, document).json()
    with whole.house.database.system() as tx:
        [entry] = tx.value(
            "SELECT array_agg(convert_from(entry, 'UTF8')) FROM heldtrue.log_pending WHERE convert_from(entry, 'UTF8')"
            " LIKE %s", (f"%{pushed['sha256']}%",),
        )  # fmt: skip
        kept = tx.value("SELECT string_agg(t::text, '') FROM heldtrue.evidence t")
        kept += tx.value("SELECT string_agg(t::text, '') FROM heldtrue.tracked_findings t")
    found = json.loads(entry)
    assert (found["kind"], found["evidence"], found["summary"]["critical"]) == ("pushed", "sarif", 1)
    for text in (entry, kept):
        assert "canary-in-evidence" not in text
        assert b"canary-in-evidence".hex() not in text
    assert SUBJECT not in entry


@pytest.mark.parametrize("kind", [Kind.TESTS, Kind.REVIEW, Kind.LETTER])
def test_attestations_are_taken_and_listed(whole: Whole, pipeline: Pipeline, kind: Kind) -> None:
    letter = {**LETTER, "dated": whole.house.clock.at.date().isoformat()}
    document = {Kind.TESTS: TESTS, Kind.REVIEW: dated(REVIEW, whole), Kind.LETTER: letter}[kind]
    pushed = pipeline.push(kind, document, subject=f"app@{whole.house.clock.at:%Y%m%d}")
    assert pushed.status == 201, pushed.body
    listed = whole.house.operator.get("/v1/evidence?limit=1").json()["data"]
    assert (listed[0]["id"], listed[0]["kind"], listed[0]["expired"]) == (pushed.json()["id"], kind, False)
