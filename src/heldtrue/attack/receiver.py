"""A server on loopback that counts what reaches it: what deliveries are aimed at when they are attacked."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

BODY = b'{"type":"probe","timestamp":"2026-01-01T00:00:00.000Z","data":{"amount":1200}}'
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass
class Receiver:
    """A server on loopback that says how many bodies it was given."""

    context: ssl.SSLContext | None
    host: str = "127.0.0.1"
    reply: bytes = OK
    bodies: int = 0
    connections: int = 0
    port: int = 0

    @contextmanager
    def serving(self) -> Generator[Receiver]:
        """Serve until the block ends."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.create_server((self.host, 0), family=family) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join(2.0)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            with suppress(OSError), link:
                link.settimeout(2.0)
                with self.context.wrap_socket(link, server_side=True) if self.context else link as talk:
                    got = b""
                    while BODY not in got and (piece := talk.recv(65536)):
                        got += piece
                    self.bodies += BODY in got
                    talk.sendall(self.reply)
