"""Deliveries at size: filters, turns, circuits, limits, bulk replays, tests and endpoints that fail for days."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Generator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from asgi import Got
from house import House
from payload_house import PayloadHouse, build_payload_house, found_house
from receiver import Receiver, answers, well

from heldtrue.capabilities.deliveries.breaker import IN_A_ROW
from heldtrue.capabilities.deliveries.claiming import ClaimRow
from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.deliveries.replays import carry_on
from heldtrue.capabilities.deliveries.sender import Outcome, Prepared
from heldtrue.capabilities.deliveries.worker import Place, Worker, by_place
from heldtrue.db.tx import Database
from heldtrue.kernel.ids import EndpointId, ReplayId
from heldtrue_verify.webhook import WebhookRefusedError, verify

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Generator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("receiver")) as one:
        yield one


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture
def place(plain: House, tmp_path: Path, receiver: Receiver) -> Generator[PayloadHouse]:
    receiver.behave.clear()
    receiver.received.clear()
    built = build_payload_house(plain, tmp_path, ca_file=receiver.ca_file, timeout=timedelta(seconds=10))
    yield built
    built.close()


def register(place: PayloadHouse, url: str, **options: Any) -> dict[str, Any]:
    made = place.admin.post("/v1/endpoints", {"url": url, **options})
    assert made.status == 201, made.body
    return made.json()


def patch(place: PayloadHouse, path: str, asked: dict[str, Any]) -> Got:
    body = json.dumps(asked).encode()
    return place.admin.call("PATCH", path, body=body, headers={"content-type": "application/json"})


def look(place: PayloadHouse, endpoint: dict[str, Any]) -> dict[str, Any]:
    return place.admin.get(f"/v1/endpoints/{endpoint['id']}").json()


def send(place: PayloadHouse, *documents: Any) -> list[str]:
    return [place.send(json.dumps(one).encode()).json()["id"] for one in documents]


def later(place: PayloadHouse, wait: timedelta) -> None:
    place.house.clock.at += wait


def contents(receiver: Receiver, path: str) -> list[Any]:
    """Return what arrived at *path*, opened, in its order."""
    bodies = [json.loads(one.body) for one in receiver.received if one.path == path]
    return [json.loads(base64.b64decode(body["data"]["payload"]["content"])) for body in bodies]


def drain(place: PayloadHouse) -> int:
    """Send until nothing more is due; return how many attempts that took."""

    async def run() -> int:
        engine, done = place.engine(), 0
        async with place.outgoing.dialer() as dialer:
            while sent := await engine.step_send(post=dialer.post):
                done += sent
        return done

    return asyncio.run(run())


# ---------------------------------------------------------------- fan-out


def test_payloads_go_where_filters_let_them(place: PayloadHouse, receiver: Receiver) -> None:
    euro = {"at": "/currency", "in": ["EUR"]}
    register(place, receiver.url("/all"))
    register(place, receiver.url("/euro"), filter=[euro])
    register(place, receiver.url("/mail"), filter=[{"at": "source", "equals": "smtp"}])
    register(place, receiver.url("/notices"), event_types=["endpoint.disabling"])
    send(place, {"currency": "EUR"}, {"currency": "USD"})
    place.send(b"no json", "text/plain")
    place.engine().step_forward()
    assert drain(place) == 4
    assert sorted(receiver.paths()) == ["/all", "/all", "/all", "/euro"]
    assert contents(receiver, "/euro") == [{"currency": "EUR"}]
    forwarded = [one for one in place.house.entries(place.admin) if one["event"] == "payload.forwarded"]
    assert sorted(one["detail"]["deliveries"] for one in forwarded) == [1, 1, 2]


def test_settings_are_changed_one_by_one_and_refused_whole(place: PayloadHouse, receiver: Receiver) -> None:
    made = register(place, receiver.url("/in"), description="books", concurrency=3, rate_per_second=2.5)
    path = f"/v1/endpoints/{made['id']}"
    changed = patch(place, path, {"ordered_by": "/customer", "rate_per_second": None})
    assert changed.status == 200, changed.body
    assert {name: changed.json()[name] for name in ("description", "ordered_by", "rate_per_second", "concurrency")} == {
        "description": "books", "ordered_by": "/customer", "rate_per_second": None, "concurrency": 3,
    }  # fmt: skip
    for bad in ({"url": "http://127.0.0.1/"}, {"filter": [{"at": "x", "equals": 1}]}, {"concurrency": 0}):
        assert patch(place, path, bad).status in {400, 422}
    assert look(place, made) == changed.json()


def test_content_travels_by_value_or_by_reference_as_asked(place: PayloadHouse, receiver: Receiver) -> None:
    made = register(place, receiver.url("/reference"), by_value_up_to=0)
    send(place, {"a": 1})
    place.engine().step_forward()
    patch(place, f"/v1/endpoints/{made['id']}", {"by_value_up_to": 100})
    drain(place)
    [got] = [json.loads(one.body)["data"]["payload"] for one in receiver.received]
    assert got["content"] is None
    assert "/v1/contents/" in got["content_url"], "its body was fixed when it was made"
    send(place, {"a": 1})
    place.deliver()
    assert json.loads(receiver.received[-1].body)["data"]["payload"]["content"] is not None


# ---------------------------------------------------------------- turns


def test_within_a_key_nothing_is_sent_before_what_is_before_it_is_settled(
    place: PayloadHouse, receiver: Receiver
) -> None:
    register(place, receiver.url("/in"), ordered_by="/customer")
    receiver.behave["/in"] = answers(500)
    send(place, *({"customer": "a", "n": n} for n in range(3)), {"customer": "b", "n": 0}, {"n": "none"})
    place.engine().step_forward()
    assert drain(place) == 3
    first = {(one.get("customer"), one["n"]) for one in contents(receiver, "/in")}
    assert first == {("a", 0), ("b", 0), (None, "none")}
    receiver.behave["/in"] = well
    send(place, {"customer": "a", "n": 3})
    place.engine().step_forward()
    assert drain(place) == 0, "the first of the key waits for its next try"
    later(place, timedelta(seconds=6))
    assert drain(place) == 6
    arrived = contents(receiver, "/in")[3:]
    assert [one["n"] for one in arrived if one.get("customer") == "a"] == [0, 1, 2, 3]


def test_the_next_has_its_turn_when_the_one_before_is_erased_or_used_up(
    place: PayloadHouse, receiver: Receiver
) -> None:
    register(place, receiver.url("/in"), ordered_by="endpoint")
    receiver.behave["/in"] = answers(500)
    first, second = send(place, {"n": 1}, {"n": 2})
    send(place, {"n": 3})
    place.engine().step_forward()
    assert drain(place) == 1
    receiver.behave["/in"] = well
    assert place.admin.delete(f"/v1/payloads/{first}").status == 200
    assert drain(place) == 2
    assert [one["n"] for one in contents(receiver, "/in")] == [1, 2, 3]
    assert {one["state"] for one in place.deliveries(f"?payload_id={second}")} == {"delivered"}


def test_two_workers_keep_the_turns_of_a_key(place: PayloadHouse, receiver: Receiver) -> None:
    register(place, receiver.url("/in"), ordered_by="endpoint")
    send(place, *({"n": n} for n in range(4)))
    place.engine().step_forward()
    one, other = place.worker(), place.worker()
    claims = [*one.claim(64, {}), *other.claim(64, {})]
    assert len(claims) == 1
    [(spot, mine)] = by_place(claims).items()
    [ready] = one.prepare(spot, mine)
    send(place, {"n": 4})
    place.engine().step_forward()
    one.record(spot, [Outcome(ready, place.house.clock.now(), Response(status=200))])
    assert drain(place) == 4
    assert [got["n"] for got in contents(receiver, "/in")] == [1, 2, 3, 4]


def test_what_was_held_in_order_is_released_in_order(place: PayloadHouse, receiver: Receiver) -> None:
    made = register(place, receiver.url("/in"), ordered_by="endpoint")
    place.admin.post(f"/v1/endpoints/{made['id']}/disable")
    send(place, *({"n": n} for n in range(3)))
    place.engine().step_forward()
    place.admin.post(f"/v1/endpoints/{made['id']}/enable", {"replay_held": True})
    assert drain(place) == 3
    assert [got["n"] for got in contents(receiver, "/in")] == [0, 1, 2]


# ---------------------------------------------------------------- circuits and limits


def opened(place: PayloadHouse, receiver: Receiver) -> dict[str, Any]:
    """Return an endpoint whose circuit is open, with one delivery more waiting for it."""
    made = register(place, receiver.url("/in"))
    receiver.behave["/in"] = answers(503)
    send(place, *({"n": n} for n in range(IN_A_ROW + 1)))
    place.engine().step_forward()
    for _ in range(2):
        drain(place)
        later(place, timedelta(seconds=6))
    return made


def test_a_circuit_opens_and_spares_what_waits(place: PayloadHouse, receiver: Receiver) -> None:
    made = opened(place, receiver)
    seen = look(place, made)
    assert seen["circuit"] == "open"
    assert seen["failures_in_a_row"] >= IN_A_ROW
    count = len(receiver.received)
    assert drain(place) == 0
    later(place, timedelta(seconds=60))
    assert look(place, made)["circuit"] == "half-open"
    assert len(place.worker().claim(64, {})) == 1, "half open, one attempt at a time"
    later(place, timedelta(seconds=60))
    receiver.behave["/in"] = well
    assert asyncio.run(place.engine().step_send()) == 1
    assert look(place, made)["circuit"] == "closed"
    drain(place)
    assert {one["state"] for one in place.deliveries()} == {"delivered"}
    assert len(receiver.received) == count + IN_A_ROW + 1
    events = [one["event"] for one in place.house.entries(place.admin) if "circuit" in one["event"]]
    assert events == ["endpoint.circuit-opened", "endpoint.circuit-closed"]


def test_an_endpoint_keeps_its_own_concurrency(place: PayloadHouse, receiver: Receiver) -> None:
    register(place, receiver.url("/in"), concurrency=2)
    send(place, *range(5))
    place.engine().step_forward()
    assert len(place.worker().claim(64, {})) == 2


def test_slots_are_shared_out_in_turns(place: PayloadHouse, receiver: Receiver) -> None:
    register(place, receiver.url("/many"))
    send(place, *range(6))
    place.engine().step_forward()
    register(place, receiver.url("/few"), filter=[{"at": "source", "equals": "http"}])
    send(place, 7)
    place.engine().step_forward()
    claims = place.worker().claim(3, {})
    counts = sorted([claim.endpoint_id for claim in claims].count(one) for one in {c.endpoint_id for c in claims})
    assert counts == [1, 2], "the newer queue has its turn although the older one has more that is due"


# ---------------------------------------------------------------- replays


def test_many_are_counted_first_and_then_sent_again(place: PayloadHouse, receiver: Receiver) -> None:
    made = register(place, receiver.url("/in"))
    other = register(place, receiver.url("/other"))
    send(place, *range(3))
    place.engine().step_forward()
    drain(place)
    ids = {one.headers["webhook-id"] for one in receiver.received if one.path == "/in"}
    asked = {"state": "delivered", "endpoint_id": made["id"]}
    dry = place.admin.post("/v1/deliveries/replays", asked)
    assert (dry.status, dry.json()["id"], dry.json()["matched"]) == (202, None, 3)
    assert place.admin.get("/v1/deliveries/replays").json()["data"] == []
    engine = place.engine()
    assert engine.step_keep() == 0
    place.admin.post(f"/v1/endpoints/{made['id']}/roll", {"overlap_seconds": 0})
    begun = place.admin.post("/v1/deliveries/replays", {**asked, "dry_run": False}).json()
    assert (begun["matched"], begun["done"], begun["finished_at"]) == (3, 0, None)
    assert engine.step_keep() == 3
    over = place.admin.get(f"/v1/deliveries/replays/{begun['id']}").json()
    assert (over["done"], over["skipped"]) == (3, 0)
    assert over["finished_at"] is not None
    receiver.received.clear()
    assert drain(place) == 3
    assert {one.headers["webhook-id"] for one in receiver.received} == ids
    again = receiver.received[0]
    with pytest.raises(WebhookRefusedError):
        verify(again.headers, again.body, [made["secret"]], now=float(again.headers["webhook-timestamp"]))
    assert engine.step_keep() == 0
    assert look(place, other)["state"] == "enabled"


def test_dead_letters_are_listed_and_sent_again_in_batches_but_not_to_disabled_endpoints(
    place: PayloadHouse, receiver: Receiver
) -> None:
    made = register(place, receiver.url("/in"))
    send(place, *range(5))
    place.engine().step_forward()
    with place.database.tenant(place.tenant, "live") as tx:
        tx.execute("UPDATE heldtrue.deliveries SET state = 'failed', due_at = NULL, settled_at = created_at")
    assert len(place.deliveries("?state=failed")) == 5
    place.admin.post(f"/v1/endpoints/{made['id']}/disable")
    skipped = place.admin.post("/v1/deliveries/replays", {"dry_run": False}).json()
    engine = place.engine()
    assert engine.step_keep() == 0
    assert place.admin.get(f"/v1/deliveries/replays/{skipped['id']}").json()["skipped"] == 5
    place.admin.post(f"/v1/endpoints/{made['id']}/enable", {})
    begun = place.admin.post("/v1/deliveries/replays", {"dry_run": False}).json()
    for expected in (2, 2, 1):
        with place.worker().operation((place.tenant.value, "live")) as op:
            assert carry_on(op, ReplayId.parse(begun["id"]), limit=2) == expected
    assert drain(place) == 5
    moment = datetime.fromisoformat(begun["created_at"])
    until = quote(moment.isoformat())
    assert len(place.deliveries(f"?created_to={until}")) == 5
    assert place.deliveries(f"?created_from={until}") == []


# ---------------------------------------------------------------- test events


def test_an_endpoint_is_tested_and_a_good_test_closes_its_circuit(place: PayloadHouse, receiver: Receiver) -> None:
    made = opened(place, receiver)
    bad = place.admin.post(f"/v1/endpoints/{made['id']}/test").json()
    assert (bad["delivered"], bad["status"]) == (False, 503)
    receiver.behave["/in"] = well
    good = place.admin.post(f"/v1/endpoints/{made['id']}/test")
    assert good.status == 200
    assert (good.json()["delivered"], good.json()["excerpt"]) == (True, "thank you")
    assert look(place, made)["circuit"] == "closed"
    got = receiver.received[-1]
    event = verify(got.headers, got.body, [made["secret"]], now=float(got.headers["webhook-timestamp"]))
    assert event["type"] == "endpoint.test"
    seen = place.delivery(good.json()["id"])
    assert (seen["event_type"], seen["payload_id"], seen["state"]) == ("endpoint.test", None, "delivered")
    assert seen["tries"][0]["excerpt"] == "thank you"
    assert place.admin.post("/v1/endpoints/end_" + "0" * 32 + "/test").status == 404


def test_a_test_event_can_be_replayed(place: PayloadHouse, receiver: Receiver) -> None:
    made = register(place, receiver.url("/in"))
    tested = place.admin.post(f"/v1/endpoints/{made['id']}/test").json()
    assert place.admin.post(f"/v1/deliveries/{tested['id']}/replay").status == 200
    assert drain(place) == 1
    assert len({(one.headers["webhook-id"], one.body) for one in receiver.received}) == 1


# ---------------------------------------------------------------- endpoints that fail for days


def test_an_endpoint_that_fails_for_days_is_announced_and_then_disabled(
    place: PayloadHouse, receiver: Receiver
) -> None:
    made = opened(place, receiver)
    register(place, receiver.url("/notices"), event_types=["endpoint.disabling", "endpoint.disabled"])
    register(place, receiver.url("/payloads"))
    later(place, timedelta(days=3, hours=23))
    assert place.engine().step_keep() == 0
    later(place, timedelta(hours=2))
    assert place.engine().step_keep() == 1
    assert place.engine().step_keep() == 0, "once"
    drain(place)
    notices = [json.loads(one.body) for one in receiver.received if one.path == "/notices"]
    assert [(one["type"], one["data"]["endpoint"]) for one in notices] == [("endpoint.disabling", made["id"])]
    seen = look(place, made)
    assert seen["disabling_at"] == notices[0]["data"]["disabling_at"]
    later(place, DAY)
    assert place.engine().step_keep() == 1
    drain(place)
    assert (look(place, made)["state"], look(place, made)["disabled_for"]) == ("disabled", "failing")
    assert {one["state"] for one in place.deliveries(f"?endpoint_id={made['id']}")} == {"held"}
    notices = [json.loads(one.body)["type"] for one in receiver.received if one.path == "/notices"]
    assert notices == ["endpoint.disabling", "endpoint.disabled"]
    assert "/payloads" not in receiver.paths()
    events = {one["event"] for one in place.house.entries(place.admin)}
    assert events >= {"endpoint.disabling", "endpoint.disabled"}
    receiver.behave["/in"] = well
    place.admin.post(f"/v1/endpoints/{made['id']}/enable", {"replay_held": True})
    assert (look(place, made)["failing_since"], look(place, made)["circuit"]) == (None, "closed")
    assert drain(place) == IN_A_ROW + 1


def test_one_delivery_among_failures_keeps_an_endpoint_enabled(place: PayloadHouse, receiver: Receiver) -> None:
    made = opened(place, receiver)
    later(place, 4 * DAY)
    receiver.behave["/in"] = well
    assert asyncio.run(place.engine().step_send()) == 1
    receiver.behave["/in"] = answers(503)
    drain(place)
    later(place, 2 * DAY)
    assert place.engine().step_keep() == 0
    assert look(place, made)["state"] == "enabled"


class Stuck(Worker):
    """The product's own, which cannot finish preparing what goes to one endpoint before it is let go."""

    def __init__(self, place: PayloadHouse, endpoint: dict[str, Any]) -> None:
        super().__init__(place.services)
        self.endpoint = EndpointId.parse(endpoint["id"]).value
        self.stuck, self.free = threading.Event(), threading.Event()

    def prepare(self, place: Place, claims: Sequence[ClaimRow]) -> list[Prepared]:
        if any(claim.endpoint_id == self.endpoint for claim in claims):
            self.stuck.set()
            assert self.free.wait(60)
        return super().prepare(place, claims)


def test_an_endpoint_that_takes_what_it_gets_waits_for_no_other(place: PayloadHouse, receiver: Receiver) -> None:
    register(place, receiver.url("/well"))
    send(place, {"n": 1})
    engine = place.engine()

    async def arrived(count: int) -> None:
        while receiver.paths().count("/well") < count:
            await asyncio.sleep(0.02)

    async def run() -> None:
        stop = asyncio.Event()
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.run(stop))
            await arrived(1)
            new = await asyncio.to_thread(register, place, receiver.url("/new"))
            stuck = engine._worker = Stuck(place, new)
            try:
                await asyncio.to_thread(send, place, {"n": 2})
                await asyncio.to_thread(stuck.stuck.wait, 60)
                await asyncio.to_thread(send, place, {"n": 3})
                await arrived(3)
                assert "/new" not in receiver.paths()
            finally:
                stuck.free.set()
                stop.set()

    asyncio.run(run())
    assert contents(receiver, "/well") == [{"n": 1}, {"n": 2}, {"n": 3}]
