"""Granian on inherited sockets, TLS 1.3 preferred and nothing below 1.2; the web process has one of them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvloop
from granian._granian import SocketHolder  # pyright: ignore[reportPrivateUsage] - the only way to hand a bound socket on
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from heldtrue.app.listener import BACKLOG, Certificate, in_memory
from heldtrue.app.processes import Ready
from heldtrue.app.questions import Ask, QuestionServer

Scope = dict[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

GRACE = 10
"""Seconds that answers under way get after a stop was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An application and the socket that it answers on."""

    app: Asgi
    listener: socket.socket
    certificate: Certificate | None
    """None: in clear, on a unix socket or loopback."""
    clients_prove: bool = False
    """Whether each client must show a certificate of the authorities that come with the certificate."""
    websockets: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Where short questions are answered in clear, and the socket they come on."""

    ask: Ask
    listener: socket.socket


class SiteServer(Server):
    """Granian on a socket that is bound already: its own binding would share a port that another program holds."""

    def __init__(self, site: Site) -> None:
        super().__init__(
            site.app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.auto if site.certificate else HTTPModes.http1,
            websockets=site.websockets,
            backlog=BACKLOG,
            http1_settings=HTTP1Settings(header_read_timeout=10_000),
            log_enabled=False,
        )
        self._listener = site.listener
        self.workers_kill_timeout = GRACE
        if site.certificate is not None:
            self.ssl_ctx = (
                True,
                in_memory(site.certificate.chain, "certificate"),
                in_memory(site.certificate.key, "key"),
                None,
                str(SSLProtocols.tls12),
                in_memory(site.certificate.authorities, "authorities") if site.clients_prove else None,
                [],
                site.clients_prove,
            )

    def _init_shared_socket(self) -> None:
        unix = self._listener.family == socket.AF_UNIX
        # It closes what it is given, so it gets a descriptor of its own.
        self._shd = SocketHolder(os.dup(self._listener.fileno()), unix, BACKLOG)  # pyright: ignore[reportCallIssue]
        self._ssp = None

    @property
    def answers(self) -> bool:
        """Whether connections are taken."""
        return bool(self.wrks) and self.wrks[0].is_alive()


def serve(
    make_app: Callable[[], Asgi],
    listener: socket.socket,
    certificate: Certificate,
    ready: Ready,
    close: Callable[[], None],
) -> int:
    """Serve one application over TLS until SIGTERM, answering what is under way; return the exit code."""

    @asynccontextmanager
    async def site() -> AsyncGenerator[Sequence[Site]]:
        yield [Site(app=make_app(), listener=listener, certificate=certificate)]

    try:
        return serve_sites(site, ready)
    finally:
        close()


def serve_sites(opened: Callable[[], AbstractAsyncContextManager[Sequence[Site | Counter]]], ready: Ready) -> int:
    """Serve what *opened* yields until SIGTERM, answering what is under way; return the exit code.

    A server that ends by itself ends the others, and the process with an error.
    """

    async def main() -> int:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        async with opened() as sites:
            servers = [_server_of(site) for site in sites]
            serving = [loop.create_task(server.serve()) for server in servers]
            asked = loop.create_task(stop.wait())
            announced = loop.create_task(_announce(servers, ready))
            await asyncio.wait([*serving, asked], return_when=asyncio.FIRST_COMPLETED)
            for server in servers:
                server.stop()
            await asyncio.gather(*serving)
            announced.cancel()
            asked.cancel()
        return 0 if stop.is_set() else 1

    logging.getLogger("_granian").setLevel(logging.CRITICAL)
    return uvloop.run(main())


def _server_of(site: Site | Counter) -> SiteServer | QuestionServer:
    return SiteServer(site) if isinstance(site, Site) else QuestionServer(site.ask, site.listener, GRACE)


async def _announce(servers: Sequence[SiteServer | QuestionServer], ready: Ready) -> None:
    """Say that answers are given, once every server has taken its socket and certificate."""
    while not all(server.answers for server in servers):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if all(server.answers for server in servers):
        ready()
