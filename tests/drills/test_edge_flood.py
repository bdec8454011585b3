"""One organisation floods the door of a real instance at ten times its limit; another asks at an ordinary pace.

What the flood does to the other's waiting is measured by `python -m bench flood`; here, that every answer is right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest
from bench.flood import CONNECTIONS, ask, door, flooding

SECONDS = 2.0
CALM, LIMIT, TIMES = 5, 10, 20
"""Requests a second: few, so that a slow machine floods too."""


@pytest.fixture
def behind(tmp_path: Path) -> Generator[tuple[int, str, str]]:
    tmp_path.chmod(0o711)
    with door(tmp_path, LIMIT) as opened:
        yield opened


@pytest.mark.drill
def test_a_flood_is_refused_at_its_own_limit_and_nobody_else_is(behind: tuple[int, str, str]) -> None:
    port, flood, quiet = behind
    with flooding(port, flood, SECONDS + 1, LIMIT, TIMES) as statuses:
        beside = asyncio.run(ask(port, quiet, CALM, SECONDS, CONNECTIONS))
    assert beside.statuses == {204: CALM * SECONDS}
    assert set(statuses) == {204, 429}
    assert statuses[429] > statuses[204]
    within = LIMIT + LIMIT * (SECONDS + 1)  # the burst, and what comes back
    assert statuses[204] <= within * 1.1, statuses
    assert statuses.total() > within * 1.5, f"no flood: {statuses}, {TIMES} times {LIMIT} a second were meant"
    after = asyncio.run(ask(port, quiet, CALM, 0.5, CONNECTIONS))
    assert set(after.statuses) == {204}
