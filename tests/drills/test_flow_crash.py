"""A crash before or after any commit between a payload and its outputs: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flow_house import FlowHouse, result
from house import House, tenant_of
from payload_house import PayloadHouse, build_payload_house, found_house

from heldtrue.capabilities.deliveries.engine import Engine
from heldtrue.capabilities.transforms.engine import FlowEngine
from heldtrue.capabilities.transforms.worker import LEASE, FlowWorker
from heldtrue.db.tx import Database
from heldtrue.sandbox.jobs import Job, RunResult

pytestmark = pytest.mark.drill
SEED = 20261122
LARGE = "x" * 300_000
BOUNDARIES = 8
"""Transactions from an accepted payload to its outputs: look for it, plan, claim, look, keep, look, renew, finish."""


class CrashError(Exception):
    """The process is gone."""


class Fragile:
    """A database that goes away for good before, or after, its commit number *at*."""

    def __init__(self, database: Database, at: int, *, before: bool) -> None:
        self._database, self._at, self._before = database, at, before
        self.commits = 0
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def tenant(self, *place: Any) -> Generator[Any]:
        with self._mortal(self._database.tenant(*place)) as tx:
            yield tx

    @contextmanager
    def system(self) -> Generator[Any]:
        with self._mortal(self._database.system()) as tx:
            yield tx

    @contextmanager
    def _mortal(self, opened: Any) -> Generator[Any]:
        if self.dead:
            raise CrashError
        with opened as tx:
            yield tx
            self.commits += 1
            if self.commits == self._at and self._before:
                self.dead = True
                raise CrashError
        if self.commits == self._at:
            self.dead = True
            raise CrashError


@pytest.fixture(scope="module")
def plain(module_database: Database) -> Generator[House]:
    house = found_house(module_database)
    yield house
    house.app.close()


@pytest.fixture
def house(plain: House, tmp_path: Path) -> Generator[FlowHouse]:
    place = build_payload_house(plain, tmp_path)
    for path in ("a", "b"):
        place.register(f"https://127.0.0.1:9/{path}")
    built = FlowHouse(place)
    built.desk.answer = answer
    yield built
    for flow in place.admin.get("/v1/flows").json()["data"]:
        place.admin.delete(f"/v1/flows/{flow['id']}")
    place.close()


def answer(job: Job) -> RunResult:
    """Two steps: the first gives two, the second one large and one small."""
    if job.code == b"first":
        return result("small", "large")
    return result(LARGE if json.loads(job.payload.data) == "large" else "small")


def take(house: FlowHouse, database: Any) -> None:
    """Be one process: forward what waits, take what is due as far as it goes."""
    services = replace(house.place.services, database=database)
    Engine(services, house.place.outgoing).step_forward()
    try:
        asyncio.run(FlowEngine(FlowWorker(services), house.desk.run).step(16))
    except CrashError:
        return


def recover(house: FlowHouse) -> None:
    """Let the leases of the dead run out, and be the next process."""
    house.place.house.clock.at += LEASE + timedelta(seconds=1)
    take(house, house.place.database)


def assert_whole(house: FlowHouse, payload: str) -> None:
    place = house.place
    assert house.payload_state(payload) == "forwarded"
    run = house.only()
    assert (run["state"], run["outputs"]) == ("done", 2)
    outputs = house.outputs(payload)
    assert [(one["ordinal"], len(one["content"])) for one in outputs] == [(1, 7), (2, len(LARGE) + 2)]
    receipts = house.receipts(payload)
    assert len({(one["output"]["id"], one["endpoint"]) for one in receipts}) == len(receipts) == 4
    assert len(place.deliveries(f"?payload_id={payload}")) == 4
    events = [one["event"] for one in place.house.entries(place.admin)]
    assert [events.count(name) for name in ("flow.started", "flow.finished", "flow.failed")] == [1, 1, 0]
    with place.database.tenant(tenant_of(place.house, place.admin), "live") as tx:
        documents = set(tx.value("SELECT array_agg(leaf_id) FROM heldtrue.ledger_documents"))
        logged = set(tx.value("SELECT array_agg(leaf_id) FROM heldtrue.log_entries") or ())
    with place.database.system() as tx:
        pending = set(tx.value("SELECT array_agg(leaf_id) FROM heldtrue.log_pending") or ())
    assert documents <= logged | pending


def payload_through_two_steps(house: FlowHouse) -> str:
    house.flow(house.transform(code="first"), house.transform(code="second"))
    return house.payload()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, BOUNDARIES + 1))
def test_a_crash_at_any_commit_loses_nothing_and_doubles_nothing(house: FlowHouse, at: int, before: bool) -> None:
    payload = payload_through_two_steps(house)
    fragile = Fragile(house.place.database, at, before=before)
    with suppress(CrashError):
        take(house, fragile)
    assert fragile.dead, "the crash did not happen: count the transactions anew"
    recover(house)
    assert_whole(house, payload)


def test_there_are_no_more_commits_than_are_crashed_at(house: FlowHouse) -> None:
    payload = payload_through_two_steps(house)
    sound = Fragile(house.place.database, 0, before=False)
    take(house, sound)
    assert_whole(house, payload)
    assert sound.commits == BOUNDARIES + 1  # the last one finds nothing more to do


def test_a_crash_after_another_loses_nothing_either(house: FlowHouse) -> None:
    moments = random.Random(SEED)
    payload = payload_through_two_steps(house)
    for _ in range(12):
        fragile = Fragile(house.place.database, moments.randint(1, 6), before=moments.random() < 0.5)
        house.place.house.clock.at += LEASE + timedelta(seconds=1)
        with suppress(CrashError):
            take(house, fragile)
    recover(house)
    assert_whole(house, payload)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_schedule_is_kept_once_across_a_crash(house: FlowHouse, at: int, before: bool) -> None:
    house.flow(house.transform(code="second"), trigger="schedule", schedule={"cron": "0 * * * *"}, endpoint_ids=[])
    house.place.house.clock.at += timedelta(hours=1)
    services = replace(house.place.services, database=Fragile(house.place.database, at, before=before))  # type: ignore[arg-type]
    with pytest.raises(CrashError):
        FlowWorker(services).fire_due()
    again = FlowWorker(house.place.services).fire_due()
    assert again == (0 if (at, before) == (2, False) else 1)
    assert len(house.runs()) == 1
    recover(house)
    assert house.only()["state"] == "done"


def test_a_late_worker_is_refused_by_the_fence(house: FlowHouse) -> None:
    payload = payload_through_two_steps(house)
    place: PayloadHouse = house.place
    place.engine().step_forward()
    worker = house.worker()
    [claim] = worker.claim(1)
    work = worker.look(claim)
    assert work is not None
    recover(house)
    assert_whole(house, payload)
    from heldtrue.capabilities.transforms.steps import Tried

    late = Tried(outputs=[b'"late"'], sandbox="s")
    assert not worker.keep(work, late)
    assert not worker.fail(work, Tried(outcome="crashed"))
    assert not worker.wait(claim)
    assert_whole(house, payload)
