"""The witness over HTTP: POST /add-checkpoint, with TLS of its own or behind a proxy on the same machine."""

from __future__ import annotations

import ipaddress
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from heldtrue_verify.verdicts import UnusableError
from heldtrue_witness.judge import Judge, Reply

LARGEST = 2**16
DISCARDED = 2**20
PATIENCE = 15.0
"""Seconds that a connection may be silent."""


class Server(ThreadingHTTPServer):
    """Serves one judge; without a certificate on loopback only."""

    daemon_threads = True

    def __init__(self, host: str, port: int, judge: Judge, certificate: tuple[Path, Path] | None) -> None:
        """Bind; refuse to serve others in clear."""
        self.judge = judge
        self._context = None
        if certificate is None and not _is_loopback(host):
            raise UnusableError(f"Without --tls-cert the witness serves loopback only, not {host}.")
        try:
            if certificate is not None:
                self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._context.minimum_version = ssl.TLSVersion.TLSv1_2
                self._context.load_cert_chain(*certificate)
            super().__init__((host, port), _Handler)
        except OSError as error:  # an ssl.SSLError is one too
            raise UnusableError(f"The witness cannot serve {host}:{port}: {error}.") from error

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a silent client holds up nobody."""
        request.settimeout(PATIENCE)
        if self._context is not None:
            request = self._context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)
        if self._context is not None:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break off: they are the client's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server_version, sys_version = "heldtrue-witness", ""

    def do_POST(self) -> None:
        """Answer `add-checkpoint`."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > LARGEST:
            self.close_connection = True
            if length.isdigit():
                self.rfile.read(min(int(length), DISCARDED))  # so that the answer is read before the connection ends
            self._answer(Reply(413 if length.isdigit() else 411))
            return
        body = self.rfile.read(int(length))
        if self.path.rpartition("/")[2] != "add-checkpoint":
            self._answer(Reply(404, "This witness has add-checkpoint only.\n"))
            return
        assert isinstance(self.server, Server)  # noqa: S101 - made by it
        reply = self.server.judge.add_checkpoint(body)
        self._answer(reply)
        print(f"{self.client_address[0]} add-checkpoint {reply.status}", flush=True)

    def do_GET(self) -> None:
        """Say what this is."""
        self._answer(Reply(405, "This is a witness (C2SP tlog-witness): POST add-checkpoint.\n"))

    def _answer(self, reply: Reply) -> None:
        data = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Print one line a request elsewhere, without the client's own words."""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
