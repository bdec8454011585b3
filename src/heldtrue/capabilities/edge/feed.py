"""The change feed: a thread that keeps the snapshot in step with the database, and knows how old it is.

NOTIFY only wakes it. What counts is a question that it asks each second and at every wake: is the newest change still
the one that I know? The moment before the question is the moment at which the snapshot is known to be right. A
connection that breaks is opened again, and the feed goes on from the change that it knows last. When that change is not
there any more, because it was pruned or because the database was restored, everything is read anew.

A server that hangs makes the snapshot older, and nothing else: no decision ever waits for this thread.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import psycopg
import structlog

from heldtrue.capabilities.edge import reading
from heldtrue.capabilities.edge.snapshot import Snapshot, boottime
from heldtrue.kernel.errors import UnavailableError

if TYPE_CHECKING:
    from types import TracebackType

    from heldtrue.kernel.secret import Secret

HEARTBEAT = 1.0
"""Seconds between two questions when nothing wakes the feed."""
SPACING = 0.005
"""The least seconds between two questions, however often the feed is woken."""
BACK_OFF = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
"""Seconds before each next try to connect; the last for all others."""
MOST_ROUNDS = 5
_log = structlog.get_logger("heldtrue.edge")

Told = Callable[[float], None]


class Feed:
    """Keeps one process's snapshot; to be made after a fork."""

    def __init__(self, dsn: Secret[str], snapshot: Snapshot, *, boot: Callable[[], float] = boottime) -> None:
        """Prepare; *dsn* is the edge role's. Nothing is asked before `start` or `catch_up`."""
        self._dsn = dsn
        self._snapshot = snapshot
        self._boot = boot
        self._line: reading.Line | None = None
        self._asking = threading.Lock()
        self._loaded = False
        self._stop = threading.Event()
        self._first = threading.Event()
        """Set when the first try, good or not, is over."""
        self._thread: threading.Thread | None = None
        self._bell: socket.socket | None = None
        self._ear: socket.socket | None = None
        self._listeners: list[Told] = []
        self.failures = 0
        """Tries in a row that found no agreement."""

    def start(self, patience: float = 120.0) -> bool:
        """Read everything, and go on in a thread; return whether the snapshot is there, after *patience* at most.

        A database that does not answer is no reason to wait: the thread goes on trying, and nobody is let in.
        """
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="heldtrue-feed", daemon=True)
        self._thread.start()
        self._first.wait(patience)
        return self._loaded

    def close(self) -> None:
        """End the thread and the connection; a question under way is broken off."""
        self._stop.set()
        self.nudge()
        line = self._line
        if self._thread is not None:
            self._thread.join(0.2)
            if self._thread.is_alive() and line is not None:
                _cut(line)
            self._thread.join(reading.PATIENCE + 2.0)
            self._thread = None
        for end in (self._bell, self._ear):
            if end is not None:
                end.close()
        self._hang_up()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def nudge(self) -> None:
        """Have the database asked soon."""
        if self._bell is not None:
            with contextlib.suppress(OSError):  # so many nudges wait already that there is no room, or it was closed
                self._bell.send(b"\0")

    def listen(self, told: Told) -> None:
        """Have *told* called in the feed's thread, after each agreement, with its moment by `boottime`."""
        self._listeners.append(told)

    def catch_up(self) -> None:
        """Bring the snapshot in step with the database now; raise `UnavailableError` when it does not answer.

        Safe from any thread. Afterwards the snapshot has all that was committed before this call.
        """
        with self._asking:
            try:
                self._ask()
            except BaseException as error:
                self._hang_up()
                self.failures += 1
                if isinstance(error, psycopg.Error | OSError):
                    raise UnavailableError("the database does not tell what became of keys") from error
                raise
            self.failures = 0
        for told in self._listeners:
            told(self._snapshot.agreed_at)

    def _ask(self) -> None:
        line = self._line
        if line is None or line.closed:
            line = self._line = reading.dial(self._dsn)
        for _ in range(MOST_ROUNDS):
            if self._round(line):
                return
        raise UnavailableError("the keys change faster than they can be read")

    def _round(self, line: reading.Line) -> bool:
        """Ask once, and bring in what is new; return False after reading everything, which took time: ask again."""
        line.told = False
        asked_at, mark = self._boot(), self._snapshot.mark()
        known = mark[1]
        newest, there = reading.compare(line, known)
        if self._loaded and there:
            if newest == (0 if known is None else known.generation):
                self._snapshot.agree(asked_at)
                return True
            batch = None if known is None else reading.read_batch(line, known)
            if batch is not None:
                return self._snapshot.apply(batch, asked_at)
        began = time.monotonic()
        tables = reading.read_all(line)
        if self._snapshot.replace(tables, asked_at, since=mark):
            self._loaded = True
            seconds = round(time.monotonic() - began, 2)
            _log.info("keys loaded", keys=len(tables.keys), generation=tables.generation, seconds=seconds)
        return False

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                before = self.failures
                self.catch_up()
                if before:
                    _log.info("the feed is whole again", tries=before)
            except Exception as error:  # noqa: BLE001 - whatever it was, the feed goes on, and its age tells
                if self.failures == 1 and not self._stop.is_set():
                    _log.warning("the feed is cut", why=str(error.__cause__ or error).split("\n")[0][:200])
            self._first.set()
            self._rest()

    def _rest(self) -> None:
        """Wait for a notice, a nudge or the heartbeat; after a failure, for a while in any case."""
        line, ear = self._line, self._ear
        if line is None or ear is None:
            self._stop.wait(BACK_OFF[min(self.failures, len(BACK_OFF)) - 1])
            return
        self._stop.wait(SPACING)
        with contextlib.suppress(OSError, ValueError, psycopg.Error):  # cut meanwhile: the next question says so
            with self._asking:
                told = line.told or line.pgconn.notifies() is not None  # one came after the question was sent
            if not told:
                select.select([line.fileno(), ear], [], [], HEARTBEAT)
        with contextlib.suppress(BlockingIOError):
            ear.recv(4096)

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()


def _cut(line: reading.Line) -> None:
    """Break a connection that another thread waits on."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(line.fileno())) as twin:
        twin.shutdown(socket.SHUT_RDWR)
