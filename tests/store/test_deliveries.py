"""Deliveries over a real database and a real receiver: the schedule, the fence, what is held, what is unknown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from house import House
from payload_house import PayloadHouse, build_payload_house, found_house
from receiver import Receiver, answers, hangs, well

from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.deliveries.recording import UNKNOWN_WAIT
from heldtrue.capabilities.deliveries.schedule import DELAYS
from heldtrue.capabilities.deliveries.sender import Outcome
from heldtrue.capabilities.deliveries.worker import Worker, by_place
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import UnavailableError

MINUTE = timedelta(minutes=1)


@pytest.fixture
def receiver(tmp_path: Path) -> Generator[Receiver]:
    with Receiver(tmp_path / "receiver") as one:
        yield one


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture
def place(plain: House, tmp_path: Path, receiver: Receiver) -> Generator[PayloadHouse]:
    built = build_payload_house(plain, tmp_path, ca_file=receiver.ca_file, timeout=timedelta(seconds=3))
    yield built
    built.close()


def only(place: PayloadHouse) -> dict[str, Any]:
    [one] = place.deliveries()
    return place.delivery(one["id"])


def later(place: PayloadHouse, wait: timedelta) -> None:
    place.house.clock.at += wait


def claims_of(place: PayloadHouse) -> list[Any]:
    return place.worker().claim(64, {})


def test_a_failing_delivery_keeps_the_whole_schedule_and_can_be_replayed(
    place: PayloadHouse, receiver: Receiver
) -> None:
    receiver.behave["/in"] = answers(500, "not now")
    place.register(receiver.url("/in"))
    place.send()
    for number in range(1, len(DELAYS) + 1):
        assert place.deliver() == 1
        one = only(place)
        assert one["attempts"] == number
        if number < len(DELAYS):
            assert one["state"] == "pending"
            wait = datetime.fromisoformat(one["due_at"]) - place.house.clock.at
            assert DELAYS[number] - timedelta(seconds=1) <= wait <= DELAYS[number] * 1.1
            later(place, DELAYS[number] - timedelta(seconds=2))
            assert place.deliver() == 0
            later(place, DELAYS[number] * 0.1 + timedelta(seconds=2))
    one = only(place)
    assert (one["state"], one["due_at"]) == ("failed", None)
    assert {(tried["status"], tried["excerpt"]) for tried in one["tries"]} == {(500, "not now")}
    assert len({(got.headers["webhook-id"], got.body) for got in receiver.received}) == 1
    assert len({got.headers["webhook-timestamp"] for got in receiver.received}) == len(DELAYS)

    receiver.behave["/in"] = well
    later(place, MINUTE)  # ten failures in a row opened its circuit
    replayed = place.admin.post(f"/v1/deliveries/{one['id']}/replay")
    assert (replayed.status, replayed.json()["state"]) == (200, "pending")
    assert place.deliver() == 1
    assert only(place)["state"] == "delivered"
    assert receiver.received[-1].body == receiver.received[0].body


@pytest.mark.parametrize("status", [300, 301, 304, 400, 401, 404, 418, 500, 503])
def test_nothing_but_2xx_counts_as_delivered(place: PayloadHouse, receiver: Receiver, status: int) -> None:
    receiver.behave["/in"] = answers(status)
    place.register(receiver.url("/in"))
    place.send()
    place.deliver()
    assert (only(place)["state"], only(place)["tries"][0]["status"]) == ("pending", status)


def test_410_disables_the_endpoint_and_holds_what_is_meant_for_it(place: PayloadHouse, receiver: Receiver) -> None:
    receiver.behave["/in"] = answers(410)
    endpoint = place.register(receiver.url("/in"))
    for _ in range(3):
        place.send()
    assert place.deliver() == 3
    place.send()
    assert place.deliver() == 0
    assert place.admin.get(f"/v1/endpoints/{endpoint['id']}").json()["disabled_for"] == "gone"
    held = place.deliveries("?state=held")
    assert len(held) == 4
    assert place.admin.post(f"/v1/deliveries/{held[0]['id']}/replay").code == "endpoint-disabled"
    assert "endpoint.disabled" in [one["event"] for one in place.house.entries(place.admin)]

    receiver.behave["/in"] = well
    enabled = place.admin.post(f"/v1/endpoints/{endpoint['id']}/enable", {})
    assert enabled.json() == {"id": endpoint["id"], "state": "enabled", "replayed": 0}
    assert place.deliver() == 0
    assert place.admin.post(f"/v1/deliveries/{held[0]['id']}/replay").status == 200
    assert place.deliver() == 1
    assert place.admin.post(f"/v1/endpoints/{endpoint['id']}/enable", {"replay_held": True}).json()["replayed"] == 3
    assert place.deliver() == 3
    assert {one["state"] for one in place.deliveries()} == {"delivered"}


def test_a_disabled_endpoint_loses_nothing_and_a_deleted_one_is_forgotten(
    place: PayloadHouse, receiver: Receiver
) -> None:
    endpoint = place.register(receiver.url("/in"))
    place.send()
    place.engine().step_forward()
    stopped = place.admin.post(f"/v1/endpoints/{endpoint['id']}/disable")
    assert stopped.json()["deliveries"] == 1
    place.send()
    assert place.deliver() == 0
    assert {one["state"] for one in place.deliveries()} == {"held"}
    assert place.admin.delete(f"/v1/endpoints/{endpoint['id']}").json()["deliveries"] == 2
    assert {one["state"] for one in place.deliveries()} == {"failed"}
    assert place.admin.get(f"/v1/endpoints/{endpoint['id']}").status == 404
    place.send()
    assert place.deliver() == 0
    assert len(place.deliveries()) == 2


def test_retry_after_is_honoured_for_the_endpoint_as_a_whole(place: PayloadHouse, receiver: Receiver) -> None:
    receiver.behave["/in"] = answers(429, **{"Retry-After": "120"})
    place.register(receiver.url("/in"))
    engine = place.engine()
    place.send()
    engine.step_forward()
    assert asyncio.run(engine.step_send()) == 1
    wait = datetime.fromisoformat(only(place)["due_at"]) - place.house.clock.at
    assert timedelta(seconds=118) < wait <= timedelta(seconds=120)
    place.send()
    engine.step_forward()
    assert asyncio.run(engine.step_send()) == 0
    receiver.behave["/in"] = well
    later(place, timedelta(seconds=121))
    assert asyncio.run(engine.step_send()) == 1, "it begins again with one"
    assert asyncio.run(engine.step_send()) == 1


def test_one_dead_endpoint_does_not_keep_the_others_back(place: PayloadHouse, receiver: Receiver) -> None:
    receiver.behave["/dead"] = hangs
    place.register(receiver.url("/dead"))
    place.register(receiver.url("/well"))
    for _ in range(12):
        place.send()
    assert place.engine().step_forward() == 12
    claims = claims_of(place)
    assert sorted([claim.endpoint_id for claim in claims].count(one) for one in {c.endpoint_id for c in claims}) == [
        8,
        8,
    ]
    again = claims_of(place)
    assert len(again) == 8
    assert claims_of(place) == []


def test_the_claim_respects_the_room_of_each_endpoint(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/a"))
    for _ in range(5):
        place.send()
    place.engine().step_forward()
    worker = place.worker()
    [first] = worker.claim(1, {})
    assert worker.claim(64, {first.endpoint_id: 0}) == []
    assert len(worker.claim(64, {first.endpoint_id: 2})) == 2
    assert len(worker.claim(64, {})) == 2


def test_an_interrupted_attempt_is_recorded_as_unknown_and_made_again_at_once(
    place: PayloadHouse, receiver: Receiver
) -> None:
    place.register(receiver.url("/in"))
    place.send()
    place.engine().step_forward()
    [claim] = claims_of(place)
    assert not claim.interrupted
    assert place.deliver() == 0, "the lease holds"
    later(place, timedelta(seconds=31))
    assert place.deliver() == 1
    one = only(place)
    assert one["state"] == "delivered"
    assert [(tried["number"], tried["failure"], tried["status"]) for tried in one["tries"]] == [
        (1, "unknown-outcome", None),
        (2, None, 200),
    ]
    assert [e["detail"]["failure"] for e in place.house.entries(place.admin) if e["event"] == "delivery.attempted"] == [
        "unknown-outcome",
        None,
    ]


def test_a_delivery_that_kills_its_worker_again_and_again_waits(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    place.send()
    place.engine().step_forward()
    worker = place.worker()
    for _ in range(3):
        for spot, claims in by_place(claims_of(place)).items():
            assert worker.prepare(spot, claims)
        later(place, timedelta(seconds=31))
    assert place.deliver() == 0
    one = only(place)
    assert [tried["failure"] for tried in one["tries"]] == ["unknown-outcome"] * 3
    assert datetime.fromisoformat(one["due_at"]) - place.house.clock.at > UNKNOWN_WAIT - MINUTE
    later(place, UNKNOWN_WAIT)
    assert place.deliver() == 1
    assert only(place)["state"] == "delivered"


def test_a_late_worker_is_refused_by_the_fence(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    place.send()
    place.engine().step_forward()
    worker = place.worker()
    [(spot, [slow])] = by_place(claims_of(place)).items()
    [held] = worker.prepare(spot, [slow])
    later(place, timedelta(seconds=31))
    [(_, [quick])] = by_place(claims_of(place)).items()
    assert quick.fence == slow.fence + 1
    [taken] = worker.prepare(spot, [quick])
    assert worker.prepare(spot, [slow]) == []
    late = Outcome(held, place.house.clock.now(), Response(status=500))
    assert worker.record(spot, [late]) == 0
    assert worker.record(spot, [Outcome(taken, place.house.clock.now(), Response(status=200))]) == 1
    assert worker.record(spot, [late]) == 0
    one = only(place)
    assert (one["state"], [tried["status"] for tried in one["tries"]][:2]) == ("delivered", [None, 200])


def test_a_delivered_one_stays_delivered_whatever_comes_after(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    place.send()
    place.engine().step_forward()
    worker = place.worker()
    [(spot, claims)] = by_place(claims_of(place)).items()
    [held] = worker.prepare(spot, claims)
    for status in (200, 500, 410):
        worker.record(spot, [Outcome(held, place.house.clock.now(), Response(status=status))])
        if status != 410:
            assert only(place)["state"] == "delivered"


def test_a_replay_of_what_is_under_way_is_refused(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    place.send()
    place.engine().step_forward()
    claims_of(place)
    assert place.admin.post(f"/v1/deliveries/{only(place)['id']}/replay").code == "delivery-busy"


def test_what_is_erased_before_it_is_sent_is_not_sent(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    payload = place.send().json()["id"]
    place.engine().step_forward()
    worker = place.worker()
    [(spot, claims)] = by_place(claims_of(place)).items()
    place.admin.delete(f"/v1/payloads/{payload}")
    assert worker.prepare(spot, claims) == []
    assert only(place)["state"] == "failed"
    assert receiver.received == []


def test_the_running_engine_delivers_and_stops_cleanly(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    for _ in range(30):
        place.send()

    async def run() -> None:
        stop = asyncio.Event()
        engine = asyncio.create_task(place.engine().run(stop))
        async with asyncio.timeout(20):
            while len(await asyncio.to_thread(place.deliveries_delivered)) < 30:
                await asyncio.sleep(0.05)
            stop.set()
            await engine

    asyncio.run(run())
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 30


def test_a_payload_that_cannot_be_forwarded_keeps_nobody_back(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/in"))
    broken = place.send().json()["id"]
    whole = [place.send().json()["id"] for _ in range(3)]
    with place.database.tenant(place.tenant, "live") as tx:
        tx.execute(
            "UPDATE heldtrue.payloads SET meta_sealed = 'broken' WHERE payload_id = %s", (broken.removeprefix("pay_"),)
        )
    engine = place.engine()
    assert engine.step_forward() == 3
    assert engine.step_forward() == 0
    assert {one["payload_id"] for one in place.deliveries()} == set(whole)


def test_outcomes_survive_a_database_that_goes_away(
    place: PayloadHouse, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.register(receiver.url("/in"))
    place.send()
    engine = place.engine()
    engine.step_forward()
    worker, calls = engine._worker, 0  # pyright: ignore[reportPrivateUsage]
    record = worker.record

    def flaky(spot: Any, outcomes: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise UnavailableError
        return record(spot, outcomes)

    monkeypatch.setattr(worker, "record", flaky)
    assert asyncio.run(engine.step_send()) == 1
    assert (calls, only(place)["state"]) == (2, "delivered")


def test_what_is_not_recorded_yet_holds_nothing_else_up(
    place: PayloadHouse, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that takes one at a time is sent the next one once it answered, and nothing twice."""
    place.register(receiver.url("/in"), concurrency=1)
    for _ in range(5):
        place.send()
    recorded = threading.Event()
    record = Worker.record

    def waits(self: Worker, spot: Any, outcomes: Any) -> int:
        assert recorded.wait(20)
        return record(self, spot, outcomes)

    monkeypatch.setattr(Worker, "record", waits)

    async def run() -> None:
        stop = asyncio.Event()
        engine = asyncio.create_task(place.engine().run(stop))
        async with asyncio.timeout(20):
            while len(receiver.received) < 5:
                await asyncio.sleep(0.01)
            assert await asyncio.to_thread(place.deliveries_delivered) == []
            recorded.set()
            while len(await asyncio.to_thread(place.deliveries_delivered)) < 5:
                await asyncio.sleep(0.05)
            stop.set()
            await engine

    asyncio.run(run())
    assert len({got.headers["webhook-id"] for got in receiver.received}) == len(receiver.received) == 5


def test_endpoints_of_others_are_not_sent_to(place: PayloadHouse, receiver: Receiver) -> None:
    place.register(receiver.url("/mine"))
    other = place.house.organisation("Other")
    other.post("/v1/endpoints", {"url": receiver.url("/theirs")})
    place.send()
    place.deliver()
    assert receiver.paths() == ["/mine"]


def test_secrets_and_urls_lie_sealed(place: PayloadHouse, receiver: Receiver) -> None:
    endpoint = place.register(receiver.url("/a-canary-in-the-url"))
    with place.database.tenant(place.tenant, "live") as tx:
        row: Mapping[str, Any] = tx.value("SELECT to_jsonb(e) FROM heldtrue.endpoints e")
    text = str(row)
    for clear in ("a-canary-in-the-url", "books", endpoint["secret"]):
        assert clear not in text
        assert clear.encode().hex() not in text
