"""What lies outside for the attacks to reach: real listeners, files, a process, a terminal, a shared segment."""

from __future__ import annotations

import ctypes
import json
import os
import pty
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from probe_table import own_groups

HERE = Path(__file__).parent
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.shmat.restype = ctypes.c_void_p
SETUID_PROGRAM = "/usr/bin/su"


class Listeners:
    """A thread that greets everybody on TCP, UDP, a unix socket by path and an abstract one."""

    def __init__(self, home: Path, greeting: str) -> None:
        self.greeting = greeting.encode()
        self.path = str(home / "database.sock")
        self.abstract = f"heldtrue-probes-{secrets.token_hex(6)}"
        self.tcp = self._made(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.udp = self._made(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self.unix = self._made(socket.AF_UNIX, socket.SOCK_STREAM, self.path)
        self.hidden = self._made(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.abstract)
        self.datagram_path = str(home / "log.sock")
        self.datagrams = [
            self._made(socket.AF_UNIX, socket.SOCK_DGRAM, self.datagram_path),
            self._made(socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + self.abstract + "-datagram"),
        ]
        for each in (self.path, self.datagram_path):
            Path(each).chmod(0o777)
        self.ending, self.end = socket.socketpair()
        self.thread = threading.Thread(target=self._greet, daemon=True)
        self.thread.start()

    @staticmethod
    def _made(family: int, kind: int, address: Any) -> socket.socket:
        made = socket.socket(family, kind)
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen(64)
        return made

    def _greet(self) -> None:
        with selectors.DefaultSelector() as waiting:
            for each in (self.tcp, self.udp, self.unix, self.hidden, self.ending, *self.datagrams):
                waiting.register(each, selectors.EVENT_READ)
            while True:
                for key, _ in waiting.select():
                    if key.fileobj is self.ending:
                        return
                    self._answer(key.fileobj)

    def _answer(self, at: Any) -> None:
        if at in self.datagrams:
            at.recv(64)
            return
        if at is self.udp:
            _, whom = at.recvfrom(1024)
            at.sendto(self.greeting, whom)
            return
        connection, _ = at.accept()
        with connection:
            connection.sendall(self.greeting)

    def close(self) -> None:
        self.end.close()
        self.thread.join(20)
        for each in (self.tcp, self.udp, self.unix, self.hidden, self.ending, *self.datagrams):
            each.close()


def handle_of(path: Path) -> tuple[int, str]:
    """Return the type and the bytes of a file's handle (name_to_handle_at(2)), or an empty one where there are none."""
    blob = ctypes.create_string_buffer((128).to_bytes(4, "little") + bytes(132))
    mount = ctypes.c_int()
    if LIBC.syscall(303, -100, str(path).encode(), blob, ctypes.byref(mount), 0) != 0:
        return 0, ""
    length = int.from_bytes(blob.raw[:4], "little")
    return int.from_bytes(blob.raw[4:8], "little", signed=True), blob.raw[8 : 8 + length].hex()


class Outside:
    """Everything that the attacks aim at, and the context that tells them where it is."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="heldtrue-probes-"))
        self.home.chmod(0o755)
        self.canary = secrets.token_hex(16)
        self.public = self._directory("public", 0o777)
        self.temporary = self._directory("tmp", 0o777)
        self.images = self._directory("images", 0o755)
        self.secret = self.home / "secret.txt"
        self.secret.write_text("file " + self.canary)
        self.secret.chmod(0o666)
        self.descriptor = os.open(self._file("descriptor.txt", "descriptor " + self.canary), os.O_RDONLY)
        self.listeners = Listeners(self.home, "greeting " + self.canary)
        self.victim = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
        self.terminal = pty.openpty()
        self.key = 0x48540000 | secrets.randbelow(1 << 16)
        self.segment = LIBC.shmget(self.key, 64, 0o1666)
        ctypes.memmove(LIBC.shmat(self.segment, None, 0), ("greeting " + self.canary).encode(), 41)

    def _directory(self, name: str, mode: int) -> Path:
        made = self.home / name
        made.mkdir()
        made.chmod(mode)
        return made

    def _file(self, name: str, text: str) -> Path:
        made = self.home / name
        made.write_text(text)
        return made

    def context(self) -> dict[str, Any]:
        """Return what an attacker is told (more than any would know)."""
        return {
            "environment": "environment " + self.canary,
            "memory": ("memory " + self.canary)[::-1],
            "descriptor": "descriptor " + self.canary,
            "file": "file " + self.canary,
            "greeting": "greeting " + self.canary,
            "secret": str(self.secret),
            "public": str(self.public),
            "victim": self.victim.pid,
            "handle": handle_of(self.secret),
            "port": self.listeners.tcp.getsockname()[1],
            "resolver": self.listeners.udp.getsockname()[1],
            "unix": self.listeners.path,
            "unix_datagram": self.listeners.datagram_path,
            "abstract": self.listeners.abstract,
            "terminal": os.ttyname(self.terminal[1]),
            "typed": "x",
            "host": os.uname().nodename,
            "segment": self.key,
            "groups": own_groups(),
            "python": sys.executable,
            "setuid": SETUID_PROGRAM,
            "patience": 0.3,
        }

    def close(self) -> None:
        """End what was started, and remove what was made."""
        self.listeners.close()
        self.victim.kill()
        self.victim.communicate()
        for each in (*self.terminal, self.descriptor):
            os.close(each)
        LIBC.shmctl(self.segment, 0, None)
        shutil.rmtree(self.home)


class Runner:
    """A process that runs jobs in engines as the server does; its environment, memory and descriptors have canaries."""

    def __init__(self, outside: Outside, images: Path) -> None:
        self.outside = outside
        environment = {
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(outside.temporary),
            "CANARY": "environment " + outside.canary,
            "IMAGES": str(images),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        self.process = subprocess.Popen(
            [sys.executable, HERE / "probe_runner.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            pass_fds=[outside.descriptor],
            start_new_session=True,
        )
        self.lock = threading.Lock()
        self.base = {**outside.context(), **self.ask({"do": "introduce", "memory": ("memory " + outside.canary)[::-1]})}

    def ask(self, question: dict[str, Any]) -> Any:
        """Send a question and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.lock:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if not answer:
            raise AssertionError(f"the runner of the probes ended with {self.process.wait(20)}")
        said = json.loads(answer)
        if "failed" in said:
            raise AssertionError(said["failed"])
        return said["answer"]

    def close(self) -> None:
        """Let the process end, and wait for it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()
