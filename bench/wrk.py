"""Drive a URL with `wrk` and read what it measured."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

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


def load(
    url: str, *, connections: int, seconds: int = 5, headers: Mapping[str, str] | None = None, core: int | None = None
) -> Load:
    """Drive *url* over so many connections, as fast as they get answers; raise when an answer was not 2xx."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", url]
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    for key, value in (headers or {}).items():
        command += ["-H", f"{key}: {value}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    latency = {share: float(number) * _UNITS[unit] for share, number, unit in _LATENCY.findall(said)}
    if "Non-2xx" in said or "Socket errors" in said or rate is None or len(latency) != 2:
        raise RuntimeError(said)
    return Load(connections, float(rate[1]), latency["50"], latency["99"])
