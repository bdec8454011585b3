"""Every trap that real pages fell into is caught, and its near miss is let through."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from heldtrue.trust.lint.fetching import Fetcher
from heldtrue.trust.lint.model import Context, Level, Page
from heldtrue.trust.lint.report import lint
from heldtrue.trust.lint.rules import RULES
from heldtrue.trust.lint.sources import page_of

HERE = Path(__file__).parent / "traps"
TODAY = Context(today=date(2026, 11, 22))
UNPROVEN = ("promise-without-proof",)
"""Fixtures are bare of proof on purpose; that rule has tests of its own."""
TRAPS = (
    "observation-both-ways",
    "type-1-window",
    "soc2-certification",
    "count-differs",
    "target-best-effort",
    "credits-without-thresholds",
    "done-too-long-ago",
    "retry-window-differs",
    "signature-without-time",
    "processor-not-listed",
    "key-outlived-by-receipts",
    "provenance-dropped",
    "deadline-from-two-events",
    "contact-needs-script",
    "sentence-breaks-off",
)
"""The fifteen, in the order in which they were written down."""


def fixture(trap: str, kind: str) -> Page:
    (path,) = HERE.glob(f"{trap}.{kind}.*")
    return page_of(str(path), Fetcher())


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_caught_and_nothing_else_is(trap: str) -> None:
    found = lint(fixture(trap, "bad"), TODAY, skip=UNPROVEN)
    assert {one.rule for one in found} == {trap}
    assert all(one.level is Level.ERROR and one.line > 1 for one in found)


@pytest.mark.parametrize("trap", TRAPS)
def test_its_near_miss_is_let_through(trap: str) -> None:
    assert lint(fixture(trap, "good"), TODAY, skip=UNPROVEN) == []


@pytest.mark.parametrize("trap", TRAPS)
def test_without_its_rule_the_trap_goes_unseen(trap: str) -> None:
    assert lint(fixture(trap, "bad"), TODAY, skip=(*UNPROVEN, trap)) == []


def test_there_are_fifteen_and_each_is_a_rule() -> None:
    assert len(TRAPS) == 15
    assert set(TRAPS) < {rule.name for rule in RULES}
    assert len(list(HERE.iterdir())) == 30
