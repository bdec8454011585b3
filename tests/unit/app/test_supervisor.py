"""The supervisor's own round, without an instance around it."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from heldtrue.app.listener import CertificateFiles
from heldtrue.app.processes import Child, Ready
from heldtrue.app.supervisor import Supervisor
from heldtrue.crypto.tls import ensure_local_authority


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    return tmp_path / "started"


def supervisor(tmp_path: Path, marks: Path, *, stop_asked: bool) -> Supervisor:
    made = ensure_local_authority(tmp_path / "tls", datetime.now(UTC))
    files = CertificateFiles(made.cert, made.key)

    def main(ready: Ready) -> int:
        marks.touch()
        ready()
        signal.pause()
        return 0

    return Supervisor(
        server=None, children=[Child("worker", main, None)], certificates=files, certificate=files.read(),
        serving=lambda: os.kill(os.getpid(), signal.SIGTERM), stop_asked=lambda: stop_asked,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def signals() -> object:
    """Put the signals' handlers back: the supervisor takes them for good."""
    assert threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    yield None
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_stop_that_came_during_the_start_starts_nothing(tmp_path: Path, marks: Path) -> None:
    assert supervisor(tmp_path, marks, stop_asked=True).run() == 0
    assert not marks.exists()


def test_without_one_everything_starts_and_ends_at_the_first_signal(tmp_path: Path, marks: Path) -> None:
    assert supervisor(tmp_path, marks, stop_asked=False).run() == 0
    assert marks.exists()
