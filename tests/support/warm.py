"""`heldtrue` in a process forked from one that has imported it all: the same code, without three seconds of imports.

One server for each process of tests. What a start from nothing does is tested where starts are what is tested.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SERVER = Path(__file__).with_name("warm_server.py")


@functools.cache
def _server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the server; it ends when this process, or its end of the link, does."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # a process that forks has one thread
    with far:
        process = subprocess.Popen([sys.executable, SERVER, str(far.fileno())], pass_fds=[far.fileno()], env=alone)
    return near, process


class Forked:
    """A process that the server forked; the methods are those of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str | Path], output: int) -> None:
        self.returncode: int | None = None
        self._report, report = os.pipe()
        asked = {"arguments": [*map(str, arguments)], "environment": dict(os.environ), "directory": str(Path.cwd())}
        try:
            socket.send_fds(_server()[0], [json.dumps(asked).encode()], [output, report])
        finally:
            os.close(report)
        self._heard = b""
        while b"\n" not in self._heard:
            self._heard += self._read()
        told, _, self._heard = self._heard.partition(b"\n")
        self.pid = int(told)

    def poll(self) -> int | None:
        """Return the exit status, or nothing while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, at most *timeout* seconds; return the exit status."""
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self._look(None if end is None else max(0.0, end - time.monotonic()))) is None:
            if end is not None and time.monotonic() >= end:
                raise subprocess.TimeoutExpired("heldtrue", timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._report], [], [], seconds)[0]:
            while not self._heard.endswith(b"\n"):
                self._heard += self._read()
            os.close(self._report)
            self.returncode = int(self._heard)
        return self.returncode

    def _read(self) -> bytes:
        piece = os.read(self._report, 64)
        if not piece:
            raise AssertionError("the server that forks is gone")
        return piece
