"""The sample APIs of `examples/`, served on loopback, and a recorder of what reaches a server."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

from heldtrue.app import probing
from heldtrue.capabilities.probe.file import ProbeFile, allowed
from heldtrue.capabilities.probe.report import Report
from heldtrue.capabilities.probe.sender import Rules
from heldtrue.kernel.clock import SystemClock

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CHANGING = ("POST", "PATCH", "DELETE")


def load(name: str) -> ModuleType:
    """Import a file of `examples/`."""
    known = sys.modules.get(name)
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Sample:
    """A sample API that is served, with the probe's file for it."""

    api: Any
    port: int
    file: Path

    @property
    def document(self) -> str:
        return f"http://127.0.0.1:{self.port}/openapi.json"


@contextmanager
def sample(name: str, folder: Path) -> Generator[Sample]:
    """Serve `sound_api` or `vulnerable_api`."""
    sound = load("sound_api")
    api = sound.Api() if name == "sound_api" else load("vulnerable_api").VulnerableApi()
    server = sound.serve(api)
    try:
        yield Sample(api, server.server_port, sound.furnish(api, server.server_port, folder))
    finally:
        server.shutdown()
        server.server_close()


def run(source: str, file: Path, *methods: str, rate: float = 1000, most: int = 5000) -> Report:
    """Probe, without the command line."""
    given: ProbeFile = probing.read_file(file)
    rules = Rules(allowed(given, methods), rate, 4, most, given.timeout, probing.AGENT)
    return probing.carry_out(probing.prepare(source, file, given, rules), SystemClock(), lambda _result: None)


@dataclass
class Recorder:
    """A server that answers every key of a's the same, others with 401, and remembers what it was asked."""

    status: int = 200
    body: bytes = b'{"id": "thing", "name": "Alder Freight"}'
    headers: tuple[tuple[str, str], ...] = ()
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def served(self) -> Generator[Recorder]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                recorder.seen.append((self.command, self.requestline.split(" ")[1], headers))
                good = headers.get("authorization") == "Bearer key-of-organisation-a"
                self.send_response(recorder.status if good or recorder.status != 200 else 401)
                for name, value in recorder.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(recorder.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(recorder.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_get = answer

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self.port = server.server_port
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def file(self, folder: Path, more: str = "") -> Path:
        """Write a probe's file for this server."""
        for name in "ab":
            path = folder / f"{name}.key"
            path.touch(0o600)
            path.write_text(f"key-of-organisation-{name}")
        file = folder / "probe.toml"
        file.write_text(
            f'base_url = "http://127.0.0.1:{self.port}"\n{more}\n[organisations.a]\ncredential = "file:a.key"\n'
            '[organisations.b]\ncredential = "file:b.key"\n'
        )
        return file
