"""What every answer carries, and how everything that can be wrong with a request is told."""

from __future__ import annotations

import errno
import re
from ipaddress import ip_address
from typing import Any

import pytest
from asgi import Got
from house import House, actor_of, build_house

from heldtrue.crypto.tokens import mint
from heldtrue.db.tx import Database
from heldtrue.http.credential import Presented
from heldtrue.http.exchange import Page
from heldtrue.http.limits import Limits, Rate
from heldtrue.http.ports import Check, Linked
from heldtrue.http.refusals import RefusedSummary
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.errors import UnavailableError
from heldtrue.op import Actor, Operation
from heldtrue.policy.permissions import Permission

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def protected(got: Got) -> None:
    assert re.fullmatch(r"req_[0-9a-f]{32}", got.headers["request-id"])
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", got.headers["traceparent"])
    assert got.headers["strict-transport-security"] == "max-age=63072000"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["referrer-policy"] == "no-referrer"
    assert got.headers["content-security-policy"].startswith("default-src 'none'")
    assert "http:" not in got.headers["content-security-policy"]
    assert "cache-control" in got.headers


ANSWERS = [
    ("GET", "/healthz", 200),
    ("GET", "/docs", 200),
    ("GET", "/nowhere", 404),
    ("GET", "/v1/../etc", 400),
    ("PUT", "/v1/keys", 405),
    ("OPTIONS", "/v1/keys", 204),
    ("GET", "/v1/keys", 401),
    ("GET", "/problems/none-of-ours", 404),
    ("TRACE", "/healthz", 405),
]


@pytest.mark.parametrize(("method", "target", "status"), ANSWERS)
def test_every_answer_is_identified_and_protected(house: House, method: str, target: str, status: int) -> None:
    got = house.caller().call(method, target)
    assert got.status == status
    protected(got)
    if status >= 400:
        assert got.headers["content-type"] == "application/problem+json"
        assert got.headers["cache-control"] == "no-store"
        assert got.json()["request"] == got.headers["request-id"]
        assert house.caller().get(got.json()["type"]).status == 200
    if status in {204, 405}:
        assert got.headers["allow"]
    if status == 401:
        assert got.headers["www-authenticate"].startswith("Bearer")


def test_a_trace_goes_on(house: House) -> None:
    got = house.caller().get("/healthz", traceparent=PARENT)
    assert got.headers["traceparent"].startswith(PARENT[:36])
    assert house.caller().get("/nowhere", traceparent=PARENT).headers["traceparent"].startswith(PARENT[:36])


def test_head_is_get_without_a_body(house: House) -> None:
    admin = house.organisation()
    head, get = admin.call("HEAD", "/v1/self"), admin.get("/v1/self")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))
    assert house.caller().call("HEAD", "/v1/self").status == 401


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b'{"name": "x", "role": "sender", "name": "y"}', JSON, 422, "duplicate-member"),
        (b'{"name": "x"', JSON, 422, "malformed-json"),
        (b'{"name": "x", "role": "sender", "admin": true}', JSON, 422, "unknown-member"),
        (b'{"name": "x", "role": "sender"}', {"content-type": "text/plain"}, 415, "unsupported-media-type"),
        (b'{"name": "x", "role": "sender"}', {}, 415, "unsupported-media-type"),
        (b'{"name": "x", "role": "sender"}', {**JSON, "content-length": "12"}, 400, "truncated-body"),
        (b'{"name": "x", "role": "sender"}', {**JSON, "content-length": "99"}, 400, "truncated-body"),
        (b'{"name": "x", "role": "sender"}', {**JSON, "content-length": "-1"}, 400, "malformed-request"),
        (b'{"name": "x", "role": "sender"}', {**JSON, "content-length": "31, 31"}, 400, "malformed-request"),
        (b"{}", {**JSON, "content-length": "1048577"}, 413, "too-large"),
        (b" " * 1048577, {**JSON}, 413, "too-large"),
    ],
)
def test_a_body_that_is_wrong_is_refused_clearly(
    house: House, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    admin = house.organisation()
    before = len(admin.get("/v1/keys").json()["data"])
    got = admin.call("POST", "/v1/keys", body=body, headers=headers)
    assert (got.status, got.code) == (status, code)
    protected(got)
    assert len(admin.get("/v1/keys").json()["data"]) == before


def test_a_body_over_the_limit_without_a_length_is_cut_at_the_limit(house: House) -> None:
    admin = house.organisation()
    pieces = [b" " * 600_000] * 2
    got = admin.call("POST", "/v1/keys", body=pieces, headers={**JSON, "transfer-encoding": "chunked"})
    assert got.status == 413


def test_a_client_that_goes_away_has_done_nothing(house: House) -> None:
    admin = house.organisation()
    got = admin.call("POST", "/v1/keys", body=b'{"name": "x", "role": "sender"}', headers=JSON, cut=True)
    assert got.code == "truncated-body"
    assert len(admin.get("/v1/keys").json()["data"]) == 1


@pytest.mark.parametrize(
    "target", ["/v1/keys?limit=1&limit=2", "/v1/keys?nonsense=1", "/v1/keys?limit=x", "/v1/keys?=%ff&&"]
)
def test_a_query_that_is_wrong_is_refused(house: House, target: str) -> None:
    assert house.organisation().get(target).status in {400, 422}


def test_a_read_takes_no_body(house: House) -> None:
    got = house.organisation().call("GET", "/v1/self", body=b"{}", headers=JSON)
    assert got.code == "malformed-request"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (RuntimeError("postgresql://heldtrue_tenant:hunter2@/x"), 500, "internal"),
        (UnavailableError("connection to /run/heldtrue failed: hunter2"), 503, "unavailable"),
        (OSError(errno.ENOSPC, "No space left on device: /hunter2"), 507, "storage-full"),
    ],
)
def test_a_failure_tells_nothing_of_the_inside(house: House, failure: Exception, status: int, code: str) -> None:
    def fail(_op: Operation) -> None:
        raise failure

    route = Route(at="GET /v1/fail", action=fail, summary="x", needs=Permission.SELF_READ, audits="fail")
    served = house.served(route)
    got = served.caller(house.organisation().key).get("/v1/fail")
    assert (got.status, got.code) == (status, code)
    assert b"hunter2" not in got.body
    assert ("retry-after" in got.headers) is (status != 500)
    protected(got)
    served.app.close()


def test_a_failed_action_leaves_nothing_not_even_its_audit_entry(house: House) -> None:
    admin = house.organisation()

    def fail(op: Operation) -> None:
        op.tx.execute("UPDATE heldtrue.api_keys SET state = 'revoked' WHERE tenant_id = %s", [op.tenant.value])
        raise RuntimeError

    route = Route(at="POST /v1/fail", action=fail, summary="x", needs=Permission.SELF_READ, audits="fail.done")
    served = house.served(route)
    assert served.caller(admin.key).post("/v1/fail").status == 500
    assert admin.get("/v1/self").status == 200
    assert "fail.done" not in [one["event"] for one in house.entries(admin)]
    served.app.close()


def test_a_vanished_database_is_told_as_such(fresh_house: House, server: Any, database_name: str) -> None:
    admin = fresh_house.organisation()
    server.drop(database_name)
    got = admin.get("/v1/self")
    assert (got.status, got.code) == (503, "unavailable")
    assert "retry-after" in got.headers
    assert database_name.encode() not in got.body


def test_a_flood_by_one_organisation_leaves_another_alone(house: House) -> None:
    limits = Limits(organisation=Rate(5, 0.001), key=Rate(4, 0.001), anonymous=Rate(1000, 1000))
    served = house.served(limits=limits)
    one, two = (served.caller(house.organisation(name).key) for name in ("One", "Two"))
    first = one.get("/v1/self")
    assert first.headers["ratelimit-policy"] == '"organisation";q=5;w=5000, "key";q=4;w=4000'
    assert first.headers["ratelimit"].startswith('"organisation";r=4;t=')
    statuses = [one.get("/v1/self").status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = one.get("/v1/self")
    assert refused.code == "rate-limited"
    assert int(refused.headers["retry-after"]) > 1
    assert two.get("/v1/self").status == 200
    served.app.close()


def test_an_organisation_is_limited_across_its_keys(house: House) -> None:
    served = house.served(limits=Limits(organisation=Rate(3, 0.001), key=Rate(10, 1), anonymous=Rate(1000, 1000)))
    admin = house.organisation()
    second = admin.post("/v1/keys", {"name": "x", "role": "reader"}).json()["secret"]
    keys = [admin.key, second, admin.key, second]
    assert [served.caller(key).get("/v1/self").status for key in keys] == [200, 200, 200, 429]
    served.app.close()


def test_a_stranger_is_limited_by_source_and_a_good_key_beside_him_is_not(house: House) -> None:
    served = house.served(limits=Limits(anonymous=Rate(3, 0.001)))
    admin = served.caller(house.organisation().key)
    assert admin.get("/v1/self").status == 200
    stranger = served.caller()
    assert [stranger.get("/v1/self").status for _ in range(5)] == [401, 401, 401, 429, 429]
    assert stranger.get("/docs").status == 429
    assert stranger.get("/healthz").status == 200
    assert admin.get("/v1/self").status == 200
    served.app.close()


def test_nobody_over_a_limit_costs_a_look_up(house: House) -> None:
    looked: list[str] = []

    def authenticate(presented: Presented) -> Actor:
        looked.append(presented.token)
        return house.ports.authenticate(presented)

    limits = Limits(organisation=Rate(100, 1), key=Rate(2, 0.001), anonymous=Rate(2, 0.001))
    admin = house.organisation()
    served = house.served(authenticate=authenticate, limits=limits)
    strange = served.caller(mint("sk", "live", house.ports.entropy).reveal())
    assert [strange.get("/v1/self").status for _ in range(4)] == [401, 401, 429, 429]
    assert len(looked) == 4  # an unknown one is looked at twice, because it may have been issued a moment ago
    looked.clear()
    other = served.caller(admin.key)
    other.client = "198.51.100.1"
    assert [other.get("/v1/self").status for _ in range(4)] == [200, 200, 429, 429]
    assert len(looked) == 2
    served.app.close()


def test_refused_strangers_are_summarised_when_the_application_closes(house: House) -> None:
    summaries: list[RefusedSummary] = []
    served = house.served(record_refusals=summaries.append)
    for _ in range(20):
        served.caller().get("/v1/self")
    served.caller("ht_sk_live_nonsense").get("/v1/self")
    before = len(house.entries(house.operator))
    served.app.close()
    assert sum(one.count for one in summaries) == 21
    assert {code for one in summaries for code in one.reasons} == {"missing-credential", "malformed-token"}
    assert len(house.entries(house.operator)) == before


def test_readiness_names_what_is_not_well(house: House) -> None:
    served = house.served(ready=lambda: [Check("database", True), Check("sequencer", False, "12 s behind")])
    got = served.caller().get("/readyz")
    assert got.status == 503
    assert got.json() == {
        "ready": False,
        "checks": [
            {"name": "database", "ok": True, "note": ""},
            {"name": "sequencer", "ok": False, "note": "12 s behind"},
        ],
    }
    assert house.caller().get("/readyz").status == 200
    served.app.close()


def test_metrics_are_for_the_networks_that_the_operator_named(house: House) -> None:
    served = house.served(metrics=lambda: b"heldtrue_up 1\n")
    stranger = served.caller()
    assert stranger.get("/metrics").status == 404
    near = served.caller()
    near.client = "127.0.0.1"
    assert ip_address(near.client).is_loopback
    assert near.get("/metrics").body == b"heldtrue_up 1\n"
    served.app.close()


def test_a_link_leads_to_one_thing_or_nowhere(house: House) -> None:
    admin = house.organisation()
    actor = actor_of(house.ports, admin)
    assert actor.key is not None
    row = actor.key.value

    def show(op: Operation, found: object) -> Page:
        return Page(content=f"{op.tenant} {found}".encode(), content_type="text/plain", cache=CacheClass.IMMUTABLE)

    route = Route(at="GET /v1/things/{token}", action=show, summary="x", realm=Realm.LINK, audits="thing.read")
    known = {"good": Linked(actor.tenant, "live", row)}
    served = house.served(route, resolve_link=known.get)
    got = served.caller().get("/v1/things/good")
    assert got.body.decode() == f"{actor.tenant} {row}"
    assert got.headers["cache-control"] == "no-store"
    entry = house.entries(admin)[-1]
    assert (entry["event"], entry["actor"]["kind"]) == ("thing.read", "link")
    assert served.caller().get("/v1/things/bad").status == 404
    served.app.close()


def test_the_application_closes_with_its_server(database: Database) -> None:
    import asyncio

    house = build_house(database)
    sent: list[str] = []

    async def run() -> None:
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> dict[str, str]:
            return next(messages)

        async def send(message: dict[str, str]) -> None:
            sent.append(message["type"])

        await house.app({"type": "lifespan"}, receive, send)

    asyncio.run(run())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
