"""Drive a URL with `wrk` and read what it measured."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_LATENCY = re.compile(r"^\s+(50|99)%\s+([0-9.]+)(us|ms|s|m)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Load:
    """What came back under one load."""

    connections: int
    per_second: float
    p50: float
    """Milliseconds."""
    p99: float


_POST = """
wrk.method = "POST"
wrk.body = [==[{body}]==]
"""
_PACED = """
local ffi = require("ffi")
ffi.cdef[[ typedef struct {{ long s; long ns; }} when_t; int clock_gettime(int, when_t *); ]]
local at, due = ffi.new("when_t"), nil
function delay()
  ffi.C.clock_gettime(1, at)
  local now = tonumber(at.s) * 1000 + tonumber(at.ns) / 1000000
  due = math.max(due or now, now - 1000) + {period}
  return math.max(0, math.floor(due - now))
end
"""
"""Each request has its own moment, so that the rate is constant; a backlog of at most a second is caught up with."""


def post(
    url: str, body: str, *, connections: int, seconds: int, headers: Mapping[str, str], per_second: float | None = None
) -> Load:
    """Post *body* as fast as there are answers, or at a constant rate as long as not every connection waits."""
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "post.lua"
        text = _POST.format(body=body)
        if per_second is not None:
            text += _PACED.format(period=1000 / per_second)
        script.write_text(text)
        return load(url, connections=connections, seconds=seconds, headers=headers, script=script)


def load(
    url: str,
    *,
    connections: int,
    seconds: int = 5,
    headers: Mapping[str, str] | None = None,
    core: int | None = None,
    script: Path | None = None,
) -> Load:
    """Drive *url* over so many connections, as fast as they get answers; raise when an answer was not 2xx."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", url]
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    if script is not None:
        command += ["-s", str(script)]
    for key, value in (headers or {}).items():
        command += ["-H", f"{key}: {value}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    latency = {share: float(number) * _UNITS[unit] for share, number, unit in _LATENCY.findall(said)}
    if "Non-2xx" in said or "Socket errors" in said or rate is None or len(latency) != 2:
        raise RuntimeError(said)
    return Load(connections, float(rate[1]), latency["50"], latency["99"])
