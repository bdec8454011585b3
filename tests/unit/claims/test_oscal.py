"""OSCAL: what trestle accepts, the same for the same claims, and never better than the claims."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.unit.claims.builders import DAY, MINUTE, NOON, SOURCE, a_run

from heldtrue.attack import Outcome
from heldtrue.capabilities.attestations.model import Document
from heldtrue.claims import oscal
from heldtrue.claims.board import Board
from heldtrue.claims.catalogue import CATALOGUE
from heldtrue.claims.model import Against, State
from heldtrue.claims.verdict import Verdict

BY = oscal.Publication(origin="log.example/prod", url="https://trust.example", release="9.9.9", at=NOON)
PAPER = Document(title="Letter", owner="the lead", dated=date(2026, 11, 2), expires=date(2027, 2, 2), sha256="0" * 64)
FAILING = "ledger.rewrite"


def verdicts(outcome: Outcome = Outcome.BROKEN) -> tuple[Verdict, ...]:
    board = Board(CATALOGUE.with_documents({"company.vendors_current": PAPER}))
    for name in {name for claim in CATALOGUE.claims for name in claim.attacks}:
        board.fold(a_run(NOON - DAY, Outcome.BROKEN, against=Against.BROKEN, source=SOURCE, attack=name))
        last = outcome if name == FAILING else Outcome.HELD
        board.fold(a_run(NOON - MINUTE, last, number=2, source=SOURCE, attack=name))
    return board.judge(NOON)


@pytest.fixture(scope="module")
def readers() -> dict[str, Any]:
    """Trestle's models; importing them takes seconds."""
    from trestle.oscal.assessment_results import AssessmentResults
    from trestle.oscal.component import ComponentDefinition

    return {"component-definition": ComponentDefinition, "assessment-results": AssessmentResults}


MAKERS = {"component-definition": oscal.component_definition, "assessment-results": oscal.assessment_results}


@pytest.mark.parametrize("name", MAKERS)
def test_trestle_reads_it(readers: dict[str, Any], tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(MAKERS[name](verdicts(), BY)))
    assert readers[name].oscal_read(path) is not None
    damaged = json.loads(path.read_text())
    damaged[name]["uuid"] = "not a uuid"
    path.write_text(json.dumps(damaged))
    with pytest.raises(Exception, match="uuid"):
        readers[name].oscal_read(path)


@pytest.mark.parametrize("name", MAKERS)
def test_a_fresh_instance_gives_a_document_too(readers: dict[str, Any], tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(MAKERS[name](Board(CATALOGUE).judge(NOON), BY)))
    assert readers[name].oscal_read(path) is not None


def uuids(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["uuid"]] if "uuid" in value else []
        return own + [found for inner in value.values() for found in uuids(inner)]
    return [found for inner in value for found in uuids(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_claims_give_the_same_document(name: str) -> None:
    one, two = MAKERS[name](verdicts(), BY), MAKERS[name](verdicts(), BY)
    assert one == two
    found = uuids(one)
    assert len(found) == len(set(found))
    assert {UUID(each).version for each in found} == {5}
    elsewhere = uuids(MAKERS[name](verdicts(), replace(BY, origin="log.example/other")))
    assert set(found).isdisjoint(elsewhere)


def findings(made: dict[str, Any]) -> dict[str, str]:
    (result,) = made["assessment-results"]["results"]
    return {finding["title"]: finding["target"]["status"]["state"] for finding in result["findings"]}


def test_a_control_is_satisfied_only_where_every_claim_of_it_is_proven_or_attested() -> None:
    states = {verdict.claim.id: verdict.state for verdict in verdicts()}
    assert {states["audit.append_only"], states["company.vendors_current"]} == {State.FAILING, State.ATTESTED}
    found = findings(oscal.assessment_results(verdicts(), BY))
    for control, said in found.items():
        behind = {states[claim.id] for claim in CATALOGUE.claims if control in claim.frameworks}
        assert (said == "satisfied") is (behind <= {State.PROVEN, State.ATTESTED}), control
    assert found["SOC 2 CC3.2"] == "satisfied"
    assert found["SOC 2 CC7.2"] == "not-satisfied"


def test_what_grew_stale_is_not_satisfied() -> None:
    stale = [replace(verdict, state=State.STALE) for verdict in verdicts(Outcome.HELD)]
    assert set(findings(oscal.assessment_results(stale, BY)).values()) == {"not-satisfied"}


def test_every_observation_leads_to_its_evidence() -> None:
    (result,) = oscal.assessment_results(verdicts(), BY)["assessment-results"]["results"]
    tests = [o for o in result["observations"] if o["methods"] == ["TEST"]]
    links = {evidence["href"] for o in tests for evidence in o["relevant-evidence"]}
    assert f"https://trust.example/trust/evidence/{FAILING}/2.json" in links
    known = {o["uuid"] for o in result["observations"]}
    related = {r["observation-uuid"] for f in result["findings"] for r in f.get("related-observations", [])}
    assert related == known
