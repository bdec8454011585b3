"""The web process: granian on the inherited socket, TLS 1.3 preferred and nothing below 1.2."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from granian._granian import SocketHolder  # pyright: ignore[reportPrivateUsage] - the only way to hand a bound socket on
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from heldtrue.app.listener import BACKLOG, Certificate, in_memory
from heldtrue.app.processes import Ready

Scope = dict[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

GRACE = 10
"""Seconds that answers under way get after a stop was asked for."""


class _Server(Server):
    """Granian on a socket that is bound already: its own binding would share a port that another program holds."""

    def __init__(self, app: Asgi, listener: socket.socket, certificate: Certificate) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.auto,
            websockets=False,
            backlog=BACKLOG,
            http1_settings=HTTP1Settings(header_read_timeout=10_000),
            log_enabled=False,
        )
        self._listener = listener
        self.workers_kill_timeout = GRACE
        self.ssl_ctx = (
            True,
            in_memory(certificate.chain, "certificate"),
            in_memory(certificate.key, "key"),
            None,
            str(SSLProtocols.tls12),
            None,
            [],
            False,
        )

    def _init_shared_socket(self) -> None:
        self._shd = SocketHolder(self._listener.fileno(), False, BACKLOG)  # pyright: ignore[reportCallIssue]
        self._ssp = None


def serve(
    make_app: Callable[[], Asgi],
    listener: socket.socket,
    certificate: Certificate,
    ready: Ready,
    close: Callable[[], None],
) -> int:
    """Serve until SIGTERM, answering what is under way; return the exit code."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        server = _Server(make_app(), listener, certificate)
        stopping = False

        def stop() -> None:
            nonlocal stopping
            stopping = True
            server.stop()

        loop.add_signal_handler(signal.SIGTERM, stop)
        announced = loop.create_task(_announce(server, ready))
        await server.serve()
        announced.cancel()
        return 0 if stopping else 1

    logging.getLogger("_granian").setLevel(logging.CRITICAL)
    try:
        return uvloop.run(main())
    finally:
        close()


async def _announce(server: _Server, ready: Ready) -> None:
    """Say that answers are given, once granian's worker has taken the socket and the certificate."""
    while not server.wrks:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if server.wrks and server.wrks[0].is_alive():
        ready()
