"""A real clamd with one signature of our own, started for a test and ended with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest
from instance import until

CLAMD = shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
MARK = b"Heldtrue-test-signature-e1b7c2"
"""What our signature recognises; nothing else does."""
SIGNATURE = f"Heldtrue.Test.Mark:0:*:{MARK.hex()}\n"
STREAM_MAX = 3 * 1024 * 1024


@dataclass
class Clamd:
    """A running clamd."""

    process: subprocess.Popen[bytes]
    socket: Path

    @property
    def setting(self) -> str:
        return f"unix:{self.socket}"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


@contextmanager
def running_clamd() -> Generator[Clamd]:
    """Start clamd in the foreground with its own configuration and database; end it afterwards."""
    if CLAMD is None:
        pytest.skip("clamd is not installed")
    root = Path(mkdtemp(prefix="ht-clamd-"))  # short: a socket's path has 107 bytes at most
    database = root / "db"
    database.mkdir()
    (database / "own.ndb").write_text(SIGNATURE)
    place = root / "c"
    settings = {
        "Foreground": "yes", "LocalSocket": place, "DatabaseDirectory": database, "LogFile": root / "log",
        "StreamMaxLength": STREAM_MAX, "MaxThreads": 2, "SelfCheck": 86400, "Bytecode": "no",
        **({"User": "root"} if os.geteuid() == 0 else {}),
    }  # fmt: skip
    config = root / "clamd.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    process = subprocess.Popen(
        [CLAMD, f"--config-file={config}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    clamd = Clamd(process, place)
    try:
        until(lambda: _answers(place) or process.poll() is not None, 60, "clamd answers")
        if process.poll() is not None:
            raise AssertionError(f"clamd ended with {process.returncode}: {(root / 'log').read_text()[-2000:]}")
        yield clamd
    finally:
        clamd.stop()
        shutil.rmtree(root)


def _answers(place: Path) -> bool:
    if not place.exists():
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(place))
        except OSError:
            return False
        probe.sendall(b"zPING\0")
        return probe.recv(16) == b"PONG\0"
