"""The whole product under `kill -9` at seeded random moments, and nothing acknowledged is lost.

Here 12 kills during 120 payloads; `make drill` has 50 during 500, `make soak` 200 during 4,000, by `KILLS` and
`PAYLOADS` in the environment; with `CHAOS` (`make chaos`) the receiver fails in every way as well. The seed is printed
with every failure.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from instance import Instance, until
from receiver import Behaviour, Receiver, answers, babbles, drips, drops, hangs, well

from heldtrue_verify import tree
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.fetch import Server
from heldtrue_verify.receipt import RECEIPT_STEPS, ReceiptCase
from heldtrue_verify.tiles import TiledLog
from heldtrue_verify.verdicts import Verdict, walk

PAYLOADS = int(os.environ.get("PAYLOADS", "120"))
KILLS = int(os.environ.get("KILLS", "12"))
SEED = int(os.environ.get("SEED", "20261122"))
CHAOS = bool(os.environ.get("CHAOS"))
SENDERS = 4
WAYS = (answers(500), answers(503), answers(404), answers(429, **{"Retry-After": "1"}), drops, babbles, drips, hangs)
"""What a receiver in chaos does instead of taking a delivery."""

pytestmark = [pytest.mark.drill, pytest.mark.timeout(3600)]


@dataclass
class Campaign:
    """Senders that stop at nothing, and what they were promised."""

    instance: Instance
    key: str
    allowed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    acknowledged: dict[int, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        numbers = iter(range(PAYLOADS))

        def send_all() -> None:
            while True:
                self.allowed.acquire()
                with self.lock:
                    number = next(numbers, None)
                if number is None:
                    return
                self.send(number)

        self.threads = [threading.Thread(target=send_all, daemon=True) for _ in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def send(self, number: int) -> None:
        """Send payload *number* under one idempotency key until it is acknowledged."""
        headers = {"Idempotency-Key": f"payload-{number}", "Content-Type": "application/json"}
        body = json.dumps({"number": number, "filling": "x" * (number % 7) * 300}).encode()
        while not self.over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                said = self.instance.call("POST", "/v1/payloads", body, self.key, headers)
                if said.status == 202:
                    with self.lock:
                        self.acknowledged[number] = said.json()["id"]
                    return
                if said.status not in {409, 429, 503, 507}:  # 409: its twin's transaction is still under way
                    self.refused.append(f"{number}: {said.status} {said.body[:200]!r}")
                    return
            self.over.wait(0.05)


def erratic(dice: random.Random) -> Behaviour:
    """Return a behaviour that fails the first attempt of half of the deliveries, each in some way."""
    seen: set[str] = set()

    async def answer(receiver: Receiver, request: web.Request) -> web.StreamResponse:
        name = request.headers["webhook-id"]
        first = name not in seen
        seen.add(name)
        way = dice.choices(WAYS, [8, 8, 8, 8, 8, 8, 2, 1])[0] if first and dice.random() < 0.5 else well
        return await way(receiver, request)

    return answer


@pytest.fixture
def receiver(tmp_path: Path) -> Generator[Receiver]:
    behaviour = erratic(random.Random(SEED)) if CHAOS else well
    with Receiver(tmp_path / "receiver", default=behaviour) as running:
        yield running


@pytest.fixture
def instance(tmp_path: Path, receiver: Receiver) -> Generator[Instance]:
    tmp_path.chmod(0o755)
    limits = tmp_path / "heldtrue.toml"
    limits.write_text("[limits]\nrequests_per_second = 5000\nburst = 10000\n")
    flags = ("--allow-destination", "127.0.0.1/32", "--destination-ca", str(receiver.ca_file), "--config", str(limits))
    running = Instance(tmp_path, flags)
    receiver.ca_file.chmod(0o644)
    receiver.ca_file.parent.chmod(0o755)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def victims(dice: random.Random) -> list[str]:
    """Return whom to kill, in the seed's order; of each kind, so many in five."""
    kinds = ["tree", "tree", "supervisor", "below", "below"]
    chosen = [kinds[number % len(kinds)] for number in range(KILLS)]
    dice.shuffle(chosen)
    return chosen


def kill(instance: Instance, victim: str, dice: random.Random) -> None:
    """Kill, without warning, the whole tree, the supervisor, or one process below it."""
    if victim == "tree":
        instance.kill_tree()
    elif victim == "supervisor":
        instance.kill()
    elif below := instance.tree()[1:]:
        with contextlib.suppress(Exception):
            dice.choice(below).kill()


def test_kills_at_random_moments_lose_nothing_that_was_acknowledged(instance: Instance, receiver: Receiver) -> None:
    dice = random.Random(SEED)
    key = instance.organisation("Crash test")
    instance.done("POST", "/v1/endpoints", {"url": receiver.url("/hook"), "description": "drill"}, key)
    campaign = Campaign(instance, key)
    campaign.start()
    pin = instance.pin()
    published: list[str] = []
    kills: dict[str, int] = defaultdict(int)
    try:
        for victim in victims(dice):
            for _ in range(PAYLOADS // KILLS):
                campaign.allowed.release()
            time.sleep(dice.uniform(0.0, 0.6))  # the seeded moment
            kill(instance, victim, dice)
            kills[victim] += 1
            if instance.process is None or instance.process.poll() is not None:
                instance.start(ready=False)
            until(instance.ready, 60, f"ready again (seed {SEED})")
            published.append(instance.call("GET", "/log/checkpoint").body.decode())
        for _ in range(PAYLOADS + SENDERS):
            campaign.allowed.release()
        for thread in campaign.threads:
            thread.join(180)
    finally:
        campaign.over.set()
    assert not campaign.refused
    assert len(campaign.acknowledged) == PAYLOADS
    assert set(kills) == {"tree", "supervisor", "below"}
    assert len(set(campaign.acknowledged.values())) == PAYLOADS, "an idempotency key made two payloads"

    wanted = set(campaign.acknowledged.values())

    def arrived() -> set[str]:
        return {json.loads(one.body)["data"]["payload"]["id"] for one in list(receiver.received)}

    until(
        lambda: wanted <= arrived(),
        240 + PAYLOADS / 10,
        f"every acknowledged payload delivered (seed {SEED})",
        pause=0.5,
    )
    assert arrived() == wanted, "something was delivered that nobody was promised"
    until(
        lambda: not instance.done("GET", "/v1/deliveries?state=pending", None, key)["data"],
        900 if CHAOS else 120,
        "nothing is pending",
    )

    bodies: dict[str, set[bytes]] = defaultdict(set)
    receipts: dict[str, set[str]] = defaultdict(set)
    for one in receiver.received:
        document = json.loads(one.body)
        bodies[one.headers["webhook-id"]].add(one.body)
        receipts[document["data"]["payload"]["id"]].add(json.dumps(document["data"]["receipt"], sort_keys=True))
    assert all(len(different) == 1 for different in bodies.values()), "a delivery was resent with other bytes"
    assert all(len(different) == 1 for different in receipts.values()), "a payload has two receipts for one endpoint"

    newest = consistent_with(instance, pin, published)
    for text in (next(iter(one)) for one in receipts.values()):
        logged(instance, key, json.loads(text), pin)
    accepted = audited(instance, key, "payload.accepted")
    assert wanted <= accepted, "an acknowledged payload is not in the ledger"
    assert audited(instance, key, "payload.forwarded") == wanted, "the ledger counts other payloads than were forwarded"
    assert audited(instance, key, "delivery.attempted") == set(bodies), "the ledger counts other deliveries"
    duplicates = len(receiver.received) - len(bodies)
    print(f"kills {dict(kills)}, {duplicates} repeated deliveries, {newest} log entries, seed {SEED}")


def consistent_with(instance: Instance, pin: str, published: list[str]) -> int:
    """Assert that the tree of now extends every checkpoint that was ever published; return its size."""
    roots, now = Roots.parse(pin), datetime.now(UTC)
    newest = roots.open(instance.call("GET", "/log/checkpoint").body.decode(), now=now)
    heads = {(one.size, one.root) for text in published for one in [roots.open(text, now=now)]}
    with Server(instance.url, instance.ca_file) as server:
        entries = list(TiledLog(server, newest.size).entries(None))
    assert len(entries) == newest.size
    growing, at = tree.Frontier(), dict(heads)
    assert len(at) == len(heads), "two checkpoints of one size"
    for size, entry in enumerate(entries, 1):
        growing.append(tree.leaf_hash(entry))
        if size in at:
            assert growing.root() == at[size], f"the checkpoint at {size} is not a prefix of the log"
    assert growing.root() == newest.root
    assert len(set(entries)) == len(entries), "an entry is in the log twice"
    return newest.size


def logged(instance: Instance, key: str, receipt: dict[str, object], pin: str) -> None:
    """Assert that a receipt verifies with its proofs, and is the one that was delivered."""
    said = until(
        lambda: (got := instance.call("GET", f"/v1/receipts/{receipt['id']}/bundle", None, key)).status == 200 and got,
        30, "the receipt is in the log",
    )  # fmt: skip
    assert said.json()["receipt"] == receipt
    report = walk("receipt", RECEIPT_STEPS, ReceiptCase(said.body, Roots.parse(pin), datetime.now(UTC)))
    assert report.verdict is Verdict.HOLDS, report


def audited(instance: Instance, key: str, event: str) -> set[str]:
    """Return the subjects of every ledger entry of *event*."""
    subjects: set[str] = set()
    cursor = ""
    while True:
        page = instance.done("GET", f"/v1/audit?event={event}&limit=100{cursor}", None, key)
        subjects |= {entry["document"]["subject"] for entry in page["data"]}
        if page["next_cursor"] is None:
            return subjects
        cursor = f"&cursor={page['next_cursor']}"
