"""A real `heldtrue up` in a process tree of its own, which a test may kill at any moment, and a client for it."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from warm import Forked

HELDTRUE = Path(sys.executable).with_name("heldtrue")


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.cycle(range(12_000 + _WORKER % 8 * 2_000, 14_000 + _WORKER % 8 * 2_000))
"""Each worker's own, below those that the kernel gives to outgoing connections: nobody takes one before its use."""
for _ in range(os.getpid() % 2_000):
    next(_PORTS)


def free_port() -> int:
    """Return a port of loopback that nobody listens on, and that is not asked for again soon."""
    for port in _PORTS:
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: the ports go round")


PATIENCE = float(os.environ.get("PATIENCE", "3"))
"""How many times as long as on a machine of its own a test waits; where a limit is what is tested, it is measured."""


def until(true: Callable[[], Any], seconds: float, what: str, pause: float = 0.05) -> Any:
    """Ask again and again until the answer is true; return it, or fail saying *what* was waited for."""
    end = time.monotonic() + seconds * PATIENCE
    while not (answer := true()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds * PATIENCE:g} s")
        time.sleep(pause)  # between two questions; nothing depends on its length
    return answer


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Instance:
    """One data directory and the process tree that serves it, started and killed at will."""

    root: Path
    flags: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | Forked | None = None
    fresh: bool = False
    """From an interpreter of its own, as users start it; else from one that has imported it all."""

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def ca_file(self) -> Path:
        return self.data / "tls" / "ca.pem"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self, *, ready: bool = True) -> None:
        self.keys.mkdir(mode=0o700, exist_ok=True)
        line = ["up", "--data-dir", self.data, "--listen", f"127.0.0.1:{self.port}"]
        line += ["--platform-key", f"file:{self.keys / 'platform.key'}", *self.flags]
        with (self.root / "output.txt").open("ab") as output:
            if self.fresh:
                self.process = subprocess.Popen([HELDTRUE, *line], stdout=output, stderr=subprocess.STDOUT)
            else:
                self.process = Forked(line, output.fileno())
        if ready:
            until(self.ready, 60, "the instance is ready")

    def ready(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"heldtrue up ended: {self.output()[-3000:]}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.call("GET", "/readyz").status == 200
        return False

    def output(self) -> str:
        return (self.root / "output.txt").read_text(errors="replace")

    def tree(self) -> list[psutil.Process]:
        """Return the supervisor and everything below it."""
        if self.process is None or self.process.poll() is not None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(self.process.pid)
            return [supervisor, *supervisor.children(recursive=True)]
        return []

    def kill(self) -> None:
        """SIGKILL the supervisor alone: whatever it started has to notice by itself."""
        assert self.process is not None
        below = self.tree()
        self.process.kill()
        self.process.wait()
        psutil.wait_procs(below, timeout=20)

    def kill_tree(self) -> None:
        """SIGKILL everything at once, as a power cut does (short of the disk's cache)."""
        below = self.tree()
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()
        psutil.wait_procs(below, timeout=20)

    def stop(self) -> int:
        """Ask the supervisor to end; return its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill_tree()
            raise

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=15, context=context)

    def call(
        self, method: str, path: str, body: Any = None, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Said:
        """Call once over a connection of its own."""
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return Said(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def done(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Call and return the JSON of an answer that is a success."""
        said = self.call(method, path, body, key)
        assert 200 <= said.status < 300, (method, path, said.status, said.body)
        return said.json()

    def operator_key(self) -> str:
        note = json.loads((self.data / "serving.json").read_text())
        return Path(note["operator_file"]).read_text().strip().splitlines()[-1]

    def organisation(self, name: str) -> str:
        """Make an organisation with an environment `live` and return the secret of an administrator's key."""
        operator = self.operator_key()
        made = self.done("POST", "/v1/organisations", {"name": name}, operator)
        issued = self.done("POST", f"/v1/organisations/{made['id']}/keys", {"name": "admin", "role": "admin"}, operator)
        return issued["secret"]

    def pin(self) -> str:
        return (self.data / "log.pin").read_text().strip()
