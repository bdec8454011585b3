"""What one organisation's flood, ten times its limit, does to another's answers; run `python -m bench flood`.

A real instance with a forward-auth door. The quiet organisation asks at an even pace over a few connections; the other
one floods from a process of its own. Rounds with and without the flood take turns, so that a machine that slows down
slows both; the figure is the median of the rounds' ratios of p99.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from instance import Instance, free_port

from bench.report import Row, row, write

LIMIT, TIMES = 200, 10
"""Requests a second that each organisation may send, and by how much the flood is over that."""
CALM = 100
"""Requests a second of the quiet organisation."""
CONNECTIONS = 4
ROUNDS, SECONDS = 9, 4.0
ALLOWED = 1.2
"""How much slower the quiet organisation's p99 may be."""
SETTINGS = """
claims = false
[edge]
listen = "127.0.0.1:{port}"
trusted_proxies = ["127.0.0.1/32"]
[edge.limits.organisation]
burst = {limit}
per_second = {limit}
[edge.limits.key]
burst = {limit}
per_second = {limit}
"""


@dataclass
class Answers:
    """What came back to one organisation."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return statistics.quantiles(self.seconds, n=100)[98] * 1000


@dataclass(frozen=True)
class Round:
    """One round without the flood, and the next one under it."""

    quiet: Answers
    flooded: Answers
    flood: Counter[int]


async def ask(
    port: int, key: str, per_second: float, seconds: float, connections: int, *, all_of_them: bool = True
) -> Answers:
    """Ask the door at an even pace; a request that is due waits for nobody, so what queues counts as waiting.

    With *all_of_them* every request is sent, however late; otherwise none after so many seconds.
    """
    answers, begun = Answers(), time.perf_counter()

    async def work(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = (
            f"GET /auth/caddy HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {key}\r\nX-Forwarded-Method: GET\r\n"
            "X-Forwarded-Uri: /v1/orders\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Host: api.example.com\r\n\r\n"
        ).encode()
        turn = number / per_second
        while turn < seconds:
            late = time.perf_counter() - begun - turn
            if turn + late > seconds and not all_of_them:
                break
            await asyncio.sleep(-late)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            length = next((int(one.split(b":")[1]) for one in lines if one.lower().startswith(b"content-length:")), 0)
            if length:
                await reader.readexactly(length)
            answers.seconds.append(time.perf_counter() - begun - turn)
            answers.statuses[int(lines[0].split()[1])] += 1
            turn += connections / per_second
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(work(number) for number in range(connections)))
    return answers


@contextlib.contextmanager
def flooding(port: int, key: str, seconds: float, limit: int = LIMIT, times: int = TIMES) -> Generator[Counter[int]]:
    """Flood from another process while the block runs; what came back to it is filled in when the block ends."""
    told = json.dumps({"port": port, "key": key, "per_second": limit * times, "seconds": seconds})
    command = [sys.executable, "-m", "bench.flood"]
    here = Path(__file__).parents[1]
    statuses: Counter[int] = Counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=here, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(told + "\n")
            process.stdin.flush()
            if process.stdout.readline() != "begun\n":
                raise RuntimeError("the flood did not begin")
            yield statuses
            statuses.update({int(status): count for status, count in json.loads(process.stdout.readline()).items()})
        finally:
            process.kill()


@contextlib.contextmanager
def door(root: Path, limit: int = LIMIT) -> Generator[tuple[int, str, str]]:
    """Start an instance with a door; yield its port, and the keys of the flooding and of the quiet organisation."""
    port = free_port()
    settings = root / "heldtrue.toml"
    settings.write_text(SETTINGS.format(port=port, limit=limit))
    instance = Instance(root, ("--config", str(settings)))
    try:
        instance.start()
        yield port, instance.organisation("Flood"), instance.organisation("Quiet")
    finally:
        instance.stop()


def measure(port: int, flood: str, quiet: str, rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Round]:
    """Take turns: the quiet organisation alone, then beside the flood."""
    found: list[Round] = []
    asyncio.run(ask(port, quiet, CALM, seconds, CONNECTIONS))  # leases taken, caches filled
    for _ in range(rounds):
        alone = asyncio.run(ask(port, quiet, CALM, seconds, CONNECTIONS))
        with flooding(port, flood, seconds + 1) as statuses:
            beside = asyncio.run(ask(port, quiet, CALM, seconds, CONNECTIONS))
        found.append(Round(alone, beside, statuses))
    return found


def rows(found: Sequence[Round]) -> list[Row]:
    """Return the figures of a measurement."""
    quiet, flooded = (statistics.median(getattr(one, name).p99 for one in found) for name in ("quiet", "flooded"))
    ratio = statistics.median(one.flooded.p99 / one.quiet.p99 for one in found)
    refused = sum(sum(count for status, count in one.flood.items() if status == 429) for one in found)
    sent = sum(one.flood.total() for one in found)
    missed = sum(one.flooded.statuses.total() - one.flooded.statuses[204] for one in found)
    return [
        row("p99 beside a flood of ten times the limit", flooded, "ms", "p99 when quiet", quiet),
        row("median of the rounds' ratios of p99", ratio, f"times; at most {ALLOWED}"),
        row("flood: sent", sent, "requests"),
        row("flood: refused with 429", refused, "requests", "sent", sent),
        row("quiet organisation: not admitted", missed, "requests"),
    ]


def main() -> None:
    """Measure, print and write."""
    with tempfile.TemporaryDirectory(prefix="heldtrue-bench-") as made:
        root = Path(made)
        root.chmod(0o711)
        with door(root) as (port, flood, quiet):
            write("flood", rows(measure(port, flood, quiet)))


def _flood() -> None:
    told = json.loads(sys.stdin.readline())
    print("begun", flush=True)
    answers = asyncio.run(ask(told["port"], told["key"], told["per_second"], told["seconds"], 32, all_of_them=False))
    print(json.dumps(answers.statuses), flush=True)


if __name__ == "__main__":
    _flood()
