"""The engine's side of a zygote: start it, ask it for jailed children, hear what became of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from heldtrue.kernel.errors import UnavailableError
from heldtrue.sandbox.image import Image
from heldtrue.sandbox.jail.launch import arguments
from heldtrue.sandbox.jail.layers import Layers
from heldtrue.sandbox.jail.walls import Ceilings

NOBODY = 65534
LARGEST = 65536
GRACE = 10.0
"""Seconds that a zygote has for burying its children."""


class SandboxError(UnavailableError):
    """A wall of the sandbox could not be put up; nothing was run. The message names the wall and what the kernel
    said.
    """

    code = "sandbox"

    def __init__(self, layer: str, why: str) -> None:
        super().__init__(f"the sandbox has no {layer}: {why}")
        self.layer = layer
        self.why = why


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended and what it cost."""

    status: int
    cpu_ms: int
    peak: int


@dataclass(slots=True, eq=False)
class Child:
    """A jailed process that waits for its job, as the engine holds it."""

    number: int
    pidfd: int
    job: int
    answer: int
    ended: Future[Ended]
    ceilings: Ceilings

    def kill(self) -> None:
        """Kill the first process of its namespace, and so all of them; one that has ended stays ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Let go of the descriptors."""
        for descriptor in (self.pidfd, self.job, self.answer):
            os.close(descriptor)

    def pid(self) -> int:
        """Return its pid as we see it."""
        for line in Path(f"/proc/self/fdinfo/{self.pidfd}").read_text().splitlines():
            if line.startswith("Pid:"):
                return int(line.split()[1])
        raise ProcessLookupError


class Zygote:
    """A warm interpreter behind the walls, for one tenant at most."""

    def __init__(self, image: Image, layers: Layers, *, uid: int = NOBODY) -> None:
        """Start it; raise `SandboxError` when its own walls cannot stand."""
        self.tenant: str | None = None
        self.served = 0
        self._layers = layers
        self._lock = threading.Lock()
        self._numbers = 0
        self._born: dict[int, Future[int]] = {}
        self._ended: dict[int, Future[Ended]] = {}
        self._reader = threading.Thread(target=self._hear, name="heldtrue-zygote", daemon=True)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = str(image.path)
        with theirs:
            theirs.set_inheritable(not layers.close_fds)
            self._process = subprocess.Popen(
                arguments(path, image.loader, image.python, "launch", [str(theirs.fileno())]),
                env={} if layers.empty_env else None, close_fds=layers.close_fds, pass_fds=[theirs.fileno()] if
                layers.close_fds else [],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/",
                start_new_session=True,
            )  # fmt: skip
        plan = {"layers": layers.plain(), "image": path, "loader": image.loader, "python": image.python, "uid": uid}
        self._channel.send(json.dumps(plan).encode())
        self._channel.settimeout(60)
        try:
            first = self._channel.recv(LARGEST)
        except TimeoutError as error:
            self.close()
            raise SandboxError("zygote", "it did not start within 60 s") from error
        said: dict[str, Any] = json.loads(first) if first else {"failed": "zygote", "why": self._last_words()}
        if "failed" in said:
            self.close()
            raise SandboxError(said["failed"], said["why"])
        self._channel.settimeout(None)
        self._silence()
        self._reader.start()

    def _last_words(self) -> str:
        self._process.kill()
        said = self._process.communicate()[1].decode("utf-8", "replace").strip()
        return f"it ended before it was warm: {said[-1500:] if said else 'it said nothing'}"

    def _silence(self) -> None:
        if self._process.stderr is not None:
            self._process.stderr.close()

    def spawn(self, ceilings: Ceilings, directory: Path | None = None, doors: Sequence[int] = ()) -> Child:
        """Return a child with its walls up, which has not read anything yet; it joins the control group of *doors*."""
        job_read, job = os.pipe2(os.O_CLOEXEC)
        answer, answer_write = os.pipe2(os.O_CLOEXEC)
        with self._lock:
            self._numbers += 1
            number = self._numbers
            born, ended = self._born[number], self._ended[number] = Future(), Future()
        asked = {
            "spawn": number,
            "ceilings": asdict(ceilings),
            "directory": None if directory is None else str(directory),
        }
        try:
            socket.send_fds(self._channel, [json.dumps(asked).encode()], [job_read, answer_write, *doors])
            pidfd = born.result(30)
        except BaseException as error:
            os.close(job)
            os.close(answer)
            if isinstance(error, (OSError, TimeoutError)):
                raise SandboxError("zygote", f"it did not answer: {error}") from error
            raise
        finally:
            os.close(job_read)
            os.close(answer_write)
        os.set_blocking(job, False)
        os.set_blocking(answer, False)
        return Child(number, pidfd, job, answer, ended, ceilings)

    def _hear(self) -> None:
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self._channel, LARGEST, 1, socket.MSG_CMSG_CLOEXEC)
            except OSError:
                message, descriptors = b"", []
            if not message:
                break
            said = json.loads(message)
            if "spawned" in said:
                self._born.pop(said["spawned"]).set_result(descriptors[0])
            elif "exited" in said:
                self._ended.pop(said["exited"]).set_result(Ended(said["status"], said["cpu_ms"], said["peak"]))
            else:
                self._born.pop(said["number"]).set_exception(SandboxError(said["failed"], said["why"]))
                self._ended.pop(said["number"])
        gone = SandboxError("zygote", "it ended")
        for waiting in (*self._born.values(), *self._ended.values()):
            waiting.set_exception(gone)

    def close(self) -> None:
        """End it: it kills and buries its children first; when it does not, their death signal ends them."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._silence()
        if self._reader.ident is not None:
            self._reader.join()
        self._channel.close()
