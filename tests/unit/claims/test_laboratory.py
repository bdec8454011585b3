"""Attacks run in processes of their own: what crashes, hangs or vanishes there is a result, and leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def runs() -> dict[str, dict[str, Any]]:
    scene = Path(__file__).parent / "laboratory_scene.py"
    ran = subprocess.run([sys.executable, str(scene)], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return {line["attack"]: line for line in map(json.loads, ran.stdout.splitlines())}


def test_a_finding_comes_back(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["g.fine"]["outcome"] == "held"


def test_a_crash_is_an_error_that_tells_no_value(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["g.crashes"]["outcome"] == "error"
    assert "4711" not in runs["g.crashes"]["detail"]
    assert "RuntimeError" in runs["g.crashes"]["detail"]


def test_a_hindered_attack_says_why(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["g.hindered"] | {"took": 0} == {
        "attack": "g.hindered", "outcome": "error", "detail": "The attack was hindered: no receiver", "took": 0,
    }  # fmt: skip


def test_an_attack_that_hangs_is_ended_with_its_children(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["g.hangs"]["outcome"] == "error"
    assert "ran out of time" in runs["g.hangs"]["detail"]
    assert runs["g.hangs"]["took"] < 5


def test_a_process_that_vanishes_is_an_error(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["g.vanishes"]["outcome"] == "error"


def test_a_control_is_broken_for_one_run_only_and_nowhere_else(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["g.sees"]["outcome"] == "held"
    assert runs["against broken"]["outcome"] == "broken"
    assert runs["after broken"]["outcome"] == "held"
    assert runs["here"]["outcome"] == "held"


def test_scratch_directories_are_gone(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["left"]["detail"] == "[]"
