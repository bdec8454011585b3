"""Every attack holds on a sound instance, and is seen to succeed against the control that is broken for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from heldtrue.claims.attacks import ATTACKS

pytestmark = pytest.mark.drill
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def runs() -> dict[tuple[str, str], dict[str, Any]]:
    """All runs, of a process with one thread."""
    ran = subprocess.run(
        [sys.executable, str(HERE / "claims_laboratory.py")], capture_output=True, text=True, timeout=1500, check=False
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert ran.returncode == 0, ran.stderr[-4000:]
    return {(line["attack"], line["against"]): line for line in lines}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_sound_control_holds(runs: dict[tuple[str, str], dict[str, Any]], name: str) -> None:
    run = runs[name, "control"]
    assert run["outcome"] == "held", run["detail"]
    assert all(count >= 0 for count in run["coverage"].values())
    assert run["coverage"]


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_sees_through_its_broken_control(runs: dict[tuple[str, str], dict[str, Any]], name: str) -> None:
    run = runs[name, "broken-control"]
    assert run["outcome"] == "broken", run["detail"]
