"""The process that the probes attack: it runs jobs in an engine, and tells what is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import psutil

SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)
MEMORY: list[Any] = []
IMAGES: list[Any] = []


def introduce(question: dict[str, Any]) -> dict[str, Any]:
    """Put the canary into memory, adopt every orphan, and say who we are."""
    canary = ctypes.create_string_buffer(question["memory"][::-1].encode())
    MEMORY.append(canary)
    LIBC.prctl(SUBREAPER, 1, 0, 0, 0)
    image()
    return {"server": os.getpid(), "address": ctypes.addressof(canary)}


# ------------------------------------------------------------------------------------------ within the walls


async def engine(question: dict[str, Any]) -> dict[str, Any]:
    """Run the jobs in one engine: one after another, or the members of a list at once."""
    from heldtrue.sandbox.engine import Engine
    from heldtrue.sandbox.levels import Layers

    asked = Layers.of(question["layers"])
    begun = time.monotonic()
    opened = Engine(layers=asked, pool=question.get("pool", 1), image=image(), spare=False)
    async with opened:
        warm = time.monotonic() - begun
        missing = [name for name, stands in asked.plain().items() if stands and not opened.layers.plain()[name]]
        answers: list[Any] = []
        for job in question["jobs"]:
            if isinstance(job, list):
                answers.append(await asyncio.gather(*[run(opened, each) for each in job]))
            else:
                answers.append(await run(opened, job))
        why = {
            name: opened.about.missing.get(name)
            for name, stands in asked.plain().items()
            if stands and name in opened.about.missing
        }
    clear(question["jobs"])
    return {
        "answers": answers,
        "missing": missing,
        "why": why,
        "seconds": round(time.monotonic() - begun, 3),
        "warm": round(warm, 3),
        "left": left(),
    }


def image() -> Any:
    """Return the image that all engines here share, made once."""
    from heldtrue.sandbox.image import build

    if not IMAGES:
        IMAGES.append(build(Path(os.environ["IMAGES"])))
    return IMAGES[0]


async def run(opened: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Run one job and say what its reader sees."""
    from heldtrue.sandbox.jobs import Job, JobFile, RunLimits

    made = Job(
        tenant=job.get("tenant", "tenant-a"),
        language=job.get("language", "python"),
        code=job["code"].encode(),
        payload=JobFile(None, "application/json", b"{}"),
        meta={"id": "p", "source": "http", "received_at": "2026-01-01T00:00:00Z", "envelope": None},
        context=job["context"],
        limits=RunLimits(**job.get("limits", {})),
    )
    begun = time.monotonic()
    result = await opened.run(made)
    alive = await survivors(job["mark"], job["wait"]) if "wait" in job else None
    return {
        "alive": alive,
        "outcome": result.outcome,
        "value": value_of(result.outputs),
        "outputs": len(result.outputs),
        "error": result.error,
        "size": sum(map(len, result.outputs)),
        "logs": sum(map(len, result.logs)),
        "logs_cut": result.logs_cut,
        "seconds": time.monotonic() - begun,
        "wall_ms": result.wall_ms,
        "cpu_ms": result.cpu_ms,
        "peak_bytes": result.peak_bytes,
    }


def clear(jobs: list[Any]) -> None:
    """Remove what runs without walls left on purpose, by the marks of their jobs."""
    for job in jobs:
        for each in job if isinstance(job, list) else [job]:
            context = each["context"]
            for place in ("/tmp", "/var/tmp", "/dev/shm", context.get("public", "/tmp")):
                for name in ("", "-seen"):
                    Path(place, context.get("mark", "no-mark") + name).unlink(missing_ok=True)
            if "key" in context and (segment := LIBC.shmget(context["key"], 0, 0)) >= 0:
                LIBC.shmctl(segment, 0, None)


def named(mark: str) -> list[int]:
    """Return the processes that carry a mark as their name."""
    found: list[int] = []
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if place.name.isdigit() and (place / "comm").read_text().strip() == mark[:15]:
                found.append(int(place.name))
    return found


async def survivors(mark: str, seconds: float) -> int:
    """Return how many processes of that name are left after *seconds*, or none as soon as there is none; end them."""
    end = time.monotonic() + seconds
    while (alive := named(mark)) and time.monotonic() < end:
        await asyncio.sleep(0.02)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(alive)


def value_of(outputs: tuple[bytes, ...]) -> Any:
    """Return the first output, read, if it is one of moderate size."""
    with contextlib.suppress(ValueError, RecursionError, IndexError):
        return json.loads(outputs[0]) if len(outputs[0]) < 65536 else None
    return None


# ------------------------------------------------------------------------------------------ what is left


def left(question: dict[str, Any] | None = None) -> dict[str, Any]:
    """Say what is still there: processes below us (we adopt orphans), mounts, files, control groups, memory."""
    me = psutil.Process()
    adopted: list[str] = []
    for child in me.children():  # the engine has waited for its own; what it could not wait for, we adopted
        if child.status() == psutil.STATUS_ZOMBIE:
            adopted.append(child.name())
            os.waitpid(child.pid, 0)
    return {
        "adopted": adopted,
        "processes": [f"{p.pid} {p.name()}" for p in me.children(recursive=True)],
        "mounts": [
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if os.environ["TMPDIR"] in line
        ],
        "files": sorted(path.name for path in Path(os.environ["TMPDIR"]).iterdir()),
        "groups": groups(),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "cpu": sum(me.cpu_times()[:2]),
        "descriptors": me.num_fds(),
        "threads": me.num_threads(),
    }


def groups() -> list[str]:
    """Return the control groups whose name has ours and our process's number in it."""
    found: list[str] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        kind = line.partition(" - ")[2].split(" ")[0]
        if kind in {"cgroup", "cgroup2"}:
            top = Path(line.split(" ")[4])
            found += [str(path) for path in top.rglob("*heldtrue*") if str(os.getpid()) in path.name]
    return found


def main() -> None:
    """Answer until there are no more questions."""
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"introduce": introduce, "left": left}.get(question["do"])
            said = answer(question) if answer else asyncio.run(engine(question))
            print(json.dumps({"answer": said}), flush=True)
        except BaseException:  # noqa: BLE001 - whatever it is, the test must read it
            print(json.dumps({"failed": traceback.format_exc()}), flush=True)


if __name__ == "__main__":
    main()
