"""What a page of a trust document is a page of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heldtrue.claims.board import Standing
from heldtrue.claims.model import State
from heldtrue.claims.verdict import Verdict

TROUBLE = (State.FAILING, State.STALE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a page of a trust document is a page of."""

    total: int
    page: int
    pages: int
    next: str | None
    asked: Mapping[str, str]
    tally: Mapping[State, int]
    """Of all claims."""
    troubled: Sequence[Verdict]


def whole(standing: Standing) -> Window:
    """Return the window that shows everything that stands."""
    count = len(standing.verdicts)
    tally = {state: sum(verdict.state is state for verdict in standing.verdicts) for state in State}
    worst = [verdict for state in TROUBLE for verdict in standing.verdicts if verdict.state is state]
    return Window(total=count, page=1, pages=1, next=None, asked={}, tally=tally, troubled=worst)
