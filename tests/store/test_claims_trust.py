"""The trust pages over a real log: evidence comes with a proof that the separate verifier accepts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.store.test_claims_engine import ATTACKS, ORIGIN, World, a_catalogue, world

from heldtrue.attack import Finding, broken
from heldtrue.capabilities.ledger.generations import current
from heldtrue.capabilities.ledger.note import ED25519, VerifierKey
from heldtrue.capabilities.ledger.proofs import NotYetLoggedError
from heldtrue.claims.model import Against
from heldtrue.http.exchange import Page
from heldtrue.http.route import Realm
from heldtrue.trust import routes as trust
from heldtrue.trust.document import Publisher
from heldtrue.trust.render import Pages
from heldtrue.trust.site import Site
from heldtrue_verify import tlog_proof
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.verdicts import Verdict, walk

__all__ = ["world"]
CATALOGUE = a_catalogue("g.one", "g.two")


def table(world: World) -> dict[str, Callable[..., Any]]:
    services = trust.TrustServices(
        database=world.database,
        clock=world.clock,
        catalogue=CATALOGUE,
        publisher=Publisher(origin=ORIGIN, place="live", attacks=ATTACKS),
        paused=world.pause.exists,
    )
    routes = trust.routes(services, Pages(Site(name="Log", origin=ORIGIN, url="https://log.example")))
    assert all(route.realm is Realm.PUBLIC for route in routes)
    return {route.path: route.action for route in routes}


def attacked(world: World) -> dict[str, Callable[..., Any]]:
    world.engine(CATALOGUE).step(world.clock.now())
    world.publish()
    return table(world)


def test_evidence_comes_with_a_proof_that_a_stranger_can_check(world: World) -> None:
    shown = attacked(world)
    file = shown["/trust/evidence/{attack}/{file}"](trust.EvidencePath(attack="g.one", file="1.json"))
    with world.database.system() as tx:
        origin = current(tx)
    pin = str(VerifierKey(origin.origin, ED25519, origin.public))
    case = tlog_proof.ProofCase(msgspec.json.encode(file), Roots.parse(pin), datetime.now(UTC).replace(year=2099))
    assert walk("proof", tlog_proof.PROOF_STEPS, case).verdict is Verdict.HOLDS
    forged = {**file.document, "outcome": "held" if file.document["outcome"] == "broken" else "broken"}
    case = tlog_proof.ProofCase(
        msgspec.json.encode({"document": forged, "proof": file.proof}),
        Roots.parse(pin),
        datetime.now(UTC).replace(year=2099),
    )
    assert walk("proof", tlog_proof.PROOF_STEPS, case).verdict is not Verdict.HOLDS


@pytest.mark.parametrize("file", ["0.json", "99.json", "1", "1.txt", "x.json", "-1.json", "²", "1.json.json"])
def test_evidence_that_is_not_there(world: World, file: str) -> None:
    shown = table(world)
    with pytest.raises(trust.NoSuchEvidenceError):
        shown["/trust/evidence/{attack}/{file}"](trust.EvidencePath(attack="g.one", file=file))


def test_evidence_that_is_not_in_the_log_yet_is_not_shown(world: World) -> None:
    world.engine(CATALOGUE).run_one(ATTACKS["g.one"], Against.CONTROL)
    with pytest.raises(NotYetLoggedError):
        table(world)["/trust/evidence/{attack}/{file}"](trust.EvidencePath(attack="g.one", file="1.json"))


def test_every_link_to_evidence_leads_to_evidence(world: World) -> None:
    world.answers["g.two", Against.CONTROL] = lambda: broken("It gave way.", probes=1)
    shown = attacked(world)
    document = shown["/trust.json"]()
    links = [
        view.evidence
        for claim in document.claims
        for attack in claim.attacks
        for view in (attack.latest, attack.seen_to_fail)
        if view
    ] + [failure.evidence for claim in document.claims for failure in claim.failures]
    assert len(links) == 5
    for link in links:
        _, _, _, attack, file = link.split("/")
        shown["/trust/evidence/{attack}/{file}"](trust.EvidencePath(attack=attack, file=file))


def test_pages_for_people(world: World) -> None:
    shown = attacked(world)
    for path, given in (
        ("/trust", []),
        ("/trust/index", []),
        ("/trust/claims/{claim_id}", [trust.ClaimPath(claim_id="g.claim_one")]),
        ("/assets/{path:path}", [trust.AssetPath(path="heldtrue.css")]),
    ):
        page = shown[path](*given)
        assert isinstance(page, Page)
        assert (page.status, bool(page.content)) == (200, True)
    assert shown["/"]().headers["location"] == "/trust"
    assert shown["/trust/claims/{claim_id}"](trust.ClaimPath(claim_id="no.such")).status == 404


def test_when_the_database_is_away_nothing_is_claimed(world: World) -> None:
    shown = attacked(world)
    world.database.close()
    page = shown["/trust"]()
    assert page.status == 503
    assert b"nothing here counts as proven" in page.content


def test_a_pause_is_shown(world: World) -> None:
    shown = attacked(world)
    world.pause.touch()
    assert shown["/trust.json"]().paused


def test_a_crashing_attack_shows_as_failing(world: World) -> None:
    world.answers["g.one", Against.CONTROL] = lambda: Finding(_error(), {"runs": 1}, "The attack crashed.")
    document = attacked(world)["/trust.json"]()
    assert [claim.state for claim in document.claims] == ["failing", "proven"]


def _error() -> Any:
    from heldtrue.attack import Outcome

    return Outcome.ERROR
