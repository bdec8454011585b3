"""Payloads of 1 KiB a second, each acknowledged when it is sealed, queued, audited and durable; `make bench-intake`.

First the whole server over TLS at 64 connections, as fast as it answers, then at a constant half of that rate; beside
it the same server when it does everything but store. Then the cost of a stored payload against the rows that are there
already (10 thousand to a million; `ROWS=5000000` for more), by the group commit alone.

No endpoint is registered, so what the worker forwards meanwhile has no receipts; on a machine with few cores it
competes all the same with the very load that it follows.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import instance as support
from instance import Instance

from bench import wrk
from bench.plot import curve
from bench.report import OUT, Row, row, write
from bench.stored import cost_by_rows

CONNECTIONS = 64
SECONDS = int(os.environ.get("SECONDS", "10"))
LONGEST = int(os.environ.get("ROWS", "1000000"))
LIMITS = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n"
FORGETFUL = """
import sys
from heldtrue.http import group
from heldtrue.http.exchange import Answer
CONTENT = b'{"id":"pay_' + b"0" * 32 + b'","state":"accepted","size":1024,"sha256":"' + b"0" * 64 + b'"}'
async def perform(self, member): return Answer(content=CONTENT)
group.GroupCommits.perform = perform
from heldtrue.app.cli import main
sys.argv[0] = "heldtrue"
main()
"""


class Forgetful(Instance):
    """An instance that authenticates, limits, hashes and seals as ever, and answers without storing."""

    def start(self, *, ready: bool = True) -> None:
        script = self.root / "heldtrue"
        script.write_text(f"#!{sys.executable}\n{FORGETFUL}")
        script.chmod(0o755)
        usual, support.HELDTRUE = support.HELDTRUE, script
        try:
            super().start(ready=ready)
        finally:
            support.HELDTRUE = usual


def payload() -> str:
    """Return an order in JSON, 1,024 bytes."""
    lines = [{"sku": f"A-{n}", "qty": n, "price": 12.5} for n in range(12)]
    text = json.dumps({"order": 1234567, "customer": "c-77", "lines": lines, "note": ""})
    return f"{text[:-2]}{'x' * (1024 - len(text))}{text[-2:]}"


def main() -> None:
    """Measure, print, write and plot."""
    with serving(Forgetful) as (server, key):
        bare = post(server, key)
    with serving(Instance) as (server, key):
        post(server, key, seconds=2)
        most = post(server, key)
        waiting = waits(server)
        time.sleep(1)
        half = post(server, key, per_second=most.per_second / 2)
        drained = drain(server)
    beside = "the same, answering without storing"
    rows: list[Row] = [
        row(f"acknowledged, {CONNECTIONS} connections", most.per_second, "payloads/s", beside, bare.per_second),
        row("  p50", most.p50, "ms", beside, bare.p50),
        row("  p99", most.p99, "ms", beside, bare.p99),
        row("at half that rate, p50", half.p50, "ms"),
        row("at half that rate, p99 (10 at most)", half.p99, "ms"),
        row("not forwarded yet when the load ended", waiting, "payloads"),
        row("forwarded afterwards, without load", drained, "payloads/s"),
    ]
    costs = cost_by_rows(payload().encode(), LONGEST)
    rows += [row(f"stored in groups of 64, {there:,} there", cost, "µs/payload") for there, cost in costs]
    rows.append(row("the last of these beside the first", costs[-1][1] / costs[0][1], "times"))
    write("intake", rows)
    curve(OUT / "intake.svg", "Cost of a payload against payloads stored", "payloads stored", "µs a payload",
          {"group commit of 64": costs})  # fmt: skip


@contextmanager
def serving(kind: type[Instance]) -> Generator[tuple[Instance, str]]:
    """Run an instance without limits that would be noticed; yield it and a key."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "heldtrue.toml").write_text(LIMITS)
        running = kind(root, ("--no-claims", "--config", str(root / "heldtrue.toml")))
        running.start()
        try:
            yield running, running.organisation("Benchmark")
        finally:
            running.stop()


def post(server: Instance, key: str, *, seconds: int = SECONDS, per_second: float | None = None) -> wrk.Load:
    """Drive the server."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    url = f"{server.url}/v1/payloads"
    return wrk.post(url, payload(), connections=CONNECTIONS, seconds=seconds, headers=headers, per_second=per_second)


def waits(server: Instance) -> float:
    """Return how many payloads wait to be forwarded."""
    text = server.call("GET", "/metrics").body.decode()
    found = re.search(r"^heldtrue_payloads_waiting ([0-9.e+]+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def drain(server: Instance, seconds: float = 5.0) -> float:
    """Return how many payloads a second are forwarded while nothing else happens; 0 when none waited."""
    before, begun = waits(server), time.perf_counter()
    while (left := waits(server)) and time.perf_counter() - begun < seconds:
        time.sleep(0.1)
    return (before - left) / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
