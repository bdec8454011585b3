"""Signed deliveries a second of one worker over TLS, by stage; and a healthy endpoint among a hundred bad ones."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import psycopg
import structlog
import uvloop
from instance import free_port
from payload_house import PayloadHouse, build_payload_house, found_house
from psycopg.conninfo import make_conninfo
from receiver import Receiver, answers, drips, hangs

from bench import nginx
from bench.report import row, write
from heldtrue.app.processes import SWITCH
from heldtrue.capabilities.deliveries.engine import Engine
from heldtrue.capabilities.deliveries.sender import Outcome
from heldtrue.capabilities.deliveries.worker import by_place
from heldtrue.crypto.tls import ensure_local_authority
from heldtrue.db.embedded import EmbeddedServer
from heldtrue.db.migrate import migrate
from heldtrue.db.roles import admit, at_database, establish
from heldtrue.db.tx import Database
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.secret import Secret

COUNT = int(os.environ.get("DELIVERIES", "3000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
BAD = 100
BACKLOG = 4
"""Deliveries that wait for each bad endpoint when a round begins."""
PACE, SECONDS = 40, float(os.environ.get("SECONDS", "5"))
TARGET = 1500
BODY = json.dumps({"filling": "x" * 1000}).encode()


@contextmanager
def database(root: Path) -> Generator[tuple[Database, Callable[[], None]]]:
    """Run an embedded server; yield its one database, and what autovacuum does by itself some seconds later."""
    server = EmbeddedServer(root)
    try:
        admin = server.start()
        roles = establish(admin, secrets.token_bytes)
        with psycopg.connect(admin.reveal(), autocommit=True) as conn:
            conn.execute("CREATE DATABASE bench")
        there = Secret(make_conninfo(admin.reveal(), dbname="bench"))
        admit(there)
        migrate(there)

        def analyze() -> None:
            with psycopg.connect(there.reveal(), autocommit=True) as conn:
                conn.execute("ANALYZE")

        with Database(at_database(roles, "bench")) as opened:
            yield opened, analyze
    finally:
        server.stop()


@contextmanager
def taking(root: Path) -> Generator[tuple[str, Path]]:
    """Run nginx that answers 204 to everything; yield its URL and its authority."""
    tls = ensure_local_authority(root, SystemClock().now())
    port = free_port()
    paths = f"ssl_certificate {tls.cert}; ssl_certificate_key {tls.key}; ssl_protocols TLSv1.3;"
    with nginx.running(f"server {{ listen 127.0.0.1:{port} ssl; {paths} location / {{ return 204; }} }}"):
        yield f"https://127.0.0.1:{port}", tls.ca


def bad(directory: str) -> None:
    """Be a receiver that hangs, drips and fails, until standard input ends."""
    with Receiver(Path(directory)) as receiver:
        for number in range(BAD):
            receiver.behave[f"/bad/{number}"] = (hangs, drips, answers(500))[number % 3]
        print(receiver.port, flush=True)
        sys.stdin.read()


@contextmanager
def bad_ones(root: Path) -> Generator[list[str]]:
    """Yield the URLs of a hundred endpoints that hang, drip, fail or refuse, served by another process."""
    command = [sys.executable, "-m", "bench.deliveries", "--bad", str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        port, closed = int(process.stdout.readline()), free_port()
        yield [f"https://127.0.0.1:{closed if n % 4 == 3 else port}/bad/{n}" for n in range(BAD)]
        process.stdin.close()


@dataclass
class Bench:
    """A house over a real database, and a worker with the real clock."""

    place: PayloadHouse

    @property
    def engine(self) -> Engine:
        return Engine(self.place.services, self.place.outgoing)

    def count(self, state: str, endpoint: str | None = None) -> int:
        with self.place.database.tenant(self.place.tenant, "live") as tx:
            return tx.value(
                "SELECT count(*) FROM heldtrue.deliveries WHERE state = %s AND (%s::uuid IS NULL OR endpoint_id = %s)",
                (state, endpoint, endpoint),
            )

    def send(self, count: int) -> None:
        for _ in range(count):
            got = self.place.send(BODY)
            assert got.status == 202, got.body

    def forward(self) -> float:
        """Forward everything that waits; return how many payloads a second."""
        engine, done, begun = self.engine, 0, time.perf_counter()
        while made := engine.step_forward():
            done += made
        return done / (time.perf_counter() - begun)

    async def run(self, ready: Callable[[], bool]) -> None:
        """Run an engine until *ready*."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.engine.run(stop))
        while not await asyncio.to_thread(ready):
            await asyncio.sleep(0.02)
        stop.set()
        await running


def stages(bench: Bench, count: int) -> dict[str, float]:
    """Return microseconds of CPU a delivery of each stage, by one worker that does one after the other.

    CPU, because time is not this process's own on a machine with others.
    """
    bench.send(count)
    spent: dict[str, float] = {}

    def timed(name: str, begun: float) -> None:
        spent[name] = spent.get(name, 0.0) + (time.process_time() - begun) / count * 1e6

    begun = time.process_time()
    bench.forward()
    timed("T2: forward (receipt, delivery, ledger)", begun)
    worker, now = bench.place.worker(), bench.place.services.clock.now

    async def through() -> None:
        async with bench.place.outgoing.dialer() as dialer:
            while True:
                begun = time.process_time()
                claims = worker.claim(64, {}, 64)
                timed("T3: claim", begun)
                if not claims:
                    return
                for spot, group in by_place(claims).items():
                    begun = time.process_time()
                    ready = worker.prepare(spot, group)
                    timed("T3: open and build the body", begun)
                    begun = time.process_time()
                    headers = [one.secrets.headers(one.id, now(), one.body) for one in ready]
                    timed("sign, v1 and v1a", begun)
                    begun = time.process_time()
                    posts = [dialer.post(one.url, one.body, h, now()) for one, h in zip(ready, headers, strict=True)]
                    responses = await asyncio.gather(*posts)
                    timed("POST over TLS", begun)
                    begun = time.process_time()
                    outcomes = [Outcome(one, now(), got) for one, got in zip(ready, responses, strict=True)]
                    worker.record(spot, outcomes)
                    timed("T4: record (attempt, ledger)", begun)

    uvloop.run(through())
    return spent


def throughput(bench: Bench, count: int) -> tuple[float, float, float]:
    """Return payloads forwarded a second, deliveries a second, and CPU of this process in ms a delivery."""
    bench.send(count)
    forwarded = bench.forward()
    wanted = bench.count("delivered") + count
    cpu, begun = _cpu(), time.perf_counter()
    uvloop.run(bench.run(lambda: bench.count("delivered") >= wanted))
    return forwarded, count / (time.perf_counter() - begun), (_cpu() - cpu) / count * 1000


def latencies(bench: Bench, endpoint: str, seconds: float) -> list[float]:
    """Send at a steady pace; return the milliseconds from a delivery's making to its record, of *endpoint*'s."""
    before = bench.place.services.clock.now()
    count = int(PACE * seconds)
    had = bench.count("delivered", endpoint)

    async def run() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(bench.engine.run(stop))
        for _ in range(count):
            await asyncio.gather(asyncio.to_thread(bench.send, 1), asyncio.sleep(1 / PACE))
        while await asyncio.to_thread(bench.count, "delivered", endpoint) < had + count:
            await asyncio.sleep(0.05)
        stop.set()
        await running

    uvloop.run(run())
    with bench.place.database.tenant(bench.place.tenant, "live") as tx:
        found = tx.value(
            """SELECT array_agg(extract(epoch FROM settled_at - created_at) * 1000) FROM heldtrue.deliveries
               WHERE endpoint_id = %s AND created_at > %s AND state = 'delivered'""",
            (endpoint, before),
        )
    return [float(one) for one in found]


def healthy(bench: Bench, url: str, bad_urls: Sequence[str]) -> tuple[float, float, float, float]:
    """Return the median p50 and p99 of a healthy endpoint alone, then among a hundred bad ones; rounds alternate."""
    admin = bench.place.admin

    def register(to: str, **more: Any) -> str:
        return admin.post("/v1/endpoints", {"url": to, **more}).json()["id"]

    well = register(f"{url}/healthy").removeprefix("end_")
    alone: list[list[float]] = []
    among: list[list[float]] = []
    latencies(bench, well, 1.0)
    for _ in range(ROUNDS):
        alone.append(latencies(bench, well, SECONDS))
        others = [register(one) for one in bad_urls]
        bench.send(BACKLOG)
        bench.forward()
        for other in others:  # from now on they have a backlog and get nothing new
            admin.call("PATCH", f"/v1/endpoints/{other}", body=b'{"event_types":[]}',
                       headers={"content-type": "application/json"})  # fmt: skip
        among.append(latencies(bench, well, SECONDS))
        for other in others:
            admin.delete(f"/v1/endpoints/{other}")
    return (
        statistics.median(_at(one, 0.5) for one in alone), statistics.median(_at(one, 0.99) for one in alone),
        statistics.median(_at(one, 0.5) for one in among), statistics.median(_at(one, 0.99) for one in among),
    )  # fmt: skip


def _at(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, print and write."""
    if missing := nginx.missing():
        raise SystemExit(f"install {missing} first: make test-deps")
    sys.setswitchinterval(SWITCH)  # as a process of the product
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    root = Path(tempfile.mkdtemp(prefix="heldtrue-bench-"))
    root.chmod(0o711)
    try:
        with ExitStack() as stack:
            opened, analyze = stack.enter_context(database(root))
            url, ca = stack.enter_context(taking(root / "good"))
            bad_urls = stack.enter_context(bad_ones(root / "bad"))
            house = found_house(opened)
            place = build_payload_house(
                house, root / "house", ca_file=ca, authorities=(root / "bad" / "ca.pem").read_text(),
                timeout=timedelta(seconds=15),
            )  # fmt: skip
            place.services = replace(place.services, clock=SystemClock())
            bench = Bench(place)
            whole = place.admin.post("/v1/endpoints", {"url": f"{url}/hook", "concurrency": 64}).json()["id"]
            stages(bench, 64)
            analyze()  # a round is over before the first statistics would be there, which a day's work always has
            spent = stages(bench, min(COUNT, 640))
            rounds = [throughput(bench, COUNT) for _ in range(ROUNDS)]
            place.admin.delete(f"/v1/endpoints/{whole}")
            p50, p99, among50, among99 = healthy(bench, url, bad_urls) if SECONDS else (0.0, 0.0, 0.0, 0.0)
            place.close()
            house.app.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    forwarded, sent, cpu = (statistics.median(values) for values in zip(*rounds, strict=True))
    told = "target, deliveries/s a worker"
    write(
        "deliveries",
        [
            row("signed deliveries, 1 KiB, over TLS", sent, "deliveries/s", told, TARGET),
            row("CPU of the worker", cpu, "ms/delivery"),
            row("payloads forwarded (T2)", forwarded, "payloads/s"),
            *(row(name, value, "us CPU/delivery") for name, value in spent.items()),
            row("healthy endpoint among 100 bad ones, p50", among50, "ms", "alone", p50),
            row("healthy endpoint among 100 bad ones, p99", among99, "ms", "alone", p99),
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bad"]:
        bad(sys.argv[2])
    else:
        main()
