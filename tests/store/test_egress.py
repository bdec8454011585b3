"""Credentials and calls over a real database: what is kept, what is written before and after, what a crash leaves."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flow_house import FlowHouse, result
from house import House
from payload_house import build_payload_house, found_house

from heldtrue.capabilities.egress.client import BrokerAwayError
from heldtrue.capabilities.egress.grants import Call, Calls, Grant
from heldtrue.db.tx import Database
from heldtrue.kernel.ids import TenantId
from heldtrue.sandbox.jobs import Job, RunResult

HOST = "api.example.com"
VALUE = "s3cr3t-value-of-books"
CALLED = Calls((Call(host=HOST, method="GET", status=200, sent=1, received=2, milliseconds=3, credentials=("books",)),))


@dataclass
class Broker:
    """Answers for the broker, and remembers what it was told; it calls nobody."""

    granted: list[Grant] = field(default_factory=list)
    away: bool = False
    lost: bool = False

    async def open(self, grant: Grant) -> Any:
        if self.away:
            raise BrokerAwayError
        self.granted.append(grant)
        return self

    token = "token"

    async def revoke(self) -> Calls:
        if self.lost:
            raise BrokerAwayError
        return CALLED


@dataclass
class CallingHouse(FlowHouse):
    """A house whose ledger can be looked into while code runs."""

    tenant: TenantId = field(init=False)


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture
def house(plain: House, tmp_path: Path) -> Generator[CallingHouse]:
    one = CallingHouse(build_payload_house(plain, tmp_path))
    one.tenant = TenantId.parse(one.place.admin.get("/v1/self").json()["organisation_id"])
    yield one
    admin = one.place.admin
    for flow in admin.get("/v1/flows").json()["data"]:
        admin.delete(f"/v1/flows/{flow['id']}")
    for credential in admin.get("/v1/credentials").json()["data"]:
        admin.delete(f"/v1/credentials/{credential['id']}")
    one.place.close()


def keep(house: FlowHouse, name: str = "books", **more: Any) -> dict[str, Any]:
    asked = {"name": name, "value": VALUE, "hosts": [HOST], **more}
    made = house.place.admin.post("/v1/credentials", asked)
    assert made.status == 201, made.body
    assert VALUE.encode() not in made.body
    return made.json()


def put(house: FlowHouse, path: str, body: Any) -> Any:
    return house.place.admin.call(
        "PUT", path, body=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )


def reaching(house: FlowHouse) -> str:
    """Make a flow whose code may call, with a credential; return the transform."""
    keep(house)
    made = house.transform()
    rules = [{"host": HOST, "headers": {"Authorization": "Bearer {{credential:books}}"}}]
    said = put(house, f"/v1/transforms/{made}/egress", {"rules": rules})
    assert said.status == 200, said.body
    house.flow(made)
    return made


def events(house: CallingHouse) -> set[str]:
    """Return what the ledger has of the newest runs' calls."""
    place = house.place
    with place.database.tenant(house.tenant, "live") as tx:
        return set(tx.value("SELECT coalesce(array_agg(event), '{}') FROM heldtrue.ledger_documents"))


def test_a_step_that_calls_is_written_before_and_after(house: CallingHouse) -> None:
    reaching(house)
    broker, asked = Broker(), list[Job]()

    async def run(job: Job) -> RunResult:
        asked.append(job)
        assert "egress.opened" in events(house)
        assert "egress.closed" not in events(house)
        return result({"a": 1})

    payload = house.payload()
    assert house.step(run, outside=broker) == 1
    [grant], [job] = broker.granted, asked
    assert (grant.rules[0].host, grant.credentials["books"].value) == (HOST, VALUE)
    assert (job.egress, VALUE in repr(job), VALUE in repr(grant)) == ("token", False, False)
    [session] = house.only()["egress"]
    assert (session["outcome"], session["position"], session["calls"][0]["host"]) == ("closed", 0, HOST)
    assert "egress.closed" in events(house)
    assert house.place.admin.delete(f"/v1/payloads/{payload}").status == 200
    assert house.only()["egress"][0]["calls"] == []


def test_code_without_rules_is_granted_nothing(house: FlowHouse) -> None:
    house.flow(house.transform())
    house.payload()
    broker = Broker()
    house.step(outside=broker)
    assert (broker.granted, house.desk.asked[-1].egress, house.only()["egress"]) == ([], None, [])


def test_a_run_waits_for_a_broker_that_is_away(house: FlowHouse) -> None:
    reaching(house)
    house.payload()
    house.step(outside=Broker(away=True))
    run = house.only()
    assert (run["state"], run["outcome"], run["tries"], house.desk.asked) == ("queued", "unavailable", 0, [])
    house.place.house.clock.at += timedelta(minutes=1)
    house.step(outside=Broker())
    assert house.only()["state"] == "done"


def test_what_nobody_can_tell_any_more_is_unknown(house: CallingHouse) -> None:
    reaching(house)
    house.payload()
    house.step(outside=Broker(lost=True))
    assert [one["outcome"] for one in house.only()["egress"]] == ["unknown"]
    assert "egress.unknown" in events(house)


def test_a_crash_between_the_two_leaves_a_session_that_the_next_try_writes_down_as_unknown(house: FlowHouse) -> None:
    reaching(house)
    house.payload()
    house.place.engine().step_forward()
    worker = house.worker()
    [claim] = worker.claim(1)
    work = worker.look(claim)
    assert work is not None
    assert worker.open_egress(work) is not None  # and here the process is gone
    house.place.house.clock.at += timedelta(minutes=5)
    house.step(outside=Broker())
    assert [one["outcome"] for one in house.only()["egress"]] == ["unknown", "closed"]


def test_a_deleted_credential_is_not_granted_and_a_namesake_is_another_one(house: FlowHouse) -> None:
    reaching(house)
    [kept] = house.place.admin.get("/v1/credentials").json()["data"]
    assert house.place.admin.delete(f"/v1/credentials/{kept['id']}").status == 200
    keep(house, value="another-value-of-books")
    house.payload()
    broker = Broker()
    house.step(outside=broker)
    assert broker.granted[0].credentials == {}


def test_a_replaced_value_is_the_one_that_is_sent(house: FlowHouse) -> None:
    reaching(house)
    [kept] = house.place.admin.get("/v1/credentials").json()["data"]
    said = put(house, f"/v1/credentials/{kept['id']}", {"value": "the-next-value"})
    assert (said.status, said.json()["version"]) == (200, 2)
    house.payload()
    broker = Broker()
    house.step(outside=broker)
    assert broker.granted[0].credentials["books"].value == "the-next-value"


def test_rules_name_credentials_of_this_environment_for_hosts_that_these_allow(house: FlowHouse) -> None:
    made = house.transform()
    rule = {"host": HOST, "headers": {"X-Key": "{{credential:books}}"}}
    path = f"/v1/transforms/{made}/egress"
    assert put(house, path, {"rules": [rule]}).json()["type"].endswith("/no-such-credential")
    other = FlowHouse(house.place)
    stranger = house.place.house.organisation("Another")
    asked = {"name": "books", "value": VALUE, "hosts": [HOST]}
    assert stranger.post("/v1/credentials", asked).status == 201
    assert put(other, path, {"rules": [rule]}).json()["type"].endswith("/no-such-credential")
    keep(house)
    assert put(house, path, {"rules": [{**rule, "host": "b.example.com"}]}).json()["type"].endswith("/egress-rule")
    assert put(house, path, {"rules": [rule]}).status == 200
    assert house.place.admin.get(path).json()["rules"] == [rule]
    assert house.place.admin.post("/v1/credentials", asked).json()["type"].endswith("/credential-exists")
