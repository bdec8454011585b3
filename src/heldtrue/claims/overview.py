"""What stands at the top of the trust page: counts of all claims, and the worst of them.

Its cost grows with what is shown: the counts are kept up as entries come (`tally`), and only what is shown is judged
with its history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from heldtrue.claims.board import Board
from heldtrue.claims.model import State
from heldtrue.claims.verdict import Verdict

TROUBLED = 20
"""Failing and overdue claims that stand on top, at most; all of them are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headlines:
    """The top of the page."""

    tally: Mapping[State, int]
    """Of all claims."""
    troubled: tuple[Verdict, ...]
    """The first failing claims, then the first overdue ones, whatever else is asked for."""


def headlines(board: Board, now: datetime) -> Headlines:
    """Return what stands on top, of what *board* knows by now."""
    tallies = board.tallies
    tallies.settle(now)
    worst = [claim for state in (State.FAILING, State.STALE) for claim in tallies.first(state, TROUBLED)]
    return Headlines(tally=tallies.total(), troubled=board.verdicts(worst[:TROUBLED], now))
