"""The supervisor: keeps the database and the children alive, and ends them in order.

It holds no connection and no thread of its own while it forks, so that a child starts from a quiet process. Nothing
outlives it: children get SIGKILL from the kernel when it ends, the embedded database SIGQUIT, and the next start
recovers by the ordinary path.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

import structlog

from heldtrue.app.listener import Certificate, CertificateFiles
from heldtrue.app.processes import Child, ChildFailedError, describe, end
from heldtrue.kernel.errors import HeldtrueError
from heldtrue.kernel.secret import Secret

GRACE = 15.0
"""Seconds that a child gets to end; more than the web process grants the answers under way."""
DATABASE_RETRY = 2.0
LOOK = 4.0
"""Seconds between two looks whether the database takes anybody in."""
ROUND = 1.0
"""Seconds between two looks at certificates and at what is due, when no signal comes."""


class Server(Protocol):
    """The database that is ours to keep alive."""

    def start(self) -> Secret[str]:
        """Start, or start again."""
        ...

    def stop(self) -> None:
        """Shut down."""
        ...

    def alive(self) -> bool:
        """Return whether it runs."""
        ...

    def stuck(self) -> bool:
        """Return whether it runs, takes nobody in, and nothing works towards that."""
        ...

    def abandon(self) -> None:
        """End it at once."""
        ...


@dataclass(slots=True)
class Supervisor:
    """One instance's process tree, once its database is up."""

    server: Server | None
    """None: the database is somebody else's."""
    children: Sequence[Child]
    """In the order of their start; they end in the reverse one. Those that serve read `certificate` when forked."""
    certificates: CertificateFiles
    certificate: Certificate
    serving: Callable[[], None]
    """Called once, when all children are ready for the first time."""
    upkeep: Callable[[], None] = lambda: None
    """Called every round."""
    stop_asked: Callable[[], bool] = lambda: False
    """Whether a signal to stop came before `run` listened."""
    _stopping: int = 0
    _reload: bool = False
    _served: bool = False
    _exchanging: list[Child] = field(default_factory=list[Child])
    """Children that serve an older certificate; they are exchanged one by one."""
    _retiring: tuple[Child, int] | None = None
    """A child that was started in the place of this older process, which ends when the child is ready."""
    _server_due: float = 0.0
    _look_due: float = 0.0
    _stuck: bool = False
    _log: Any = field(default_factory=lambda: structlog.get_logger("heldtrue.supervisor"))

    def run(self) -> int:
        """Start the children and watch until a signal asks to stop; return the exit code."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._signalled)
        self._stopping = max(self._stopping, int(self.stop_asked()))
        try:
            if not self._stopping:
                for child in self.children:
                    if child.vital:
                        child.start()
            while not self._stopping:
                self._round()
                if select.select([reader], [], [], 0.05 if self._unsettled() else ROUND)[0]:
                    os.read(reader, 4096)
        finally:
            self._stop()
            signal.set_wakeup_fd(-1)
            os.close(reader)
            os.close(writer)
        return 0

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stopping += 1
            if self._stopping > 1:
                retiring = None if self._retiring is None else self._retiring[1]
                for pid in (*(child.pid for child in reversed(self.children)), retiring):
                    if pid is not None:
                        os.kill(pid, signal.SIGKILL)
        elif number == signal.SIGHUP:
            self._reload = True

    def _unsettled(self) -> bool:
        return not self._all_ready() or self._retiring is not None or bool(self._exchanging)

    def _all_ready(self) -> bool:
        return all(child.ready or not child.vital for child in self.children)

    def _round(self) -> None:
        self._watch_database()
        for child in self.children:
            status = child.poll()
            if status is not None:
                if not self._served and child.vital:
                    raise ChildFailedError(f"the {child.name} process ended with {describe(status)} before it served")
                if child.given_up:
                    self._log.warning("child given up: it cannot work on this machine", child=child.name)
                    continue
                wait = round(max(0.0, child.due - time.monotonic()), 1)
                self._log.error("child ended", child=child.name, how=describe(status), again_in=wait)
            if (child.vital or self._served) and child.revive():
                self._log.info("child started again", child=child.name, pid=child.pid, restarts=child.restarts)
        try:
            self.upkeep()
        except OSError as error:
            self._log.error("upkeep failed", why=error.strerror)
        self._watch_certificates()
        self._exchange()
        if not self._served and self._all_ready():
            self._served = True
            self.serving()
            for child in self.children:  # the others begin once nobody waits for them
                if not child.vital:
                    child.start()

    def _watch_database(self) -> None:
        if self.server is None or time.monotonic() < self._server_due:
            return
        if self.server.alive():
            self._look_after_database(self.server)
            return
        self._log.error("database ended, starting it again")
        try:
            self.server.start()
        except HeldtrueError as error:
            self._server_due = time.monotonic() + DATABASE_RETRY
            self._log.error("database did not start", why=error.message, advice=error.advice)
        else:
            self._log.info("database started again")

    def _look_after_database(self, server: Server) -> None:
        """End a postmaster that is stuck, found so twice in a row; the next round starts it again."""
        if time.monotonic() < self._look_due:
            return
        self._look_due = time.monotonic() + LOOK
        before, self._stuck = self._stuck, server.stuck()
        if before and self._stuck:
            self._log.error("database stuck, ending it")
            server.abandon()
            self._stuck = False

    def _watch_certificates(self) -> None:
        """Read a new certificate, for the processes that serve it to be exchanged."""
        if not self._reload and not self.certificates.changed():
            return
        self._reload = False
        try:
            self.certificate = self.certificates.read()
        except HeldtrueError as error:
            self._log.error("new certificate refused, the old one serves on", why=error.message, advice=error.advice)
            return
        self._exchanging = [child for child in self.children if child.serves]
        self._log.info("certificate loaded")

    def _exchange(self) -> None:
        """Put a new process in the place of the next that serves; both listen until the old one is done."""
        if self._retiring is not None:
            child, old = self._retiring
            if child.ready:
                self._retiring = None
                end(old, seconds=GRACE)
        while self._exchanging and self._retiring is None:
            child = self._exchanging.pop(0)
            old = child.detach()
            child.start()
            if old is not None:
                self._retiring = (child, old)

    def _stop(self) -> None:
        """End the children, the last started first, so that nothing new is accepted, then the database."""
        self._stopping = max(self._stopping, 1)
        if self._retiring is not None:
            end(self._retiring[1], seconds=GRACE)
        for child in reversed(self.children):
            status = child.stop(seconds=GRACE)
            if status is not None and os.waitstatus_to_exitcode(status) != 0:
                self._log.warning("child did not end by itself", child=child.name, how=describe(status))
        if self.server is not None:
            self.server.stop()
