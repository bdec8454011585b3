"""The API's own gate: one credential a request, judged in memory."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgi import Caller
from house import House

from heldtrue.capabilities.edge.gatekeeper import Gatekeeper


def test_two_authorization_headers_are_refused_on_every_kind_of_route(house: House) -> None:
    admin = house.organisation()
    good = ("authorization", f"Bearer {admin.key}")
    for target in ("/v1/self", "/healthz", "/v1/nowhere"):
        for twin in (good, ("Authorization", "Bearer x"), ("authorization", "")):
            got = house.caller().call("GET", target, headers=[good, twin])
            assert (got.status, got.code) == (400, "duplicate-credential")


def test_a_bound_key_is_judged_by_origin_and_address(house: House) -> None:
    admin = house.organisation()
    made = admin.post(
        "/v1/keys",
        {"name": "x", "role": "reader", "origins": ["https://a.example"], "addresses": ["192.0.2.0/24"]},
    )
    bound = house.caller(made.json()["secret"])
    assert bound.get("/v1/self", origin="https://a.example").status == 200
    assert bound.get("/v1/self", origin="https://b.example").code == "origin-refused"
    assert bound.get("/v1/self").code == "origin-refused"
    bound.client = "203.0.113.9"
    assert bound.get("/v1/self", origin="https://a.example").code == "address-refused"


def test_authentication_asks_nothing_of_the_database(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = house.organisation()
    keeper = Gatekeeper(house.database.dsns.edge, house.clock, "https://log.example.test")
    keeper.feed.catch_up()
    keeper.feed.close()

    def refuse() -> None:
        raise AssertionError("the database was asked who it is")

    monkeypatch.setattr(house.database, "edge", refuse)
    served = house.served(authenticate=keeper.authenticate, agreed=keeper.agreed)
    for _ in range(5):
        assert served.caller(admin.key).get("/v1/self").status == 200
    served.app.close()


def test_what_the_answer_says_is_true_for_the_next_request(house: House) -> None:
    """A key works from the moment it is shown, and is refused from the moment its revocation is confirmed."""
    admin = house.organisation()
    keeper = Gatekeeper(house.database.dsns.edge, house.clock, "https://log.example.test")
    with keeper.running():
        served = house.served(authenticate=keeper.authenticate, agreed=keeper.agreed)
        asking = served.caller(admin.key)

        async def issue_and_revoke() -> list[int]:
            statuses: list[int] = []
            for _ in range(5):
                made = (await asking.acall("POST", "/v1/keys", **body({"name": "x", "role": "reader"}))).json()
                fresh = Caller(served.app, made["secret"])
                statuses.append((await fresh.acall("GET", "/v1/self")).status)
                await asking.acall("DELETE", f"/v1/keys/{made['id']}")
                statuses.append((await fresh.acall("GET", "/v1/self")).status)
            return statuses

        assert asyncio.run(issue_and_revoke()) == [200, 401] * 5
        served.app.close()


def test_an_old_snapshot_lets_nobody_in(house: House) -> None:
    admin = house.organisation()
    keeper = Gatekeeper(house.database.dsns.edge, house.clock, "https://log.example.test")
    served = house.served(authenticate=keeper.authenticate, agreed=keeper.agreed)
    got = served.caller(admin.key).get("/v1/self")
    assert (got.status, got.code) == (503, "feed-stale")
    keeper.feed.catch_up()
    assert served.caller(admin.key).get("/v1/self").status == 200
    keeper.feed.close()
    served.app.close()


def body(asked: dict[str, Any]) -> dict[str, Any]:
    return {"body": json.dumps(asked).encode(), "headers": {"content-type": "application/json"}}
