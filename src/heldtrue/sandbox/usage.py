"""What a run's processes use together, read from /proc: the sum that the kernel does not hold where no cgroup is
delegated.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory in bytes (resident, without what is mapped from files or was there at the fork), processor time in
    seconds.
    """

    memory: int
    cpu: float


def of_tree(pid: int, *, warm: int = 0) -> Usage:
    """Return what *pid* and its descendants use beyond the *warm* bytes that each of them was forked with."""
    memory, cpu, waiting = 0, 0.0, [pid]
    while waiting:
        each = Path(f"/proc/{waiting.pop()}")
        try:
            memory += max(0, _resident(each) - warm)
            fields = (each / "stat").read_text().rpartition(")")[2].split()
            for task in (each / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        cpu += sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICKS
    return Usage(memory, cpu)


def _resident(process: Path) -> int:
    found = 0
    for line in (process / "status").read_text().splitlines():
        if line.startswith(("RssAnon:", "RssShmem:")):
            found += int(line.split()[1]) * 1024
    return found
