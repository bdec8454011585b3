"""The gap analysis says what the framework view says, and every gap of it."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from pypdf import PdfReader

from heldtrue.capabilities.papers import pdf
from heldtrue.capabilities.papers.model import Table, plain
from heldtrue.claims.board import Standing
from heldtrue.claims.catalogue import CATALOGUE
from heldtrue.claims.model import State
from heldtrue.claims.verdict import Verdict
from heldtrue.trust.gaps import paper

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def standing(state: State, reason: str, group: str | None = None) -> Any:
    verdicts = [
        Verdict(
            claim=claim, state=state if claim.id == "access.authenticated" else State.PROVEN, reason=reason, at=NOW,
            since=NOW, continuous_since=None, held_in_a_row=0, last_attacked=None, attacks=(), failures=(), history="",
        )
        for claim in CATALOGUE.claims
        if group is None or claim.group == group
    ]  # fmt: skip
    return Standing(at=NOW, head=None, verdicts=tuple(verdicts))


def rows(found: Any, caption: str) -> list[list[str]]:
    tables = [block for block in paper(found, "Example", "log.example.test").blocks if isinstance(block, Table)]
    return [[plain(cell) for cell in row] for table in tables if table.caption == caption for row in table.rows]


@pytest.mark.parametrize("state", [State.FAILING, State.STALE, State.PROMISED])
def test_a_criterion_whose_claim_does_not_hold_is_a_gap_with_its_reason(state: State) -> None:
    gaps = rows(standing(state, "The last attack succeeded"), "Gaps")
    assert {row[0] for row in gaps} == {
        control for claim in CATALOGUE.claims if claim.id == "access.authenticated" for control in claim.frameworks
    }
    assert all("access.authenticated: The last attack succeeded." in row[3] and row[2] == state.value for row in gaps)


def test_without_a_gap_there_is_none_and_everything_is_listed() -> None:
    found = standing(State.PROVEN, "")
    assert rows(found, "Gaps") == []
    assert len(rows(found, "No gap")) == len({control for claim in CATALOGUE.claims for control in claim.frameworks})


def test_it_is_written_as_a_pdf() -> None:
    found = paper(standing(State.STALE, "Not attacked in time", "Access"), "Example", "log.example.test")
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.render(found))).pages)
    assert "Not attacked in time" in " ".join(text.split())
