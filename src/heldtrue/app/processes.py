"""Child processes by fork alone, so that a child needs nothing from disk that it could not read as another user."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from heldtrue.app.accounts import Account, confine, entitle
from heldtrue.kernel.errors import HeldtrueError, UnavailableError

FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
SETTLED = 30.0
"""A child that lived this many seconds starts the next count of delays anew."""

SWITCH = 0.0001
"""Seconds after which a thread that has its answer gets the interpreter from one that computes, instead of Python's
5 ms: an operation takes it back from the event loop after each round trip to the database."""

Ready = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Announce:
    """Tells the supervisor that a child is ready; its descriptor may be handed on to a program that a child becomes."""

    descriptor: int

    def __call__(self) -> None:
        """Say so, once."""
        os.write(self.descriptor, b"+")
        os.close(self.descriptor)


class ChildFailedError(UnavailableError):
    """A process of the instance could not start; the message before this one says why."""

    code = "child-failed"


def fork(main: Callable[[], int], account: Account | None) -> int:
    """Run *main* in a child as *account* and return its pid; the child never returns from here."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    gc.freeze()
    pid = os.fork()
    if pid:
        gc.unfreeze()
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the supervisor decides the order
        confine(account, parent)
        sys.setswitchinterval(SWITCH)
        code = main()
    except HeldtrueError as error:
        print(f"heldtrue: {error.message} {error.advice}".rstrip(), file=sys.stderr)
        code = 1
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last line of a process: print whatever ends it
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def ask(question: Callable[[], bytes], account: Account | None, *, seconds: float = 120.0) -> bytes:
    """Run *question* in a child as *account* and return what it answers; raise `ChildFailedError` when it fails."""
    reader, writer = os.pipe()

    def main() -> int:
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(question())
        return 0

    pid = fork(main, account)
    os.close(writer)
    answer = bytearray()
    deadline = time.monotonic() + seconds
    try:
        while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            part = os.read(reader, 65536)
            if not part:
                break
            answer += part
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(reader)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise ChildFailedError(f"the process that was to prepare or do it ended with {describe(status)}")
    return bytes(answer)


@dataclass(slots=True)
class Child:
    """A process that is kept alive: started, watched, and started again with growing delays."""

    name: str
    main: Callable[[Ready], int]
    account: Account | None
    serves: bool = False
    """Whether it serves with the instance's certificate, and is exchanged when that changes."""
    vital: bool = True
    """Whether nothing is served before it is ready."""
    gives_up_with: int | None = None
    """The exit code after which it is not started again, where it is not vital."""
    pid: int | None = None
    restarts: int = 0
    ready: bool = False
    given_up: bool = False
    due: float = 0.0
    _delay: float = FIRST_DELAY
    _started: float = 0.0
    pipe: int = -1
    """Readable when the child has said something."""

    def start(self) -> None:
        """Fork; `ready` turns true when the child has said so."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)

        def main() -> int:
            os.close(reader)
            entitle(self.name)
            return self.main(Announce(writer))

        self._close()
        self.pid = fork(main, self.account)
        os.close(writer)
        self.pipe, self.ready, self._started = reader, False, time.monotonic()

    def poll(self) -> int | None:
        """Return the wait status if the child has ended since the last call, having planned its next start."""
        if self.pipe >= 0 and not self.ready:
            with contextlib.suppress(BlockingIOError):
                self.ready = os.read(self.pipe, 1) == b"+"
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.pid, self.ready = None, False
        self._close()
        ended_with = os.waitstatus_to_exitcode(status)
        self.given_up = not self.vital and self.gives_up_with is not None and ended_with == self.gives_up_with
        now = time.monotonic()
        self._delay = FIRST_DELAY if now - self._started > SETTLED else min(self._delay * 2, LONGEST_DELAY)
        self.due = now + self._delay
        return status

    def revive(self) -> bool:
        """Start again when the delay is over; return whether it was."""
        if self.pid is not None or self.given_up or time.monotonic() < self.due:
            return False
        self.restarts += 1
        self.start()
        return True

    def stop(self, *, seconds: float) -> int | None:
        """Ask the child to end, wait, and end it after *seconds*; return its wait status."""
        if self.pid is None:
            return None
        pid, self.pid, self.ready = self.pid, None, False
        self._close()
        return end(pid, seconds=seconds)

    def detach(self) -> int | None:
        """Let go of the running process, to be ended elsewhere once another has taken its place."""
        pid, self.pid, self.ready = self.pid, None, False
        return pid

    def _close(self) -> None:
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1


def end(pid: int, *, seconds: float) -> int:
    """Send SIGTERM to our child *pid*, SIGKILL after *seconds*, and return its wait status."""
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], seconds)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    return os.waitpid(pid, 0)[1]


def describe(status: int) -> str:
    """Return a wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
