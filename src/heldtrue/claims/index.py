"""The index: row → claim → attack → state, for reviewers who come with a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from heldtrue.claims.catalogue import ROWS
from heldtrue.claims.model import State
from heldtrue.claims.verdict import Verdict


@dataclass(frozen=True, slots=True)
class IndexLine:
    """One claim under one row."""

    row: str
    claim: str
    sentence: str
    attacks: tuple[str, ...]
    state: State


def index(verdicts: Iterable[Verdict]) -> list[IndexLine]:
    """Return one line for each claim of each row, rows in order."""
    lines = [
        IndexLine(row, verdict.claim.id, verdict.claim.sentence, verdict.claim.attacks, verdict.state)
        for verdict in verdicts
        for row in verdict.claim.rows
    ]
    return sorted(lines, key=lambda line: ROWS.index(line.row))
