"""Isolated executions beside bubblewrap with Python, and Deno from npm; run `python -m bench sandbox`."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.plot import bars
from bench.report import OUT, Row, row, write
from heldtrue.sandbox.conversation import converse, wait_until_ready
from heldtrue.sandbox.engine import Engine, ceilings
from heldtrue.sandbox.image import Image, build
from heldtrue.sandbox.jail.layers import ALL
from heldtrue.sandbox.jobs import Job, JobFile, RunLimits
from heldtrue.sandbox.zygotes import Child, Zygote

TARGETS = {"cold start": 8.0, "warm dispatch": 5.0, "kill to clean": 50.0, "executions per core": 75.0}
ROUNDS = int(os.environ.get("ROUNDS", "60"))
SECONDS = float(os.environ.get("SECONDS", "4"))
CODE = b"def transform(payload, context):\n    return payload['json']\n"
PEER = "import json,sys; print(json.dumps(json.load(sys.stdin)))"
DENO = Path(__file__).parent / "js/node_modules/@deno/linux-x64-glibc/deno"
"""The binary itself: the package `deno` would start it by way of Node."""
BUBBLEWRAP, PLAIN = "bubblewrap + Python", "Python, no sandbox"
LIMITS = RunLimits(wall_ms=30_000)


def main() -> None:
    """Measure, print, write and draw."""
    with tempfile.TemporaryDirectory(prefix="heldtrue-images-") as folder:
        Path(folder).chmod(0o755)
        image = build(Path(folder))
        cold, cleaned = _cold(image)
        warm, rate, kind = asyncio.run(_engine(image))
    peers = _peers()
    rows: list[Row] = []
    for name, each in peers.items():
        rows.append(row(f"cold start (median of {ROUNDS})", cold, "ms", name, each))
        rows.append(row("warm dispatch, job to result", warm, "ms", name, each))
    cores = len(os.sched_getaffinity(0))
    rows.append(row(f"executions per core, {kind}", rate / cores, "/s", "target", TARGETS["executions per core"]))
    rows.append(row("kill to clean", cleaned, "ms", "target", TARGETS["kill to clean"]))
    write("sandbox", rows)
    shown = {"heldtrue, cold": cold, "heldtrue, warm": warm, **peers}
    print(bars(OUT / "sandbox.svg", "one isolated execution", "milliseconds (median)", shown))
    _judge(cold, warm, rate / cores, cleaned)


def _judge(cold: float, warm: float, per_core: float, cleaned: float) -> None:
    for name, value in (("cold start", cold), ("warm dispatch", warm), ("kill to clean", cleaned)):
        print(f"{name}: {value:.1f} ms, target {TARGETS[name]:g} ms: {'held' if value <= TARGETS[name] else 'MISSED'}")
    target = TARGETS["executions per core"]
    print(f"executions per core: {per_core:.0f}/s, target {target:g}/s: {'held' if per_core >= target else 'MISSED'}")


def _job(code: bytes = CODE) -> Job:
    meta = {"id": "bench", "source": "http", "received_at": None, "envelope": None}
    return Job(
        tenant="bench", language="python", code=code, payload=JobFile(None, "application/json", b'{"x": 1}'), meta=meta,
        limits=LIMITS,
    )  # fmt: skip


def _cold(image: Image) -> tuple[float, float]:
    """Return milliseconds until walls stand around a child of a warm zygote, and from its kill until it is gone."""
    zygote = Zygote(image, ALL)
    starts, ends = [], []
    try:
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            child = zygote.spawn(ceilings(LIMITS))
            wait_until_ready(child, 30)
            starts.append(time.perf_counter() - begun)
            _occupy(child)
            begun = time.perf_counter()
            child.kill()
            child.ended.result(30)
            ends.append(time.perf_counter() - begun)
            child.close()
    finally:
        zygote.close()
    return statistics.median(starts) * 1000, statistics.median(ends) * 1000


BUSY = b"""
import os
def transform(payload, context):
    for _ in range(3):
        if os.fork() == 0:
            while True: pass
    open('/tmp/held', 'wb').write(bytes(8 << 20))
    return True
"""


def _occupy(child: Child) -> None:
    """Give the child three processes that spin and 8 MiB of files, so that there is something to clean."""
    converse(child, _job(BUSY), lambda: None, time.monotonic() + 30)


async def _engine(image: Image) -> tuple[float, float, str]:
    async with Engine(image=image, pool=4) as engine:
        await engine.run(_job())
        times = []
        for _ in range(ROUNDS):
            await asyncio.sleep(0.02)  # the pool refills: what is measured is a dispatch to a child that waits
            begun = time.perf_counter()
            result = await engine.run(_job())
            times.append(time.perf_counter() - begun)
            assert result.outcome == "ok", result
        done, until = 0, time.perf_counter() + SECONDS

        async def lane() -> None:
            nonlocal done
            while time.perf_counter() < until:
                await engine.run(_job())
                done += 1

        begun = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(2 * len(os.sched_getaffinity(0)))))
        rate = done / (time.perf_counter() - begun)
        return statistics.median(times) * 1000, rate, f"level {engine.about.level}"


def _peers() -> dict[str, float]:
    python = os.path.realpath(sys.executable)
    found = {PLAIN: _timed([python, "-I", "-S", "-c", PEER])}
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        print("bubblewrap is not installed (Debian: bubblewrap): not compared")
    else:
        binds = [
            part
            for path in ("/usr", "/lib", "/lib64", "/bin")
            if Path(path).exists()
            for part in ("--ro-bind", path, path)
        ]
        line = [bubblewrap, "--unshare-all", "--clearenv", "--die-with-parent", *binds, "--tmpfs", "/tmp"]
        found[BUBBLEWRAP] = _timed([*line, python, "-I", "-S", "-c", PEER])
    if DENO.exists():
        with tempfile.NamedTemporaryFile("w", suffix=".js") as script:
            script.write("console.log(JSON.stringify(await new Response(Deno.stdin.readable).json()))")
            script.flush()
            found["Deno"] = _timed([str(DENO), "run", "--no-prompt", "--no-remote", script.name])
    else:
        print("Deno is not installed (`make bench/js/node_modules/.stamp`): not compared")
    return found


def _timed(line: list[str]) -> float:
    def once() -> float:
        begun = time.perf_counter()
        done = subprocess.run(line, input=b'{"x": 1}', capture_output=True, check=True)
        assert done.stdout.replace(b" ", b"").strip() == b'{"x":1}', done
        return time.perf_counter() - begun

    return _median(once) * 1000


def _median(once: Callable[[], float]) -> float:
    once()
    return statistics.median(once() for _ in range(max(5, ROUNDS // 3)))


if __name__ == "__main__":
    main()
