"""TLS in front of a unix socket: takes connections, ends the TLS, and hands the bytes on both ways."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def tls_front(cert: Path, key: Path, behind: Path) -> Generator[int]:
    """Serve TLS with *cert* before the unix socket *behind*; yield the port of loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    links: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(work: threading.Thread) -> None:
        threads.append(work)
        work.start()

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def serve(plain: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a client that refuses our certificate ends the handshake
            front = context.wrap_socket(plain, server_side=True)
            back = socket.socket(socket.AF_UNIX)
            links.extend((front, back))
            back.connect(str(behind))
            start(threading.Thread(target=carry, args=(back, front)))
            carry(front, back)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain = listener.accept()[0]
                links.append(plain)
                start(threading.Thread(target=serve, args=(plain,)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        start(threading.Thread(target=accept))
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for link in links:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(10)
            for link in links:
                link.close()
