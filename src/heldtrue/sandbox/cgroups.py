"""One control group a run, where a directory of them is delegated to us: version 2, or version 1's memory and pids."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
OWN = Path("/proc/self/cgroup")


class CgroupError(OSError):
    """No control group can be made here; the sum of a run's memory is supervised instead."""


@dataclass(frozen=True, slots=True)
class Group:
    """The directories of one run, one a hierarchy."""

    folders: tuple[Path, ...]
    version: int

    @contextlib.contextmanager
    def doors(self) -> Generator[list[int]]:
        """Open what a process writes `0` to in order to join, one descriptor a hierarchy.

        A thread that moves itself by version 1's `tasks` waits for nobody; to move another process the kernel waits
        until no processor looks at the old arrangement any more, some 10 ms.
        """
        name = "cgroup.procs" if self.version == 2 else "tasks"
        with contextlib.ExitStack() as stack:
            opened: list[int] = []
            for folder in self.folders:
                opened.append(os.open(folder / name, os.O_WRONLY | os.O_CLOEXEC))
                stack.callback(os.close, opened[-1])
            yield opened

    def peak(self) -> int | None:
        """Return the most memory that it used, in bytes, where the kernel says."""
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        try:
            return int((self.folders[0] / name).read_text())
        except (OSError, ValueError):
            return None

    def starved(self) -> bool:
        """Say whether the kernel ended a process for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        try:
            words = (self.folders[0] / name).read_text().split()
        except OSError:
            return False
        return "oom_kill" in words and words[words.index("oom_kill") + 1] != "0"

    def remove(self) -> None:
        """Remove the directories of a group whose processes have ended."""
        for folder in self.folders:
            deadline = time.monotonic() + 5
            while True:
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:  # busy: the kernel has not let go of the last process yet
                    if time.monotonic() > deadline:
                        raise
                    os.sched_yield()


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Where groups are made."""

    parents: tuple[Path, ...]
    """Version 2: one; version 1: memory's, then that of pids."""
    version: int

    def make(self, name: str, memory: int, processes: int) -> Group:
        """Make a group with its limits."""
        group = Group(tuple(parent / name for parent in self.parents), self.version)
        try:
            for folder in group.folders:
                folder.mkdir()
            self._limit(group, memory, processes)
        except OSError:
            group.remove()
            raise
        return group

    def _limit(self, group: Group, memory: int, processes: int) -> None:
        if self.version == 2:
            (group.folders[0] / "memory.max").write_text(str(memory))
            with contextlib.suppress(FileNotFoundError):
                (group.folders[0] / "memory.swap.max").write_text("0")
        else:
            (group.folders[0] / "memory.limit_in_bytes").write_text(str(memory))
        (group.folders[-1] / "pids.max").write_text(str(processes))


def find() -> Cgroups:
    """Return where this process may make groups; raise `CgroupError` with the reason when nowhere."""
    reasons: list[str] = []
    for candidate in (_version_2, _version_1):
        try:
            found = candidate()
            _sweep(found)
            found.make(f"heldtrue.{os.getpid()}.trial", 64 << 20, 8).remove()
        except OSError as error:
            reasons.append(str(error))
        else:
            return found
    raise CgroupError("; ".join(reasons))


def _sweep(found: Cgroups) -> None:
    """Remove the empty groups of engines that were killed before they could."""
    for parent in found.parents:
        for folder in parent.glob("heldtrue.*.*"):
            owner = folder.name.split(".")[1]
            if not Path(f"/proc/{owner}").exists():
                with contextlib.suppress(OSError):  # somebody else's, or still in use: it stays
                    folder.rmdir()


def _version_2() -> Cgroups:
    mounts = [line.split()[1] for line in MOUNTS.read_text().splitlines() if line.split()[2] == "cgroup2"]
    own = [line[3:] for line in OWN.read_text().splitlines() if line.startswith("0::")]
    if not mounts or not own:
        raise CgroupError("no cgroup version 2")
    here = Path(mounts[0] + own[0])
    if not {"memory", "pids"} <= set((here / "cgroup.subtree_control").read_text().split()):
        raise CgroupError(f"{here}/cgroup.subtree_control does not hand on memory and pids")
    return Cgroups((here,), 2)


def _version_1() -> Cgroups:
    mounts: dict[str, str] = {}
    for line in MOUNTS.read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup":
            mounts |= dict.fromkeys(options.split(","), where)
    parents: list[Path] = []
    for line in OWN.read_text().splitlines():
        _, names, path = line.split(":", 2)
        parents += [
            Path(mounts[name] + path) for name in ("memory", "pids") if name in names.split(",") and name in mounts
        ]
    if len(parents) != 2:
        raise CgroupError("no cgroup version 1 with memory and pids")
    parents.sort(key=lambda parent: str(parent).find("/pids") >= 0)
    return Cgroups(tuple(parents), 1)
