"""A receiver of webhooks over real TLS on loopback, which behaves as badly as it is told."""

from __future__ import annotations

import asyncio
import ssl
import threading
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from heldtrue.crypto.tls import ensure_local_authority
from heldtrue.kernel.clock import SystemClock


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[["Receiver", web.Request], Awaitable[web.StreamResponse]]


async def well(_receiver: Receiver, _request: web.Request) -> web.StreamResponse:
    return web.Response(text="thank you")


def answers(status: int, text: str = "", **headers: str) -> Behaviour:
    async def answer(_receiver: Receiver, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return answer


async def hangs(receiver: Receiver, _request: web.Request) -> web.StreamResponse:
    await receiver.closing.wait()
    return web.Response()


async def drops(_receiver: Receiver, request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def floods(_receiver: Receiver, request: web.Request) -> web.StreamResponse:
    """Answer 200 with a body that does not end."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1024):  # 64 MiB are endless enough
        if request.transport is None or request.transport.is_closing():
            break
        await response.write(b"x" * 65536)
        await asyncio.sleep(0)
    return response


async def drips(receiver: Receiver, request: web.Request) -> web.StreamResponse:
    """Answer 200 with a body that is never finished."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"a little")
    await receiver.closing.wait()
    return response


async def babbles(_receiver: Receiver, request: web.Request) -> web.StreamResponse:
    """Answer what is no HTTP."""
    assert request.transport is not None
    request.transport.write(b"\x00\x01 not http at all\r\n\r\n")  # pyright: ignore[reportAttributeAccessIssue]
    request.transport.close()
    await asyncio.Event().wait()
    return web.Response()


@dataclass
class Receiver:
    """An HTTPS server in a thread of its own; `behave` decides by path what comes back."""

    directory: Path
    behave: dict[str, Behaviour] = field(default_factory=dict)
    default: Behaviour = well
    maximum: ssl.TLSVersion | None = None
    received: list[Received] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Receiver:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.tls = ensure_local_authority(self.directory, SystemClock().now())
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.closing.set)
        self._thread.join(10)

    @property
    def ca_file(self) -> Path:
        return self.tls.ca

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        return [one.path for one in self.received]

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.closing = asyncio.Event()
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._context())
        await site.start()
        server: Any = site._server
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self.closing.wait()
        await runner.cleanup()

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.tls.cert, self.tls.key)
        if self.maximum is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the deprecated versions are what is wanted
                context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
                context.maximum_version = self.maximum
            context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, body))
        return await self.behave.get(request.path, self.default)(self, request)
