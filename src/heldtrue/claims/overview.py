"""The trust page in one screen: counts of all claims, and the few that are shown.

Its cost grows with what is shown: the counts are kept up as entries come (`tally`), and only what is on the screen is
judged with its history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from heldtrue.claims.board import Board, Standing
from heldtrue.claims.model import State
from heldtrue.claims.store import HeadRow
from heldtrue.claims.tally import Choice
from heldtrue.db.tx import SystemTx

TROUBLED = 20
"""Failing and overdue claims that stand on top, at most; all of them are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One screen."""

    standing: Standing
    """Of the claims that are shown, and no others."""
    choice: Choice
    total: int
    """How many claims the choice has."""
    page: int
    pages: int
    tally: Mapping[State, int]
    """Of all claims."""
    groups: Mapping[str, Mapping[State, int]]
    troubled: Standing
    """The first failing and overdue claims of all, whatever is chosen."""


def overview(board: Board, tx: SystemTx, now: datetime, choice: Choice | None = None) -> Overview:
    """Read what is new and return one screen as of *now*."""
    return screen(board, board.read(tx), now, choice or Choice())


def screen(board: Board, head: HeadRow | None, now: datetime, choice: Choice) -> Overview:
    """Return one screen of what *board* knows by now."""
    tallies = board.tallies
    tallies.settle(now)
    chosen = tallies.choose(choice)
    worst = [
        claim
        for state in (State.FAILING, State.STALE)
        for claim in tallies.choose(Choice(state=state, size=TROUBLED)).claims
    ][:TROUBLED]
    return Overview(
        standing=Standing(now, board.verdicts(chosen.claims, now), head, board.problems),
        choice=choice,
        total=chosen.total,
        page=chosen.page,
        pages=chosen.pages,
        tally=tallies.total(),
        groups=tallies.groups(),
        troubled=Standing(now, board.verdicts(worst, now), head, board.problems),
    )
