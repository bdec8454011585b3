"""The sample company's own receiver: a TLS server on loopback that verifies every webhook before it looks at it."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from heldtrue_verify.canonical import JsonObject
from heldtrue_verify.verdicts import VerifyError
from heldtrue_verify.webhook import verify

LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook that verified."""

    headers: Mapping[str, str]
    body: bytes
    event: JsonObject

    def as_file(self) -> bytes:
        """Return it as `heldtrue-verify webhook` reads it: headers, an empty line, the raw body."""
        lines = [f"{name}: {value}" for name, value in self.headers.items()]
        return "\n".join(lines).encode() + b"\n\n" + self.body


@dataclass(slots=True)
class Receiver:
    """What came in, by `webhook-id`, and what was refused."""

    url: str
    secrets: list[str] = field(default_factory=list[str])
    received: dict[str, Received] = field(default_factory=dict[str, Received])
    refused: list[str] = field(default_factory=list[str])
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Judge one request and say what to answer."""
        with self.changed:
            try:
                event = verify(headers, body, self.secrets)
            except VerifyError as error:
                self.refused.append(str(error))
                return HTTPStatus.BAD_REQUEST
            finally:
                self.changed.notify_all()
            self.received[headers["webhook-id"]] = Received(headers, body, event)
            return HTTPStatus.NO_CONTENT

    def wait_for(self, count: int, seconds: float) -> bool:
        """Wait until *count* different webhooks have come, *seconds* at most; return whether they have."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.received) >= count, seconds)


@contextmanager
def receiving(cert: Path, key: Path) -> Generator[Receiver]:
    """Serve a receiver on a free port of 127.0.0.1 until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            if length > LARGEST:
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            names = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature")
            headers = {name: self.headers.get(name, "") for name in names}
            status = receiver.take(headers, self.rfile.read(length))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
            """Say nothing: the story is told elsewhere."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    receiver = Receiver(f"https://127.0.0.1:{server.server_address[1]}/invoices")
    thread = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
