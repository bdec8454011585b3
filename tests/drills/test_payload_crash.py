"""`kill -9` anywhere between a payload and its receiver: what was acknowledged arrives, and no receipt changes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any
from uuid import UUID

import payload_process
import psycopg
import pytest
from house import House
from payload_house import PayloadHouse, build_payload_house, found_house, webhook
from receiver import Receiver

from heldtrue.db.tx import Database

pytestmark = pytest.mark.drill
SEED = 20261120
LEASE = 31
"""Seconds after which a dead worker's deliveries are taken over; the drill shifts the leases instead of waiting."""


@pytest.fixture
def receiver(tmp_path: Path) -> Generator[Receiver]:
    with Receiver(tmp_path / "receiver") as one:
        yield one


@pytest.fixture
def plain(database: Database) -> Generator[House]:
    house = found_house(database)
    yield house
    house.app.close()


@pytest.fixture
def place(plain: House, tmp_path: Path, receiver: Receiver) -> Generator[PayloadHouse]:
    built = build_payload_house(plain, tmp_path, ca_file=receiver.ca_file)
    built.register(receiver.url("/a"))
    built.register(receiver.url("/b"))
    yield built
    built.house.app.close()


class Drill:
    """Starts processes on the same database and object store, and keeps what they acknowledged."""

    def __init__(self, place: PayloadHouse, superuser: psycopg.Connection) -> None:
        self.place = place
        self.superuser = superuser
        self.acknowledged: list[str] = []
        self.receipts: dict[UUID, bytes] = {}
        dsns = place.database.dsns
        self.told = {
            "dsns": {name: getattr(dsns, name).reveal() for name in ("tenant", "edge", "system")},
            "platform": place.services.platform.to_bytes().reveal().hex(),
            "objects": str(place.directory / "objects"),
            "ca_file": str(place.outgoing.ca_file),
            "tenant": str(place.tenant.value),
        }

    def start(self, **told: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, payload_process.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({**self.told, **told}) + "\n")
        process.stdin.flush()
        return process

    def ended(self, process: subprocess.Popen[str]) -> int:
        """Wait for the end, and note every line that came before it: a payload whose commit was reported."""
        out, _ = process.communicate(timeout=60)
        self.acknowledged += [line for line in out.splitlines() if line.startswith("pay_")]
        return process.returncode

    def expire_leases(self) -> None:
        """Let the time of a lease pass."""
        self.superuser.execute(
            "UPDATE heldtrue.deliveries SET lease_until = lease_until - make_interval(secs => %s)", [LEASE]
        )

    def remember_receipts(self) -> None:
        """Note what every receipt says; raise where one says something else than before."""
        rows = self.superuser.execute(
            "SELECT payload_id, endpoint_id, receipt_id, digest FROM heldtrue.receipts"
        ).fetchall()
        assert len({row[:2] for row in rows}) == len(rows)
        for _, _, receipt, digest in rows:
            assert self.receipts.setdefault(receipt, digest) == digest
        assert len(rows) == len(self.receipts)

    def settle(self) -> None:
        """Run undisturbed until nothing is pending."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.expire_leases()
            assert self.ended(self.start(does="steps")) == 0
            waiting = self.superuser.execute(
                "SELECT (SELECT count(*) FROM heldtrue.payloads WHERE state = 'accepted')"
                " + (SELECT count(*) FROM heldtrue.deliveries WHERE state = 'pending')"
            ).fetchone()
            if waiting == (0,):
                return
        raise AssertionError("deliveries are still pending")

    def check(self, receiver: Receiver) -> None:
        """Everything acknowledged was delivered to both endpoints; per delivery the bytes are always the same."""
        self.remember_receipts()
        bodies: dict[str, bytes] = {}
        arrived: dict[tuple[str, str], set[str]] = {}
        for got in receiver.received:
            name = got.headers["webhook-id"]
            assert bodies.setdefault(name, got.body) == got.body
            data = webhook(got.body)["data"]
            arrived.setdefault((data["payload"]["id"], got.path), set()).add(data["receipt"]["id"])
        assert self.acknowledged
        for payload in self.acknowledged:
            for path in ("/a", "/b"):
                assert len(arrived.get((payload, path), ())) == 1, (payload, path)
        states = self.superuser.execute("SELECT state, count(*) FROM heldtrue.deliveries GROUP BY state").fetchall()
        payloads = self.superuser.execute("SELECT count(*) FROM heldtrue.payloads WHERE state = 'forwarded'").fetchone()
        assert payloads is not None
        assert states == [("delivered", len(self.receipts))] == [("delivered", 2 * payloads[0])]
        attempts = self.superuser.execute(
            "SELECT count(*) FROM heldtrue.attempts a JOIN heldtrue.deliveries d USING (delivery_id)"
            " GROUP BY delivery_id, d.attempts HAVING count(*) <> d.attempts"
        ).fetchall()
        assert attempts == []
        leaves = self.superuser.execute(
            "SELECT count(*) FROM heldtrue.ledger_documents d WHERE NOT EXISTS"
            " (SELECT FROM heldtrue.log_pending p WHERE p.leaf_id = d.leaf_id)"
            " AND NOT EXISTS (SELECT FROM heldtrue.log_entries e WHERE e.leaf_id = d.leaf_id)"
        ).fetchone()
        assert leaves == (0,)


@pytest.fixture
def drill(place: PayloadHouse, superuser: psycopg.Connection) -> Drill:
    return Drill(place, superuser)


@pytest.mark.parametrize("point", payload_process.POINTS)
def test_a_kill_between_any_two_durable_steps_loses_nothing(drill: Drill, receiver: Receiver, point: str) -> None:
    intake = point in {"object-written", "T1-before", "T1-after"}
    assert drill.ended(drill.start(does="take-in", **{"from": 1, "to": 4})) == 0
    assert len(drill.acknowledged) == 3
    if intake:
        assert drill.ended(drill.start(does="take-in", dies_at=point, **{"from": 3, "to": 5})) == -9
        assert len(drill.acknowledged) == 3
    elif point.startswith("group-"):
        assert drill.ended(drill.start(does="take-in-group", **{"from": 10, "to": 15})) == 0
        assert len(drill.acknowledged) == 8
        assert drill.ended(drill.start(does="take-in-group", dies_at=point, **{"from": 20, "to": 25})) == -9
        assert len(drill.acknowledged) == 8
    else:
        assert drill.ended(drill.start(does="steps", dies_at=point)) == -9
    drill.remember_receipts()
    drill.settle()
    drill.check(receiver)
    grouped = {"group-worked": 8, "group-sent": 8, "group-committed": 13}
    kept = {"object-written": 3, "T1-before": 3, "T1-after": 4, **grouped}.get(point, 3)
    assert len(drill.place.admin.get("/v1/payloads").json()["data"]) == kept


def test_kills_at_random_moments_of_the_running_engine_lose_nothing(drill: Drill, receiver: Receiver) -> None:
    moments = random.Random(SEED)
    number = 1
    for _ in range(6):
        sending = drill.start(does="run")
        assert sending.stdout is not None
        assert sending.stdout.readline() == "running\n"
        taking = drill.start(does="take-in", **{"from": number, "to": number + 40})
        number += 40
        time.sleep(moments.uniform(0.0, 0.6))  # the moment is what is drilled
        first, second = moments.sample([sending, taking], 2)
        first.kill()
        time.sleep(moments.uniform(0.0, 0.3))
        second.kill()
        drill.ended(taking)
        drill.ended(sending)
        drill.remember_receipts()
        drill.expire_leases()
        if len(drill.acknowledged) >= 60:
            break
    if not drill.acknowledged:
        assert drill.ended(drill.start(does="take-in", **{"from": number, "to": number + 3})) == 0
    drill.settle()
    drill.check(receiver)
