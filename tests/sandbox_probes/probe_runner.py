"""The process that the probes attack: it answers one JSON question a line by running jobs bare or in an engine, and tells what is left."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import psutil

SUBREAPER = 36
MEMORY: list[Any] = []


def introduce(question: dict[str, Any]) -> dict[str, Any]:
    """Put the canary into memory, adopt every orphan, and say who we are."""
    canary = ctypes.create_string_buffer(question["memory"][::-1].encode())
    MEMORY.append(canary)
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    return {"server": os.getpid(), "address": ctypes.addressof(canary)}


# ------------------------------------------------------------------------------------------ without any wall


def bare(question: dict[str, Any]) -> list[dict[str, Any]]:
    """Run each source in an ordinary child of ours; say what it returned, or how it ended."""
    return [bare_one(job) for job in question["jobs"]]


def bare_one(job: dict[str, Any]) -> dict[str, Any]:
    """Run one source in an ordinary child, in a directory of its own."""
    into, out = os.pipe()
    with tempfile.TemporaryDirectory() as place:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                null = os.open("/dev/null", os.O_RDWR)
                os.dup2(null, 0)
                os.dup2(null, 1)
                os.chdir(place)
                names: dict[str, Any] = {}
                exec(compile(job["code"], "transform", "exec"), names)
                os.write(out, json.dumps(names["transform"]({}, job["context"])).encode())
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(out)
        with os.fdopen(into, "rb") as answer:
            said = answer.read()
        _, status = os.waitpid(child, 0)
    if not said:
        return {"outcome": "crashed", "value": None, "error": f"status {os.waitstatus_to_exitcode(status)}"}
    return {"outcome": "ok", "value": json.loads(said), "error": None}


# ------------------------------------------------------------------------------------------ within the walls


async def engine(question: dict[str, Any]) -> dict[str, Any]:
    """Run the jobs in one engine: one after another, or the members of a list at once."""
    from heldtrue.sandbox.engine import Engine
    from heldtrue.sandbox.levels import Layers

    asked = Layers.of(question["layers"])
    await asyncio.to_thread(image)
    begun = time.monotonic()
    opened = Engine(layers=asked, pool=question.get("pool", 1), image=image())
    async with opened:
        warm = time.monotonic() - begun
        missing = [name for name, stands in asked.plain().items() if stands and not opened.layers.plain()[name]]
        answers: list[Any] = []
        for job in question["jobs"]:
            if isinstance(job, list):
                answers.append(await asyncio.gather(*[run(opened, each) for each in job]))
            else:
                answers.append(await run(opened, job))
    return {"answers": answers, "missing": missing, "seconds": round(time.monotonic() - begun, 3), "warm": round(warm, 3), "left": left()}


IMAGES: list[Any] = []


def image() -> Any:
    """Return the image that all engines here share, made once."""
    if not IMAGES:
        from heldtrue.sandbox.image import build

        place = Path(tempfile.mkdtemp(prefix="image-", dir=Path(os.environ["TMPDIR"]).parent))
        place.chmod(0o755)
        IMAGES.append(build(place))
    return IMAGES[0]


async def run(opened: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Run one job and say what its reader sees."""
    from heldtrue.sandbox.jobs import Job, JobFile, RunLimits

    made = Job(
        tenant=job.get("tenant", "tenant-a"), language=job.get("language", "python"), code=job["code"].encode(),
        payload=JobFile(None, "application/json", b"{}"), meta={"id": "p", "source": "http", "received_at": "2026-01-01T00:00:00Z", "envelope": None},
        context=job["context"], limits=RunLimits(**job.get("limits", {})),
    )  # fmt: skip
    begun = time.monotonic()
    result = await opened.run(made)
    return {
        "outcome": result.outcome, "value": value_of(result.outputs), "outputs": len(result.outputs), "error": result.error,
        "size": sum(map(len, result.outputs)), "logs": sum(map(len, result.logs)), "logs_cut": result.logs_cut,
        "seconds": time.monotonic() - begun, "wall_ms": result.wall_ms, "cpu_ms": result.cpu_ms, "peak_bytes": result.peak_bytes,
    }  # fmt: skip


def value_of(outputs: tuple[bytes, ...]) -> Any:
    """Return the first output, read, if it is one of moderate size."""
    with contextlib.suppress(ValueError, RecursionError, IndexError):
        return json.loads(outputs[0]) if len(outputs[0]) < 65536 else None
    return None


# ------------------------------------------------------------------------------------------ what is left


def left(question: dict[str, Any] | None = None) -> dict[str, Any]:
    """Say what is still there: processes below us (we adopt orphans), mounts, files, control groups, memory and descriptors of ours."""
    me = psutil.Process()
    return {
        "processes": [f"{p.pid} {p.name()}" for p in me.children(recursive=True)],
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if os.environ["TMPDIR"] in line],
        "files": sorted(os.listdir(os.environ["TMPDIR"])),
        "groups": groups(),
        "memory": me.memory_info().rss,
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
            answer = {"introduce": introduce, "bare": bare, "left": left}.get(question["do"])
            said = answer(question) if answer else asyncio.run(engine(question))
            print(json.dumps({"answer": said}), flush=True)
        except BaseException:
            print(json.dumps({"failed": traceback.format_exc()}), flush=True)


if __name__ == "__main__":
    main()
