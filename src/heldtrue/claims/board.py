"""What is known of all claims at one moment: the published entries of the log, folded, and what follows from them.

Only entries under a signed checkpoint count, as they were published, so that the page never says what the log does not
hold, and nothing that is changed in a table changes it. What it costs to look depends on what is new and on what is
shown, never on how long it all has run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from heldtrue.claims import store, summary
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.folding import Memory
from heldtrue.claims.model import Claim, Run
from heldtrue.claims.reading import Reader
from heldtrue.claims.store import HeadRow
from heldtrue.claims.tally import Tallies
from heldtrue.claims.verdict import Verdict, judge
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.errors import UnavailableError

ROUND = 20_000
"""Entries that one look takes in at most; a page is not kept waiting for years that are read for the first time."""


class CatchingUpError(UnavailableError):
    """The log is being read for the first time since the claims changed; ask again in a few seconds."""

    code = "catching-up"


@dataclass(frozen=True, slots=True)
class Standing:
    """All verdicts at one moment, and the checkpoint they rest on."""

    at: datetime
    verdicts: tuple[Verdict, ...]
    head: HeadRow | None
    problems: tuple[str, ...] = ()
    """What the database has otherwise than it was published, in sentences."""


class Board:
    """Folded results of all attacks; read what is new, then judge. Safe for many threads."""

    def __init__(self, catalogue: Catalogue, log: Path | None = None) -> None:
        """*log*: the directory of the published log, against which every entry is compared."""
        self.catalogue = catalogue
        self.memory = Memory(catalogue)
        self.tallies = Tallies(self.memory)
        self.read_to = store.START
        self._reader = Reader(log)
        self._lock = threading.Lock()
        self._started = False

    @property
    def problems(self) -> tuple[str, ...]:
        """What differs from what was published, and what the log itself has wrong."""
        return (*self._reader.problems, *self.memory.problems)

    def fold(self, run: Run) -> None:
        """Take in one published run; feed them in the order of the log, each once."""
        self.memory.fold(run)

    def refresh(self, tx: SystemTx, now: datetime) -> Standing:
        """Read what was published since the last time and return where every claim stands at *now*."""
        head = self.read(tx)
        with self._lock:
            return Standing(now, self.judge(now), head, self.problems)

    def read(self, tx: SystemTx, most: int | None = ROUND) -> HeadRow | None:
        """Read what was published since the last time; return the checkpoint that it rests on.

        Raise `CatchingUpError` where more than *most* entries were new: the next call goes on behind them.
        """
        head = store.head(tx)
        if head is None:
            return None
        with self._lock:
            if not self._started:
                self._begin(tx, head)
            new = self._reader.read(tx, self.read_to, head.generation, head.size)
            for taken, row in enumerate(new, start=1):
                self.memory.take(row.generation, row.index, row.entry)
                self.read_to = (row.generation, row.index)
                if most is not None and taken > most:
                    raise CatchingUpError(f"entry {row.index} of {head.size} was read")
        return head

    def judge(self, now: datetime) -> tuple[Verdict, ...]:
        """Return where every claim stands at *now*, by what was folded so far."""
        return self.verdicts(self.memory.claims(), now)

    def verdicts(self, claims: Iterable[Claim], now: datetime) -> tuple[Verdict, ...]:
        """Return where *claims* stand at *now*."""
        memory = self.memory
        return tuple(
            replace(
                judge(claim, memory.records[claim.id], now, memory.said_of(claim)), loosened=memory.loosened_of(claim)
            )
            for claim in claims
        )

    def runs(self, tx: SystemTx, indices: Iterable[int], head: HeadRow) -> list[Run]:
        """Return the runs whose evidence is at these entries, the newest first."""
        rows = store.entries_at(tx, head.generation, sorted(indices))
        found = [self._reader.believed(row, head.generation, head.size) for row in rows]
        return [run for row in reversed(found) if (run := self.memory.run_at(row.index, row.entry)) is not None]

    def _begin(self, tx: SystemTx, head: HeadRow) -> None:
        """Once: start from the newest summary that the log holds, or from the first entry."""
        self._started = True
        found = summary.newest(tx, self.catalogue, self._reader, head)
        if found is not None:
            self.memory.restore(found)
            self.tallies = Tallies(self.memory)
            self.read_to = (found.generation, found.size - 1)
            self._reader.start_at(found.generation, found.size)
