"""The law: which layers each probe is tried with, in as few engines as will do."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from probe_outside import Outside, Runner
from probe_table import ALL, PROBES, Probe, in_force

SMALL = frozenset({"empty_env", "close_fds", "uts", "single_use", "rlimits"})
"""Layers each of which is the only one against some probe, and that have nothing to do with one another."""
ALONE, WITHOUT, EVERY = "only this one on", "only these off", "all on"


@dataclass(frozen=True)
class Cell:
    """One trial: a probe, and what its answer must be."""

    probe: Probe
    kind: str
    layers: frozenset[str]
    """For `ALONE` the layers of the probe that stand: one, or one with those that it cannot stand without."""

    @property
    def escapes(self) -> bool:
        return self.kind == WITHOUT

    def __str__(self) -> str:
        return f"{self.kind}: {', '.join(sorted(self.layers)) or 'none'}"


@dataclass
class Trial:
    """One engine: what stands in it, what must not, and the cells that are tried there."""

    stand: frozenset[str]
    never: frozenset[str] = frozenset()
    cells: list[Cell] = field(default_factory=list[Cell])

    def takes(self, need: frozenset[str], never: frozenset[str]) -> bool:
        """Return whether another cell can be tried here, too."""
        return not in_force(self.stand | need) & (self.never | never)

    def add(self, cell: Cell, need: frozenset[str], never: frozenset[str]) -> None:
        self.stand, self.never = in_force(self.stand | need), self.never | never
        self.cells.append(cell)


def hindrance(probe: Probe) -> frozenset[str]:
    """Return what must be off, beside the layers of a probe, for its success to mean anything."""
    return frozenset({"rlimits", "seccomp", "cgroup"}) - probe.layers if probe.forks else frozenset()


def alone(probe: Probe, layer: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return what must stand, and what must not, for *layer* to be the only one of the probe's that stands."""
    need = in_force(probe.beside | {layer})
    return need, (probe.layers | hindrance(probe)) - need


def plan(probes: list[Probe] = PROBES) -> list[Trial]:
    """Return the engines of the law.

    All layers: every probe is stopped. All but the one layer that stops it: it escapes. Where several
    stop it: all of these off, it escapes; one of them on, it is stopped. Many probes share such an engine.
    """
    every = Trial(ALL)
    exact = [Trial(ALL - SMALL), Trial(ALL - {"mount"}), Trial(ALL - {"seccomp"})]
    wanted: list[tuple[Cell, frozenset[str], frozenset[str]]] = []
    for probe in probes:
        every.cells.append(Cell(probe, EVERY, ALL))
        if not probe.possible:
            continue
        wanted += [
            (Cell(probe, ALONE, need & probe.layers), need, never)
            for need, never in (alone(probe, layer) for layer in sorted(probe.layers))
        ]
        if len(probe.layers) == 1:
            trial = next(trial for trial in exact if not trial.stand & probe.layers)
            trial.cells.append(Cell(probe, WITHOUT, probe.layers))
        else:
            wanted.append((Cell(probe, WITHOUT, probe.layers), probe.beside, probe.layers | hindrance(probe)))
    shared: list[Trial] = []
    for cell, need, never in sorted(
        wanted, key=lambda each: (-len(each[2]), -len(each[1]), str(each[0]), each[0].probe.name)
    ):
        place(shared, cell, need, never)
    return [trial for trial in (every, *exact, *shared) if trial.cells]


def place(trials: list[Trial], cell: Cell, need: frozenset[str], never: frozenset[str]) -> None:
    """Put a cell into the first engine that can take it, or into a new one."""
    for trial in trials:
        if trial.takes(need, never):
            trial.add(cell, need, never)
            return
    trials.append(Trial(frozenset()))
    trials[-1].add(cell, need, never)


@dataclass(frozen=True)
class Lane:
    """A runner with an outside of its own: two of them work side by side."""

    outside: Outside
    runner: Runner

    @classmethod
    def open(cls, beside: Lane | None = None) -> Lane:
        """Open a lane, with the image of the one *beside* it."""
        outside = Outside()
        try:
            return cls(outside, Runner(outside, (beside.outside if beside else outside).images))
        except BaseException:
            outside.close()
            raise

    def close(self) -> None:
        with contextlib.ExitStack() as last:
            last.callback(self.outside.close)
            self.runner.close()

    def try_all(self, trial: Trial) -> dict[str, Any]:
        """Run the cells of one engine; return its report, with the answers in the order of the cells."""
        jobs: list[dict[str, Any]] = []
        for number, cell in enumerate(trial.cells):
            jobs += self.jobs(cell, number)
        report = self.runner.ask({"do": "engine", "layers": {name: name in trial.stand for name in ALL}, "jobs": jobs})
        report["answers"] = [
            answer for job, answer in zip(jobs, report["answers"], strict=True) if not job.get("first")
        ]
        return report

    def jobs(self, cell: Cell, number: int) -> list[dict[str, Any]]:
        """Return the runs of one cell: the probe's, and before it the one that it depends on."""
        probe = cell.probe
        patience = {"patience": 0.0 if cell.escapes else probe.patient}
        context = {
            **self.runner.base,
            **patience,
            **probe.context,
            "mark": f"hp{number}-{self.outside.canary[:8]}",
            "key": self.outside.key + 1,
        }
        made = {"code": probe.code(), "limits": probe.limits, "mark": context["mark"]}
        runs = [{**made, "context": {**context, "attack": probe.name}}]
        if probe.survives:
            runs[0]["wait"] = 0 if cell.escapes else 10
        if probe.first:
            runs.insert(0, {**made, "context": {**context, "attack": probe.first}, "first": True})
        return runs


def verdict(probe: Probe, answer: dict[str, Any]) -> tuple[bool, str]:
    """Return whether the probe escaped, and what it said; raise when it did neither that nor was refused orderly."""
    said = answer["value"]
    if probe.survives:
        return answer["alive"] > 0, f"{answer['alive']} processes are left; {said}"
    if isinstance(said, dict) and "got" in said:
        got = said["got"]
        return (
            bool(got) and (not isinstance(got, int) or got >= probe.reached)
        ), f"{got!r} {said['why'] or ''}".strip()
    if answer["outcome"] in probe.ends:
        return False, answer["outcome"]
    raise AssertionError(f"{probe} is broken: {answer['outcome']}: {answer['error']}")
