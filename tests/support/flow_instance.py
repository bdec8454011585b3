"""Flows in a real instance: make them, wait for their runs, and look into the memory of a process."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import psutil
from instance import Instance, until


def level(instance: Instance) -> str:
    for line in instance.call("GET", "/metrics").body.decode().splitlines():
        if line.startswith("heldtrue_sandbox_level{"):
            return line.split('"')[1]
    return ""


def transform(instance: Instance, key: str, code: str, language: str = "python") -> str:
    asked = {"name": "t", "language": language, "code": code}
    return instance.done("POST", "/v1/transforms", asked, key)["id"]


def flow(instance: Instance, key: str, kind: str, *steps: dict[str, Any]) -> str:
    asked = {"name": kind, "steps": list(steps), "filters": {"field": {"pointer": "/kind", "equals": kind}}}
    return instance.done("POST", "/v1/flows", asked, key)["id"]


def settled(instance: Instance, key: str, payload: str, *, patient: bool = True) -> dict[str, Any]:
    """Return the run of a payload when it is over; without patience after its first failure too."""

    def look() -> Any:
        [run] = instance.done("GET", f"/v1/runs?payload_id={payload}", None, key)["data"] or [{"state": ""}]
        return run if run["state"] in {"done", "failed"} or (run["state"] and not patient and run["tries"]) else None

    run = until(look, 90, "the run is settled")
    return instance.done("GET", f"/v1/runs/{run['id']}", None, key)


def key_material(line: bytes) -> str:
    """Return the longest run of hex in the key file, or a text that cannot be there."""
    return max(re.findall(r"(?:[0-9a-f]{2}){16,}", line.decode("latin-1")) or ["00ff" * 16], key=len)


def memory_of(pid: int) -> bytes:
    """Return what is mapped and readable of a process's own."""
    held = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            area, rights = line.split()[:2]
            begin, end = (int(part, 16) for part in area.split("-"))
            if rights.startswith("rw") and "[v" not in line:
                memory.seek(begin)
                held += memory.read(end - begin)
    return bytes(held)


def program(instance: Instance, name: str) -> psutil.Process:
    """Return the child of the supervisor that was exec'd to run the file *name*; wait while there is none."""

    def look() -> psutil.Process | None:
        assert instance.process is not None
        for one in psutil.Process(instance.process.pid).children():
            with contextlib.suppress(psutil.Error):  # it ended meanwhile
                if any(part.endswith(name) for part in one.cmdline()):
                    return one
        return None

    return until(look, 60, name)
