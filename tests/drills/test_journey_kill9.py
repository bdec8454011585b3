"""The whole product under `kill -9` at seeded random moments, its receiver failing in every way: nothing is lost.

Payloads come by HTTP and by mail. Here 9 kills during 90 payloads; `make drill` has 50 during 500, `make soak` 200
during 4,000, `make chaos` 200 during 50,000, by `KILLS` and `PAYLOADS` in the environment. `SEED` decides who is killed
and when, and how the receiver fails; it is printed at the beginning and with every failure.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from campaign import Campaign
from dns_server import serve_names
from instance import Instance, free_port, until
from reckoning import all_logged, audited, consistent_with, hurried, promised
from stormy import Stormy

PAYLOADS = int(os.environ.get("PAYLOADS", "90"))
KILLS = int(os.environ.get("KILLS", "9"))
SEED = int(os.environ.get("SEED", "20261122"))
LONG = PAYLOADS >= 1000
HOURS = 6 if LONG else 1
SETTINGS = """
[limits]
requests_per_second = 5000
burst = 10000

[mail]
listen = "127.0.0.1:{port}"
domain = "in.example.test"
hostname = "mx.example.test"
resolvers = ["127.0.0.1:{names}"]
connections_per_minute = 60000
"""
KINDS = ("tree", "supervisor", "worker", "web", "mail", "postgres", "any")

pytestmark = [pytest.mark.drill, pytest.mark.timeout(3600 * HOURS)]


@dataclass
class Stage:
    """The instance, whom it delivers to, and where it takes mail."""

    instance: Instance
    receiver: Stormy
    mail_port: int


@pytest.fixture
def stage(tmp_path: Path) -> Generator[Stage]:
    tmp_path.chmod(0o755)
    port, settings = free_port(), tmp_path / "heldtrue.toml"
    names = serve_names({("sender.test", "TXT"): ['"v=spf1 ip4:127.0.0.1 -all"']})
    with names as served, Stormy(tmp_path / "receiver", seed=SEED, patient=LONG) as receiver:
        settings.write_text(SETTINGS.format(port=port, names=served.port))
        receiver.ca_file.chmod(0o644)
        receiver.ca_file.parent.chmod(0o755)
        flags = ("--allow-destination", "127.0.0.1/32", "--destination-ca", str(receiver.ca_file))
        instance = Instance(tmp_path, (*flags, "--config", str(settings)))
        try:
            instance.start()
            yield Stage(instance, receiver, port)
        finally:
            instance.stop()


def victims(dice: random.Random) -> list[str]:
    """Return whom to kill, in the seed's order, as many of each kind as can be."""
    chosen = [KINDS[number % len(KINDS)] for number in range(KILLS)]
    dice.shuffle(chosen)
    return chosen


def kill(instance: Instance, victim: str, dice: random.Random) -> None:
    """Kill, without warning, the whole tree, the supervisor, or one process below it."""
    if victim == "tree":
        instance.kill_tree()
    elif victim == "supervisor":
        instance.kill()
    else:
        supervisor, *below = instance.tree()
        with contextlib.suppress(psutil.NoSuchProcess):
            named = [one for one in supervisor.children() if one.name() in {victim, f"heldtrue-{victim}"}]
            (named or [dice.choice(below)])[0].kill()  # it may just be on its way back: then anybody


def test_kills_at_random_moments_lose_nothing_that_was_acknowledged(stage: Stage) -> None:
    instance, receiver, dice, began = stage.instance, stage.receiver, random.Random(SEED), time.monotonic()
    print(f"\n{PAYLOADS} payloads, {KILLS} kills, seed {SEED}")
    key = instance.organisation("Crash test")
    made = instance.done("POST", "/v1/endpoints", {"url": receiver.url("/hook"), "description": "drill"}, key)
    receiver.secrets.append(made["secret"])
    address = instance.done("POST", "/v1/addresses", {"label": "drill"}, key)["address"]
    campaign = Campaign(instance, key, stage.mail_port, address, PAYLOADS)
    pin, published, kills = instance.pin(), list[str](), Counter[str]()

    def progress(doing: str) -> None:
        told = f"{len(campaign.acknowledged)} acknowledged, {campaign.mails()} of them mails"
        print(f"{time.monotonic() - began:6.0f} s  {doing}: {told}, {len(receiver.taken())} delivered", flush=True)

    campaign.start()
    try:
        for number, victim in enumerate(victims(dice), 1):
            campaign.allow(PAYLOADS // KILLS)
            time.sleep(dice.uniform(0.0, 0.6))  # the seeded moment
            kill(instance, victim, dice)
            kills[victim] += 1
            if instance.process is None or instance.process.poll() is not None:
                instance.start(ready=False)
            until(instance.ready, 60, f"ready again (seed {SEED})")
            published.append(instance.call("GET", "/log/checkpoint").body.decode())
            if number % 10 == 0:
                progress(f"kill {number}, {victim}")
        campaign.finish(180 + PAYLOADS / 10)
    finally:
        campaign.over.set()
    progress("all is sent")
    assert not campaign.refused
    assert len(campaign.acknowledged) == PAYLOADS
    assert set(kills) == set(KINDS)
    wanted = set(campaign.acknowledged.values())
    assert len(wanted) == PAYLOADS, "two were acknowledged with one payload"

    receiver.calm = True
    until(
        lambda: not hurried(instance, key) and wanted <= receiver.taken(),
        240 + PAYLOADS / 10,
        f"every acknowledged payload delivered and nothing pending (seed {SEED})",
        pause=1.0,
    )
    progress("all is delivered")
    reckon(stage, campaign, key)
    newest = consistent_with(instance, pin, published)
    progress(f"{newest} log entries are consistent with {len(published)} checkpoints")
    verified = all_logged(instance, key, [one.receipt for one in receiver.arrivals.values()], pin)
    again = sum(one.requests for one in receiver.arrivals.values()) - len(receiver.arrivals)
    print(
        f"{PAYLOADS} payloads ({campaign.mails()} by mail, {campaign.doubts.total()} mails sent again), {verified} "
        f"receipts verified, {again} repeated requests, kills {dict(kills)}, the receiver's failures "
        f"{dict(receiver.met)}, seed {SEED}: {time.monotonic() - began:.0f} s"
    )


def reckon(stage: Stage, campaign: Campaign, key: str) -> None:
    """Assert that what was sent, what arrived and what the ledgers say are the same."""
    instance, arrivals = stage.instance, stage.receiver.arrivals
    assert not stage.receiver.wrong
    payloads = Counter(one.payload for one in arrivals.values())
    assert set(payloads.values()) == {1}, "a payload was delivered under two ids"
    digests = {one.payload: one.sha256 for one in arrivals.values()}
    assert all(digests[one] == campaign.sent[number] for number, one in campaign.acknowledged.items())
    numbers = {digest: number for number, digest in campaign.sent.items()}
    unpromised = set(payloads) - set(campaign.acknowledged.values())
    repeated = Counter(numbers[digests[one]] for one in unpromised)
    assert repeated <= campaign.doubts, "something was delivered that nobody sent"
    assert audited(instance, key, "payload.accepted") == set(payloads), "the ledger counts other payloads"
    assert audited(instance, key, "payload.forwarded") == set(payloads), "the ledger counts others as forwarded"
    assert audited(instance, key, "delivery.attempted") == set(arrivals), "the ledger counts other deliveries"
    count = len(arrivals)
    assert promised(instance, key) == {"promised": count, "delivered": count, "failed": 0, "pending": 0}
