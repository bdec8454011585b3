"""Where attacks run: each in a process of its own, which is ended when its time is over.

The laboratory is forked once, early, while its parent has one thread, and forks a child for every run. A run in scratch
gets an empty directory, in which the child builds an instance of its own; only there may a control be broken. Whatever
a child leaves, processes and files, is gone when its run is.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from heldtrue.attack import Attack, AttackHinderedError, Finding, Outcome, Place
from heldtrue.attack.arena import Arena
from heldtrue.claims import broken
from heldtrue.claims.broken import Broken
from heldtrue.claims.model import Against
from heldtrue.kernel.errors import HeldtrueError

GRACE = 30.0
"""Seconds on top of an attack's limit for building and clearing away a scratch instance."""
_PR_SET_PDEATHSIG = 1
NICE = 10


class Arenas(Protocol):
    """How arenas come to be; called in the child that attacks."""

    def live(self, place: Place) -> AbstractContextManager[Arena]:
        """Open an arena on the running instance."""
        ...

    def scratch(self, directory: Path) -> AbstractContextManager[Arena]:
        """Build an instance in an empty *directory* and open an arena on it; take it away at the end."""
        ...


class Runner(Protocol):
    """Runs attacks."""

    def run(self, attack: Attack, against: Against) -> Finding:
        """Return what *attack* found; an attack that cannot be carried out is an error, never held."""
        ...


def perform(
    attack: Attack,
    against: Against,
    arenas: Arenas,
    directory: Path | None,
    controls: Mapping[str, Broken] = broken.CONTROLS,
) -> Finding:
    """Carry out *attack* in this process."""
    with contextlib.ExitStack() as stack:
        if directory is None:
            if against is Against.BROKEN:
                raise AttackHinderedError("a control is broken in scratch only")
            where = stack.enter_context(arenas.live(attack.place))
        else:
            control = controls[attack.breaks] if against is Against.BROKEN else None
            if control is not None:
                stack.enter_context(control.before(broken.permit(directory)))
            where = stack.enter_context(arenas.scratch(directory))
            if control is not None:
                where = stack.enter_context(control.within(broken.permit(directory), where))
        return attack.run(where)


def guarded(attack: Attack, act: Callable[[], Finding]) -> Finding:
    """Return what *act* finds; whatever it raises is an error of the attack, told without any value."""
    try:
        return act()
    except AttackHinderedError as error:
        return Finding(Outcome.ERROR, {"runs": 1}, f"The attack was hindered: {error.message}")
    except HeldtrueError as error:
        return Finding(Outcome.ERROR, {"runs": 1}, f"The attack ended with {error.code}.")
    except Exception as error:  # noqa: BLE001 - the rim of a run: a crash is a result
        if os.environ.get("HELDTRUE_ATTACK_TRACE"):
            sys.excepthook(type(error), error, error.__traceback__)
        return Finding(Outcome.ERROR, {"runs": 1}, f"The attack {attack.name} crashed: {type(error).__name__}.")


@dataclass
class _Child:
    """A run under way."""

    id: int
    pid: int
    pipe: int
    deadline: float
    limit: float
    directory: Path | None
    heard: bytes = b""


class Laboratory:
    """The near end: asks for runs, from several threads."""

    def __init__(self, link: socket.socket, pid: int) -> None:
        self._link, self._pid = link, pid
        self._file = link.makefile("rb")
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[threading.Event, list[dict[str, Any]]]] = {}
        self._last = 0
        self._listener: threading.Thread | None = None

    @classmethod
    def open(
        cls,
        attacks: Mapping[str, Attack],
        arenas: Arenas,
        home: Path | None = None,
        controls: Mapping[str, Broken] = broken.CONTROLS,
    ) -> Laboratory:
        """Fork the laboratory; call it while this process has one thread. *home* holds scratch directories."""
        near, far = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            near.close()
            _end_after(parent, lambda: _Far(far, attacks, arenas, home, controls).serve())
        far.close()
        return cls(near, pid)

    def run(self, attack: Attack, against: Against) -> Finding:
        """Return what came of one run; safe to call from several threads."""
        event, answer = threading.Event(), list[dict[str, Any]]()
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="laboratory", daemon=True)
                self._listener.start()
            self._last += 1
            self._waiting[self._last] = (event, answer)
            request = {"id": self._last, "attack": attack.name, "against": str(against)}
            try:
                self._link.sendall(json.dumps(request).encode() + b"\n")
            except OSError:
                return Finding(Outcome.ERROR, {"runs": 1}, "The laboratory is gone.")
        event.wait(attack.limit.total_seconds() + 2 * GRACE)
        if not answer:
            return Finding(Outcome.ERROR, {"runs": 1}, "The laboratory did not answer.")
        return Finding(Outcome(answer[0]["outcome"]), answer[0]["coverage"], answer[0]["detail"])

    def close(self) -> None:
        """End the laboratory and every run in it."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self._link.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def __enter__(self) -> Laboratory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._file:
                found = json.loads(line)
                with self._lock:
                    event, answer = self._waiting.pop(found["id"])
                answer.append(found)
                event.set()
        with self._lock:
            for event, _ in self._waiting.values():
                event.set()


class _Far:
    """The far end: forks a child for each run, and sees it to its end."""

    def __init__(
        self,
        link: socket.socket,
        attacks: Mapping[str, Attack],
        arenas: Arenas,
        home: Path | None,
        controls: Mapping[str, Broken],
    ) -> None:
        self._link, self._attacks, self._arenas, self._home = link, attacks, arenas, home
        self._controls = controls
        self._children: dict[int, _Child] = {}

    def serve(self) -> int:
        """Serve until the near end is gone."""
        _sweep(self._home)
        heard = b""
        while True:
            timeout = min((c.deadline - time.monotonic() for c in self._children.values()), default=None)
            readable, _, _ = select.select(
                [self._link, *self._children], [], [], None if timeout is None else max(0.0, timeout)
            )
            if self._link in readable:
                piece = self._link.recv(65536)
                if not piece:
                    for child in list(self._children.values()):
                        self._finish(child, "The laboratory was closed.")
                    return 0
                *lines, heard = (heard + piece).split(b"\n")
                for line in lines:
                    self._start(json.loads(line))
            for pipe in [fd for fd in readable if isinstance(fd, int)]:
                self._hear(self._children[pipe])
            for child in list(self._children.values()):
                if time.monotonic() >= child.deadline:
                    self._finish(child, f"The attack ran out of time after {child.limit:.0f} s.")

    def _start(self, request: dict[str, Any]) -> None:
        attack, against = self._attacks[request["attack"]], Against(request["against"])
        scratch = attack.place is Place.SCRATCH or against is Against.BROKEN
        directory = _make_scratch(self._home) if scratch else None
        reader, writer = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._link.close()
            os.setpgid(0, 0)
            act = partial(perform, attack, against, self._arenas, directory, self._controls)
            _end_after(parent, lambda: _attack(attack, act, directory, writer))
        os.close(writer)
        limit = attack.limit.total_seconds()
        deadline = time.monotonic() + limit + (GRACE if scratch else 0.0)
        self._children[reader] = _Child(request["id"], pid, reader, deadline, limit, directory)

    def _hear(self, child: _Child) -> None:
        piece = os.read(child.pipe, 65536)
        child.heard += piece
        if not piece:
            self._finish(child, "The attack's process ended without a result.")

    def _finish(self, child: _Child, otherwise: str) -> None:
        """End what is left of a run and answer with its result, or with an error when it left none."""
        del self._children[child.pipe]
        os.close(child.pipe)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        if child.directory is not None:
            _remove(child.directory)
        try:
            found = json.loads(child.heard)
        except ValueError:
            found = {"outcome": str(Outcome.ERROR), "coverage": {"runs": 1}, "detail": otherwise}
        with contextlib.suppress(OSError):
            self._link.sendall(json.dumps({"id": child.id, **found}).encode() + b"\n")


def _attack(attack: Attack, act: Callable[[], Finding], directory: Path | None, writer: int) -> int:
    if directory is not None:
        os.nice(NICE)
    finding = guarded(attack, act)
    result = {"outcome": str(finding.outcome), "coverage": dict(finding.coverage), "detail": finding.detail}
    os.write(writer, json.dumps(result).encode())
    os.close(writer)
    return 0


def _end_after(parent: int, main: Callable[[], int]) -> None:
    """Run *main* as the whole rest of a forked child, which dies with *parent*; never return."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() == parent:
            code = main()
    except BaseException:  # noqa: BLE001 - the last line of a process
        sys.excepthook(*sys.exc_info())  # pyright: ignore[reportArgumentType]
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _make_scratch(home: Path | None) -> Path:
    directory = Path(tempfile.mkdtemp(prefix=f"{broken.PREFIX}{os.getpid()}-", dir=home))
    directory.chmod(0o711)
    return directory


def _sweep(home: Path | None) -> None:
    """Remove what laboratories that are gone left: they were killed, and their runs with them."""
    for left in Path(home or tempfile.gettempdir()).glob(f"{broken.PREFIX}*-*"):
        maker = left.name.removeprefix(broken.PREFIX).partition("-")[0]
        if maker.isdigit() and left.lstat().st_uid == os.geteuid() and not Path(f"/proc/{maker}").exists():
            _remove(left)


def _remove(directory: Path) -> None:
    """Remove a scratch directory; its database may take a moment to die."""
    for _ in range(40):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.05)
