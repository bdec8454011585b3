"""Runs that crash, flood, lie and linger: each ends as it must, the next one works, and nothing is left of it."""

from __future__ import annotations

from typing import Any

import pytest
from probe_jobs import HONEST, HOSTILE, MIB, Hostile
from probe_law import Lane
from probe_table import ALL, code_of

EVERY = dict.fromkeys(ALL, True)
Report = dict[str, Any]


@pytest.fixture(scope="module")
def report(lane: Lane) -> Report:
    """All hostile runs in one engine, an honest one after each; with what the runner was like before and after."""
    before = lane.runner.ask({"do": "left"})
    jobs = [job for hostile in HOSTILE for job in (hostile.job(lane.runner.base), HONEST)]
    looking = {"code": code_of("reading"), "context": {**lane.runner.base, "attack": "open_descriptors"}}
    said = lane.runner.ask({"do": "engine", "layers": EVERY, "jobs": [*jobs, looking]})
    return {"before": before, "after": said["left"], "answers": said["answers"], "missing": said["missing"]}


@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_a_hostile_run_ends_as_it_must_and_the_next_one_works(hostile: Hostile, report: Report) -> None:
    place = 2 * HOSTILE.index(hostile)
    answer, next_one = report["answers"][place], report["answers"][place + 1]
    assert answer["outcome"] in hostile.ends, answer
    assert answer["alive"] == 0
    assert answer["logs"] <= 64 * 1024
    assert answer["seconds"] < 40
    assert (next_one["outcome"], next_one["value"]) == ("ok", {"honest": 2})


def test_floods_are_cut_and_said_to_be(report: Report) -> None:
    cut = {str(hostile): report["answers"][2 * n]["logs_cut"] for n, hostile in enumerate(HOSTILE)}
    assert cut["many_logs"]
    assert not cut["segfault"]


def test_a_run_has_five_descriptors_and_no_more(report: Report) -> None:
    kinds = sorted(kind for _, kind in report["answers"][-1]["value"]["got"])
    assert kinds == [1, 1, 2, 2, 2], "three of /dev/null, and the two pipes of the run"


def test_nothing_is_left_behind(report: Report) -> None:
    after = report["after"]
    for what in ("processes", "adopted", "mounts", "files", "groups"):
        assert after[what] == [], what
    assert after["descriptors"] <= report["before"]["descriptors"] + 4
    assert after["threads"] <= report["before"]["threads"] + 2


def test_the_runner_stays_small_whatever_it_is_told(report: Report) -> None:
    grown = report["after"]["memory"] - report["before"]["memory"]
    assert grown < 80 * MIB, f"{grown / MIB:.0f} MiB"
