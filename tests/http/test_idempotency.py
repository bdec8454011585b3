"""A creation sent again has the first answer, once made, and no secret is kept for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec
import pytest
from house import House, actor_of

from heldtrue.http.route import Route
from heldtrue.op import Operation
from heldtrue.policy.permissions import Permission

ASK = {"name": "Ledgerline"}


def test_the_same_request_gets_the_first_answer(fresh_house: House) -> None:
    house = fresh_house
    first = house.operator.post("/v1/organisations", ASK, idempotency_key="k1")
    again = house.operator.post("/v1/organisations", ASK, idempotency_key="k1")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["request-id"] != first.headers["request-id"]
    assert len(house.operator.get("/v1/organisations").json()["data"]) == 2


def test_another_request_under_the_same_key_is_refused(fresh_house: House) -> None:
    house = fresh_house
    house.operator.post("/v1/organisations", ASK, idempotency_key="k1")
    other = house.operator.post("/v1/organisations", {"name": "Other"}, idempotency_key="k1")
    assert (other.status, other.code) == (409, "idempotency-key-reused")


def test_the_key_is_forgotten_after_a_day(fresh_house: House) -> None:
    house = fresh_house
    first = house.operator.post("/v1/organisations", ASK, idempotency_key="k1").json()["id"]
    house.clock.at += timedelta(hours=24)
    assert house.operator.post("/v1/organisations", ASK, idempotency_key="k1").json()["id"] != first


def test_a_repeated_secret_is_null_and_says_to_roll(fresh_house: House) -> None:
    house = fresh_house
    admin = house.organisation()
    ask = {"name": "x", "role": "sender"}
    first = admin.post("/v1/keys", ask, idempotency_key="k1").json()
    again = admin.post("/v1/keys", ask, idempotency_key="k1").json()
    assert again["id"] == first["id"]
    assert again["secret"] is None
    assert "roll" in again["advice"]
    actor = actor_of(house.ports, admin)
    with house.database.tenant(actor.tenant, "live") as tx:
        from heldtrue.http.idempotency import PURPOSE, Repeatable, Stored

        row = tx.value("SELECT answer FROM heldtrue.idempotency")
        route, key = "POST /v1/keys", tx.value("SELECT key_digest FROM heldtrue.idempotency")
        assert actor.key
        scope = Repeatable(actor.tenant.value, "live", actor.key.value, route, key, b"").scope().hex()
        keys = house.ports.keyring(tx, actor.tenant, "live", house.clock.now())
        stored = msgspec.json.decode(keys.open(PURPOSE, "idempotency", "answer", scope, row), type=Stored)
    assert first["secret"].encode() not in stored.content


def test_one_credentials_key_is_not_anothers(fresh_house: House) -> None:
    house = fresh_house
    one, two = house.organisation("One"), house.organisation("Two")
    ask = {"name": "x", "role": "sender"}
    ids = {caller.post("/v1/keys", ask, idempotency_key="k1").json()["id"] for caller in (one, two)}
    assert len(ids) == 2


def test_a_failed_request_may_be_sent_again(fresh_house: House) -> None:
    house = fresh_house
    admin = house.organisation()
    assert admin.post("/v1/keys", {"name": "x"}, idempotency_key="k1").status == 422
    assert admin.post("/v1/keys", {"name": "x", "role": "sender"}, idempotency_key="k1").status == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ü"])
def test_a_malformed_key_is_refused(fresh_house: House, key: str) -> None:
    house = fresh_house
    got = house.operator.post("/v1/organisations", ASK, idempotency_key=key)
    assert (got.status, got.code) == (400, "malformed-idempotency-key")


class Made(msgspec.Struct):
    """What the slow route makes."""

    id: str


def test_a_concurrent_twin_is_refused_and_finds_the_answer_afterwards(fresh_house: House) -> None:
    house = fresh_house
    entered, leave = threading.Event(), threading.Event()

    def slow(op: Operation) -> Made:
        entered.set()
        assert leave.wait(10)
        return Made(id=f"x_{op.request.value.hex}")

    served = house.served(
        Route(
            at="POST /v1/slow",
            action=slow,
            summary="x",
            gives=Made,
            needs=Permission.SELF_READ,
            audits="slow.made",
            creates=True,
            status=201,
        )
    )
    admin = served.caller(house.organisation().key)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(admin.post, "/v1/slow", None, idempotency_key="k1")
        assert entered.wait(10)
        twin = admin.post("/v1/slow", None, idempotency_key="k1")
        leave.set()
        made = first.result()
    assert (twin.status, twin.code) == (409, "concurrent-twin")
    assert made.status == 201
    assert admin.post("/v1/slow", None, idempotency_key="k1").body == made.body
    served.app.close()
