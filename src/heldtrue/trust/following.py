"""Reads the published log into the diary: a little for every look, the years before in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from heldtrue.capabilities.ledger.tiles import WIDTH
from heldtrue.claims import store
from heldtrue.claims.reading import Reader
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import HeldtrueError
from heldtrue.trust.diary import Diary
from heldtrue.trust.differences import Read

AT_ONCE = 80
"""Tiles that one look takes in itself."""
T = TypeVar("T")
log = structlog.get_logger("heldtrue.trust")


class Follower:
    """Keeps a diary of the log. Safe for many threads."""

    def __init__(self, database: Database, directory: Path | None) -> None:
        self._database = database
        self._reader = Reader(directory)
        self._diary = Diary()
        self._read_to = store.START
        self._lock = threading.Lock()
        self._behind: threading.Thread | None = None

    def look(self, ask: Callable[[Diary, Read], T]) -> T:
        """Return what *ask* makes of the diary, with what was published until now."""
        with self._lock:
            read = self._step()
            if not read.complete and (self._behind is None or not self._behind.is_alive()):
                self._behind = threading.Thread(target=self._catch_up, name="diary", daemon=True)
                self._behind.start()
            return ask(self._diary, read)

    def _step(self) -> Read:
        """Take in what is new, so much at most; tell how far that is."""
        with self._database.system() as tx:
            head = store.head(tx)
            if head is None:
                return Read(0, complete=True)
            done = self._read_to[1] + 1 if self._read_to[0] == head.generation else 0
            size = min(head.size, (done // WIDTH + AT_ONCE) * WIDTH)  # whole tiles, which stay published
            for row in self._reader.read(tx, self._read_to, head.generation, size):
                self._diary.take(row.index, row.entry)
            self._read_to = (head.generation, size - 1)
        if size < head.size:
            return Read(size, complete=False)
        self._diary.pass_to(head.signed_at)
        return Read(head.size, complete=True)

    def _catch_up(self) -> None:
        try:
            while True:
                with self._lock:
                    if self._step().complete:
                        return
        except HeldtrueError as error:  # the database went away; the next look begins anew where this one ended
            log.warning("diary cut", code=error.code, why=error.message)
