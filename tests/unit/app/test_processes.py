"""Children by fork: watched, started again with growing delays, ended, and never outliving their parent."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heldtrue.app import processes
from heldtrue.app.processes import Child, ChildFailedError, Ready, ask, describe
from heldtrue.app.pulse import Pulse
from heldtrue.kernel.errors import UnavailableError


def sleeper(ready: Ready) -> int:
    ready()
    signal.pause()
    return 0


def fails(_ready: Ready) -> int:
    return 7


def until(child: Child, *, seconds: float = 10.0) -> int | None:
    """Return the child's status when it ends, None as soon as it is ready."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = child.poll()
        if status is not None or child.ready:
            return status
        select.select([], [], [], 0.01)
    raise AssertionError("neither ready nor ended")


def test_a_child_says_when_it_is_ready_and_ends_when_asked() -> None:
    child = Child("sleeper", sleeper, None)
    child.start()
    assert until(child) is None
    status = child.stop(seconds=5)
    assert status is not None
    assert describe(status) == "signal SIGTERM"
    assert child.stop(seconds=5) is None


def test_a_child_that_ignores_the_request_is_killed() -> None:
    def deaf(ready: Ready) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return sleeper(ready)

    child = Child("deaf", deaf, None)
    child.start()
    until(child)
    status = child.stop(seconds=0.1)
    assert status is not None
    assert describe(status) == "signal SIGKILL"


def test_a_child_that_fails_comes_back_later_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child("fails", fails, None)
    child.start()
    delays: list[float] = []
    for _ in range(4):
        status = until(child)
        assert status is not None
        assert describe(status) == "exit code 7"
        delays.append(child.due - time.monotonic())
        assert not child.revive()
        child.due = 0.0
        assert child.revive()
    until(child)
    assert delays == sorted(delays)
    assert delays[-1] > 3 * delays[0]
    monkeypatch.setattr(processes, "SETTLED", 0.0)
    child.due = 0.0
    child.revive()
    until(child)
    assert child.due - time.monotonic() <= processes.FIRST_DELAY


def test_a_question_is_answered_by_a_child() -> None:
    def who() -> bytes:
        return str(os.getpid()).encode()

    assert int(ask(who, None)) != os.getpid()


def test_a_question_that_fails_or_hangs_is_an_error() -> None:
    def bad() -> bytes:
        raise UnavailableError("no")

    def hangs() -> bytes:
        signal.pause()
        return b""

    with pytest.raises(ChildFailedError, match="exit code 1"):
        ask(bad, None)
    with pytest.raises(ChildFailedError, match="SIGKILL"):
        ask(hangs, None, seconds=0.2)


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    program = f"""
import os, signal
from heldtrue.app.processes import Child
child = Child("sleeper", lambda ready: (ready(), signal.pause())[0] or 0, None)
child.start()
while not child.ready:
    child.poll()
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=False, timeout=60)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        ended = select.select([handle], [], [], 5)[0]
        os.close(handle)
        if ended:
            return
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"{pid} lives on")


def test_a_pulse_is_seen_across_a_fork() -> None:
    pulse = Pulse()
    assert pulse.silence("log") is None

    def beat() -> bytes:
        pulse.beat("log", 42)
        return b"beaten"

    ask(beat, None)
    silence = pulse.silence("log")
    assert silence is not None
    assert 0 <= silence < 5
    assert pulse.number("log") == 42
    assert pulse.silence("deliveries") is None


def test_a_child_shows_its_name_to_whoever_looks_at_the_machine() -> None:
    child = Child("sleeper", sleeper, None)
    child.start()
    assert until(child) is None
    assert Path(f"/proc/{child.pid}/comm").read_text() == "heldtrue-sleepe\n"
    child.stop(seconds=5)
