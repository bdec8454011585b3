"""The law of layers: without the layers that stop it each attack succeeds, and any single one of them stops it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from probe_law import ALONE, Cell, Lane, Trial, plan, verdict
from probe_table import PROBES, Probe

PLAN = plan()
Tried = list[tuple[Cell, Trial, dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def tried(lanes: list[Lane]) -> dict[str, Tried]:
    """Every cell of the law, tried once: probe → what came of it."""
    trials = sorted(
        PLAN, key=lambda trial: ("deaf" in [cell.probe.name for cell in trial.cells], len(trial.cells)), reverse=True
    )
    free = list(lanes)

    def work(trial: Trial) -> dict[str, Any]:
        lane = free.pop()
        try:
            return lane.try_all(trial)
        finally:
            free.append(lane)

    with ThreadPoolExecutor(len(lanes)) as pool:
        reports = list(pool.map(work, trials))
    found: dict[str, Tried] = {probe.name: [] for probe in PROBES}
    for trial, report in zip(trials, reports, strict=True):
        for cell, answer in zip(trial.cells, report["answers"], strict=True):
            found[cell.probe.name].append((cell, trial, report, answer))
    return found


@pytest.mark.parametrize("probe", PROBES, ids=str)
def test_any_single_layer_of_the_table_stops_the_probe_and_without_them_it_escapes(
    probe: Probe, tried: dict[str, Tried]
) -> None:
    wrong: list[str] = []
    for cell, trial, report, answer in tried[probe.name]:
        lost = cell.layers & (set(report["missing"]) | set(report["why"]))
        if cell.kind == ALONE and lost:
            continue  # this machine does not have the layer: nothing can be said of it here
        escaped, said = verdict(probe, answer)
        if escaped != cell.escapes:
            wrong.append(f"{cell}; standing {sorted(trial.stand)}: {'escaped' if escaped else 'stopped'}: {said}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("probe", PROBES, ids=str)
def test_the_law_tries_every_layer_of_every_probe(probe: Probe) -> None:
    cells = [(cell, trial) for trial in PLAN for cell in trial.cells if cell.probe is probe]
    singles = {frozenset(cell.layers) for cell, _ in cells if cell.kind == ALONE}
    assert {layer for layers in singles for layer in layers} == (probe.layers if probe.possible else set())
    for cell, trial in cells:
        if cell.kind == ALONE:
            assert trial.stand & probe.layers == cell.layers
        elif cell.escapes:
            assert not trial.stand & probe.layers
