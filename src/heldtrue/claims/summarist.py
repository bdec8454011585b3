"""Keep a summary of all results from time to time, so that a start does not read years; losing it loses nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from heldtrue.claims import summary
from heldtrue.claims.board import Board
from heldtrue.claims.catalogue import Catalogue
from heldtrue.db.tx import Database
from heldtrue.kernel.ids import Entropy, LeafId

EVERY = timedelta(hours=1)
FIRST = timedelta(minutes=5)
"""After the start."""


@dataclass(slots=True)
class Summarist:
    """Folds the log as everybody does, and keeps what came of it."""

    database: Database
    catalogue: Catalogue
    log: Path | None
    entropy: Entropy
    _board: Board = field(init=False)
    _due: datetime | None = None

    def __post_init__(self) -> None:
        self._board = Board(self.catalogue, self.log)

    def step(self, now: datetime) -> LeafId | None:
        """Keep a summary when it is time and something is new; return its entry."""
        if self._due is None:
            self._due = now + FIRST
        if now < self._due:
            return None
        self._due = now + EVERY
        with self.database.system() as tx:
            head = self._board.read(tx, most=None)
            memory = self._board.memory
            if head is None or not memory.touched:
                return None
            leaf = summary.keep(tx, memory, (head.generation, head.size), now, self.entropy)
        memory.touched = set()
        return leaf
