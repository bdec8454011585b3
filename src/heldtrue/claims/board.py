"""What is known of all claims at one moment: the published results, folded, and what follows from them.

Only results whose evidence is under a signed checkpoint count, so that the page never says what the log does not hold.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from heldtrue.claims import documents, store
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.model import Run
from heldtrue.claims.record import Record
from heldtrue.claims.store import HeadRow
from heldtrue.claims.verdict import Verdict, judge
from heldtrue.db.tx import SystemTx


@dataclass(frozen=True, slots=True)
class Standing:
    """All verdicts at one moment, and the checkpoint they rest on."""

    at: datetime
    verdicts: tuple[Verdict, ...]
    head: HeadRow | None


class Board:
    """Folded results of all attacks; read what is new, then judge. Safe for many threads."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._lock = threading.Lock()
        self._records: dict[str, dict[str, Record]] = {
            claim.id: {name: Record(name, claim.max_age) for name in claim.attacks} for claim in catalogue.claims
        }
        self._read_to = store.START

    def fold(self, run: Run) -> None:
        """Take in one published run; feed them in the order of the log, each once."""
        for records in self._records.values():
            record = records.get(run.attack)
            if record is not None:
                record.fold(run)

    def refresh(self, tx: SystemTx, now: datetime) -> Standing:
        """Read what was published since the last time and return where every claim stands at *now*."""
        head = store.head(tx)
        with self._lock:
            for row in store.logged_results(tx, self._read_to, head.size if head else 0):
                self.fold(documents.run_of(row.evidence, row.index))
                self._read_to = (row.generation, row.index)
            return Standing(now, self.judge(now), head)

    def judge(self, now: datetime) -> tuple[Verdict, ...]:
        """Return where every claim stands at *now*, by what was folded so far."""
        return tuple(judge(claim, self._records[claim.id], now) for claim in self.catalogue.claims)
