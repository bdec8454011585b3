"""An upstream that believes nobody: it verifies who each request is, and records it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from heldtrue_verify.identity import Identity, IdentityRefusedError, NoIdentityError, verify_identity


@dataclass(frozen=True)
class Reached:
    """One request that reached the upstream."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    identity: Identity | IdentityRefusedError
    """Who it is, as its headers prove; the error where they prove nothing."""
    body: bytearray

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Upstream:
    """An API that believes nobody: it verifies the identity of each request, and records it."""

    keys: tuple[str, ...]
    host: str = ""
    reached: list[Reached] = field(default_factory=list)
    port: int = 0
    busy: int = 0
    """Requests whose body it still waits for."""

    def __enter__(self) -> Upstream:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)

    def go_on(self) -> None:
        """Let a streaming answer send what is left of it."""
        self._loop.call_soon_threadsafe(self._going_on.set)

    async def _serve(self) -> None:
        self._loop, self._closing, self._going_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/v1/ws", self._echo)
        application.router.add_route("*", "/v1/stream", self._stream)
        application.router.add_route("*", "/{tail:.*}", self._answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server: Any = site._server
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._closing.wait()
        await runner.cleanup()

    async def _record(self, request: web.Request) -> None:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
        said = [value for name, value in headers if name.lower() == "host"]
        target = request._message.path
        try:
            identity: Identity | IdentityRefusedError = verify_identity(
                headers, request.method, said[0] if len(said) == 1 else "", target, self.keys
            )
        except IdentityRefusedError as error:
            identity = error
        reached = Reached(request.method, target, headers, identity, bytearray())
        self.reached.append(reached)
        if not request.headers.get("Upgrade"):
            self.busy += 1
            try:
                reached.body.extend(await request.read())
            except ConnectionError as error:
                raise web.HTTPBadRequest(text="the body was cut off") from error
            finally:
                self.busy -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        return web.json_response({"reached": request.path}, headers={"X-Powered-By": "upstream"})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await self._going_on.wait()
        self._going_on.clear()
        await response.write(b"data: two\n\n")
        return response

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        sockets = web.WebSocketResponse()
        await sockets.prepare(request)
        async for message in sockets:
            if message.type == WSMsgType.TEXT:
                await sockets.send_str(f"echo {message.data}")
        return sockets


def nobody(reached: Reached) -> bool:
    """Return whether a request reached the upstream as nobody at all."""
    return isinstance(reached.identity, NoIdentityError)
