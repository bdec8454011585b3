"""Payloads per second through the whole journey: sent, sealed, receipted, delivered over TLS, and logged."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from instance import Instance, until
from receiver import Receiver

from bench import nginx, wrk
from bench.plot import curve
from bench.report import OUT, row, write

PAYLOADS = 1500
SIZES = (1024, 16 * 1024, 128 * 1024, 1024 * 1024)
CONNECTIONS = 16
LIMITS = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n"


async def send(instance: Instance, key: str, count: int, size: int) -> None:
    """Send *count* payloads of *size* bytes over a few connections; every one must be acknowledged."""
    context = ssl.create_default_context(cafile=str(instance.ca_file))
    numbers = iter(range(count))
    body = json.dumps({"filling": "x" * (size - 16)}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def some() -> None:
            for _ in numbers:
                async with session.post(f"{instance.url}/v1/payloads", data=body) as answer:
                    if answer.status != 202:
                        raise RuntimeError(await answer.text())

        await asyncio.gather(*(some() for _ in range(CONNECTIONS)))


def journey(instance: Instance, receiver: Receiver, key: str, count: int, size: int) -> tuple[float, float]:
    """Return seconds until all were acknowledged, and until all had arrived."""
    receiver.received.clear()
    begun = time.perf_counter()
    asyncio.run(send(instance, key, count, size))
    acknowledged = time.perf_counter() - begun
    until(lambda: len(receiver.received) >= count, 300, "all delivered", pause=0.01)
    return acknowledged, time.perf_counter() - begun


def main() -> None:
    """Measure, print, write and plot."""
    with tempfile.TemporaryDirectory() as name, Receiver(Path(name) / "receiver") as receiver:
        root = Path(name)
        (root / "heldtrue.toml").write_text(LIMITS)
        flags = ("--no-claims", "--allow-destination", "127.0.0.1/32", "--destination-ca", str(receiver.ca_file))
        instance = Instance(root, (*flags, "--config", str(root / "heldtrue.toml")))
        instance.start()
        try:
            key = instance.organisation("Benchmark")
            instance.done("POST", "/v1/endpoints", {"url": receiver.url("/hook"), "description": "bench"}, key)
            journey(instance, receiver, key, 100, 1024)
            rounds = [journey(instance, receiver, key, PAYLOADS // 3, 1024) for _ in range(3)]
            acknowledged, arrived = sorted(rounds)[1]
            costs: list[float] = []
            for size in SIZES:
                costs.append(journey(instance, receiver, key, 60, size)[1] / 60 * 1000)
        finally:
            instance.stop()
    reference = None
    if nginx.missing() is None:
        with nginx.serving(b"x" * 1024) as url:
            reference = wrk.load(url, connections=CONNECTIONS).per_second
    count = PAYLOADS // 3
    told = "nginx static 1 KiB over TLS, requests/s"
    write(
        "journey",
        [
            row("payloads acknowledged, 1 KiB", count / acknowledged, "payloads/s", told, reference),
            row("payloads through the whole journey, 1 KiB", count / arrived, "payloads/s", told, reference),
            *(
                row(f"whole journey, {size // 1024} KiB", cost, "ms/payload")
                for size, cost in zip(SIZES, costs, strict=True)
            ),
        ],
    )
    curve(OUT / "journey.svg", "Whole journey: cost against size", "KiB", "ms a payload",
          {"measured": [(size / 1024, cost) for size, cost in zip(SIZES, costs, strict=True)]})  # fmt: skip


if __name__ == "__main__":
    main()
