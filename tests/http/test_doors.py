"""The same promises at every door: who is admitted reaches the upstream with an identity, and nobody else does."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from doors import CLIENT, HOST, Outcome, Stage

from heldtrue.capabilities.edge.journal import JournalUnavailableError
from heldtrue.capabilities.edge.limits import LimiterUnavailableError
from heldtrue.capabilities.edge.model import EdgeCall, Verdict
from heldtrue.db.tx import Database
from heldtrue_verify.identity import Identity, verify_identity

KINDS = ("asgi", "remote", "nginx", "caddy", "traefik", "envoy", "proxy")
every_door = pytest.mark.parametrize("kind", KINDS)
ORDER = "/v1/orders/7?expand=lines"


@pytest.fixture(scope="module")
def stage(module_database: Database) -> Generator[Stage]:
    directory = Path(tempfile.mkdtemp(prefix="doors-"))
    opened = Stage(module_database, directory)
    try:
        yield opened
    finally:
        opened.close()
        shutil.rmtree(directory)


def refused(outcome: Outcome, status: int, code: str) -> None:
    assert (outcome.status, outcome.code, outcome.reached) == (status, code, [])
    assert outcome.problem["status"] == status
    assert outcome.problem["request"] == outcome.headers["request-id"]
    assert outcome.headers.get("www-authenticate") == ('Bearer realm="heldtrue"' if status == 401 else None)


def identity(stage: Stage, outcome: Outcome, target: str) -> Identity:
    """Return the identity that the upstream can prove; the request id is the one that the client was told."""
    now = stage.house.clock.at.timestamp()
    found = verify_identity(outcome.reached[0], "GET", HOST, target, [stage.key.text().reveal()], now)
    assert found.request == outcome.headers["request-id"]
    return found


@every_door
def test_an_admitted_request_reaches_the_upstream_with_its_identity(stage: Stage, kind: str) -> None:
    outcome = stage.knock(kind, ORDER, key=stage.good)
    assert outcome.status == 200, outcome
    assert len(outcome.reached) == 1
    assert "ratelimit" in outcome.headers
    if kind in {"asgi", "remote"}:
        assert (str(outcome.caller.tenant), outcome.caller.type) == (stage.tenant, "sk")
        return
    who = identity(stage, outcome, ORDER)
    assert (who.tenant, who.environment, who.key_type) == (stage.tenant, "live", "sk")
    assert who.scopes == {"orders.read", "orders.write"}
    assert who.subject.startswith("key_")


@every_door
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("none", 401, "missing-credential"),
        ("malformed", 401, "malformed-token"),
        ("unknown", 401, "unknown-key"),
        ("revoked", 401, "key-revoked"),
        ("expired", 401, "key-expired"),
        ("plain", 403, "missing-scope"),
    ],
)
def test_a_credential_that_does_not_do_is_refused(stage: Stage, kind: str, name: str, status: int, code: str) -> None:
    from heldtrue.crypto import tokens

    strange = tokens.mint("sk", "live", lambda count: b"\x07" * count).reveal()
    keys = {
        "none": None,
        "malformed": "ht_sk_live_x",
        "unknown": strange,
        "revoked": stage.revoked,
        "expired": stage.expired,
        "plain": stage.plain,
    }
    refused(stage.knock(kind, ORDER, key=keys[name]), status, code)


@every_door
def test_a_caller_over_its_limit_is_told_when_to_come_back(stage: Stage, kind: str) -> None:
    key = stage.house.issue(stage.tenant, "live", role="sender")
    stage.catch_up()
    assert stage.knock(kind, "/v1/tight", key=key).status == 200
    outcome = stage.knock(kind, "/v1/tight", key=key)
    refused(outcome, 429, "rate-limited")
    assert int(outcome.headers["retry-after"]) > 1
    assert '"key";r=0' in outcome.headers["ratelimit"]


class Away:
    """A part that cannot be reached."""

    def admit(self, *_: Any) -> None:
        return None

    async def take(self, *_: Any) -> None:
        raise LimiterUnavailableError

    async def append(self, _served: object) -> None:
        raise JournalUnavailableError


async def raising(_call: EdgeCall) -> Verdict:
    raise RuntimeError("broken")


@every_door
@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ("journal", "journal-unavailable"),
        ("limiter", "limiter-unavailable"),
        ("runtime", "edge-failed"),
        ("feed", "feed-stale"),
    ],
)
def test_a_part_that_fails_is_a_refusal(stage: Stage, kind: str, broken: str, code: str) -> None:
    judges = {
        "journal": stage.runtime_with(journal=Away()).judge,
        "limiter": stage.runtime_with(limiter=Away()).judge,
        "runtime": raising,
        "feed": stage.runtime.judge,
    }
    stage.offset = 6.0 if broken == "feed" else 0.0
    try:
        outcome = stage.knock(kind, ORDER, key=stage.good, judge=judges[broken])
    finally:
        stage.offset = 0.0
    refused(outcome, 503, code)
    assert "broken" not in str(outcome.problem)


@every_door
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (("Heldtrue-Tenant", "org_1"), "forged-identity"),
        (("Heldtrue_Tenant", "org_1"), "forged-identity"),
        (("HELDTRUE-identity", "v1"), "forged-identity"),
        (("Authorization", "Bearer x"), "duplicate-credential"),
        (("Origin", "https://a"), "repeated-header"),
        (("X-Forwarded-For", "junk"), "ambiguous-forwarding"),
        (("X-Real-IP", "198.51.100.1"), "ambiguous-forwarding"),
        (("Forwarded", "for=198.51.100.1"), "ambiguous-forwarding"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].lower() + "-" + value[1][:3].strip(),
)
def test_what_could_be_read_in_two_ways_is_refused(stage: Stage, kind: str, header: tuple[str, str], code: str) -> None:
    headers = [("Origin", "https://b"), header] if header[0] == "Origin" else [header]
    refused(stage.knock(kind, ORDER, key=stage.good, headers=headers), 400, code)


@every_door
@pytest.mark.parametrize("target", ["/v1//a", "/v1/../a", "/v1/a%2fb", "/v1/a;b", "/v1/\xe9", "/v1/%00"])
def test_an_ambiguous_target_is_refused(stage: Stage, kind: str, target: str) -> None:
    refused(stage.knock(kind, target, key=stage.good), 400, "ambiguous-target")


@every_door
def test_a_key_bound_to_an_address_is_judged_by_the_client_behind_the_proxy(stage: Stage, kind: str) -> None:
    assert stage.knock(kind, "/v1/a", key=stage.bound).status == 200
    chained = [("X-Forwarded-For", "10.1.1.1")]  # another proxy of ours, to the right of the client
    assert stage.knock(kind, "/v1/a", key=stage.bound, headers=chained).status == 200
    through = [("X-Forwarded-For", "198.51.100.1")]  # a stranger, who claims to forward for the bound address
    refused(stage.knock(kind, "/v1/a", key=stage.bound, headers=through), 401, "address-refused")


@pytest.mark.parametrize("kind", ["asgi", "remote", "proxy"])
def test_a_stranger_cannot_name_an_address(stage: Stage, kind: str) -> None:
    """Whoever is no trusted proxy is the client itself, whatever it says."""
    refused(stage.knock(kind, "/v1/a", key=stage.bound, peer="198.51.100.1"), 401, "address-refused")
    assert stage.knock(kind, "/v1/a", key=stage.bound, peer=CLIENT).status == 200


@pytest.mark.parametrize("kind", ["nginx", "caddy", "traefik", "envoy"])
def test_only_trusted_proxies_may_ask(stage: Stage, kind: str) -> None:
    refused(stage.knock(kind, "/v1/a", key=stage.good, peer="198.51.100.1"), 403, "untrusted-peer")


@every_door
def test_a_public_route_needs_nobody_and_vouches_for_nobody(stage: Stage, kind: str) -> None:
    outcome = stage.knock(kind, "/open")
    assert outcome.status == 200
    assert not [name for name in outcome.reached[0] if name.startswith("heldtrue-")]
    refused(stage.knock(kind, "/nowhere", key=stage.good), 403, "no-route")
