"""JavaScript: no way to Python, to files, or to time and memory without end; and the next script works."""

from __future__ import annotations

from typing import Any

import pytest
from probe_law import Lane
from probe_scripts import HONEST, SCRIPTS, Script
from probe_table import ALL


@pytest.fixture(scope="module")
def report(lane: Lane) -> dict[str, Any]:
    """Every script in one engine, an honest one after each."""
    jobs = [job for script in SCRIPTS for job in (script.job(lane.runner.base), HONEST.job(lane.runner.base))]
    return lane.runner.ask({"do": "engine", "layers": dict.fromkeys(ALL, True), "jobs": jobs})


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_a_script_reaches_nothing_and_ends(script: Script, report: dict[str, Any]) -> None:
    place = 2 * SCRIPTS.index(script)
    answer, next_one = report["answers"][place], report["answers"][place + 1]
    assert answer["outcome"] in script.ends, answer
    if answer["outcome"] == "ok" and script.gives is not ...:
        assert answer["value"] == script.gives
    assert answer["logs"] <= 64 * 1024
    assert answer["seconds"] < 40
    assert (next_one["outcome"], next_one["value"]) == ("ok", HONEST.gives)


def test_nothing_is_left_of_the_scripts(report: dict[str, Any]) -> None:
    left = report["left"]
    assert [left[what] for what in ("processes", "adopted", "mounts", "files", "groups")] == [[]] * 5
