"""The built-in proxy: each admitted request goes on to the upstream and its answer back, both streamed.

For the first day, and for whoever has no proxy of their own. Nothing is buffered, retried, cached, compressed or
redirected; what fails is said with 502 or 504, and what breaks in the middle is cut, never ended as if it were whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
import structlog
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import RequestError
from pyreqwest.http import Url
from pyreqwest.response import Response

from heldtrue.capabilities.edge.doors import hops
from heldtrue.capabilities.edge.doors.asgi import call_of, peer_of, refuse
from heldtrue.capabilities.edge.doors.desk import Desk, raw
from heldtrue.capabilities.edge.doors.tunnel import Tunnel
from heldtrue.capabilities.edge.doors.upload import ClientGoneError, Upload
from heldtrue.capabilities.edge.model import EdgeCall, Verdict
from heldtrue.capabilities.edge.refusing import refusal
from heldtrue.http.problems import MisdirectedError, UpstreamFailedError, UpstreamTimeoutError
from heldtrue.http.router import AmbiguousTargetError, refuse_ambiguous
from heldtrue.kernel.errors import HeldtrueError

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
LONGEST_UPLOAD = 3600.0
"""Seconds after which an upload is given up whatever moves."""
BODYLESS = frozenset({204, 304})
_log = structlog.get_logger("heldtrue.edge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The API behind the proxy."""

    origin: str
    """Scheme, host and port, as `http://127.0.0.1:3000`."""
    public_host: str | None = None
    """The only host that is served; None: any, passed on as the client named it."""
    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    """Seconds without any progress after which a request is given up."""
    body_bytes: int = 100 * 1024 * 1024


class ReverseProxy:
    """The ASGI application of the built-in proxy; close it when the server has stopped."""

    def __init__(self, desk: Desk, upstream: Upstream) -> None:
        self._desk = desk
        self._upstream = replace(upstream, origin=upstream.origin.rstrip("/"))
        self._clients: dict[bool, Client] = {}
        self._tunnel = Tunnel(upstream.origin, upstream.connect_timeout)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or websocket."""
        if scope["type"] not in {"http", "websocket"}:
            raise ValueError(f"a scope of type {scope['type']} is not served")
        request, peer = self._desk.begin(), peer_of(scope)
        try:
            call = self._call(scope, request, peer)
            headers = hops.onward(scope["headers"])
        except Exception as error:  # noqa: BLE001 - whatever it was, the request is refused, and failures are logged
            await refuse(self._desk, self._desk.refuse(error, peer), request, scope, receive, send)
            return
        verdict = await self._desk.ask(call)
        if not verdict.allowed:
            await refuse(self._desk, verdict, request, scope, receive, send)
            return
        headers += self._said(scope, call, verdict)
        told = [(b"request-id", request.encode("ascii")), *raw(verdict.headers)]
        target = call.target.decode("latin-1")
        passage = _Passage(scope, receive, send, told)
        try:
            if scope["type"] == "websocket":
                await self._tunnel.carry(target, headers, scope, receive, passage.send)
            else:
                await self._carry(call.method, target, headers, passage)
        except ClientGoneError:
            _log.info("client went away", request=request)
        except HeldtrueError as error:
            _log.warning("not answered by the upstream", request=request, code=error.code, why=error.message)
            if passage.started:
                raise  # the server cuts the connection: nobody takes a part for the whole
            await refuse(self._desk, refusal(error), request, scope, passage.heard, passage.send)

    async def close(self) -> None:
        """Close the connections to the upstream."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        await self._tunnel.close()

    def _call(self, scope: Scope, request: str, peer: str) -> EdgeCall:
        """Return what is asked, with the target as the upstream will see it: judged, signed and sent are one."""
        call = call_of(scope, request, self._desk.trusted, peer)
        public = self._upstream.public_host
        if public is not None and call.host.lower() != public:
            raise MisdirectedError
        refuse_ambiguous(call.target)
        origin = self._upstream.origin
        sent = str(Url(origin + call.target.decode("ascii"))).removeprefix(origin).encode("ascii")
        if sent != call.target and unquote_to_bytes(sent) != unquote_to_bytes(call.target):
            raise AmbiguousTargetError
        return msgspec.structs.replace(call, target=sent)

    def _said(self, scope: Scope, call: EdgeCall, verdict: Verdict) -> list[tuple[str, str]]:
        """Return the headers that the proxy itself says to the upstream."""
        scheme = "https" if scope["scheme"] in {"https", "wss"} else "http"
        said: list[tuple[str, str]] = [
            ("host", call.host),
            ("via", "1.1 heldtrue"),
            ("request-id", call.request),
            ("x-forwarded-host", call.host),
            ("x-forwarded-proto", scheme),
        ]
        if call.address:
            said.append(("x-forwarded-for", call.address))
        return [*said, *self._desk.identity(call, verdict)]

    async def _carry(self, method: str, target: str, headers: Sequence[tuple[str, str]], passage: _Passage) -> None:
        """Send the request up and its answer back, while both sides go on and the client is there."""
        loop = asyncio.get_running_loop()
        patience = self._upstream.read_timeout
        try:
            async with asyncio.timeout(patience) as deadline:

                def moved() -> None:
                    deadline.reschedule(loop.time() + patience)

                upload = Upload(passage.scope, passage.receive, self._upstream.body_bytes, moved)
                client = self._opened(uploads=upload.expected)
                builder = client.request(method, self._upstream.origin + target).headers(list(headers))
                builder = builder.streamed_read_buffer_limit(0)  # else the head waits for the body's first 64 KiB
                if upload.expected:
                    if upload.length is not None:
                        builder = builder.header("content-length", str(upload.length))
                    builder = builder.body_stream(upload.pieces())
                with _Watch(upload):
                    try:
                        async with builder.build_streamed() as answer:
                            moved()
                            await passage.answer(answer, method, moved)
                    except RequestError as error:
                        raise upload.failure or _failure(error) from error
        except TimeoutError as error:
            raise UpstreamTimeoutError(f"nothing moved for {patience:g} s") from error

    def _opened(self, *, uploads: bool) -> Client:
        """Return the client for requests with a body, or for those without.

        It gives a request up by itself when no answer comes: what is merely cancelled here goes on there. Its patience
        is counted from the beginning, so an upload needs more of it.
        """
        client = self._clients.get(uploads)
        if client is None:
            patience = LONGEST_UPLOAD if uploads else self._upstream.read_timeout
            client = self._clients[uploads] = (
                ClientBuilder()
                .follow_redirects(enable=False)
                .no_proxy()
                .gzip(enable=False)
                .brotli(enable=False)
                .zstd(enable=False)
                .deflate(enable=False)
                .referer(enable=False)
                .default_cookie_store(enable=False)
                .user_agent("heldtrue")
                .http1_only()
                .http1_lower_case_headers()
                .connect_timeout(timedelta(seconds=self._upstream.connect_timeout))
                .read_timeout(timedelta(seconds=patience))
                .build()
            )
        return client


class _Watch:
    """While it lasts, a client that goes away ends what is done for it."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._working = asyncio.current_task()
        self._gone = False

    def __enter__(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def __exit__(self, kind: object, *_: object) -> None:
        self._task.cancel()
        if kind is asyncio.CancelledError and self._gone and self._working is not None:
            self._working.uncancel()
            raise ClientGoneError

    async def _watch(self) -> None:
        await self._upload.gone()
        self._gone = True
        if self._working is not None:
            self._working.cancel()


class _Passage:
    """One exchange with the client."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, told: list[tuple[bytes, bytes]]) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self._told = told
        self.started = False

    async def send(self, message: Any) -> None:
        """Send, and remember that the answer has begun."""
        self.started = True
        await self._send(message)

    async def heard(self) -> Any:
        """Stand in for the handshake message of a websocket, which was received before."""
        return {"type": "websocket.connect"}

    async def answer(self, answer: Response, method: str, moved: Callable[[], None]) -> None:
        """Send the upstream's answer, piece by piece as it comes."""
        if answer.status < 200:
            raise UpstreamFailedError("the upstream changed the protocol unasked")
        headers = _read(answer)
        length = next((int(value) for name, value in headers if name == "content-length" and value.isdigit()), None)
        start = {"type": "http.response.start", "status": answer.status, "headers": [*hops.back(headers), *self._told]}
        if method == "HEAD" or answer.status in BODYLESS:
            await self.send(start)
            await self.send({"type": "http.response.body", "body": b""})
            return
        reader, left = answer.body_reader, length
        piece = await reader.read_chunk()
        await self.send(start)
        while piece is not None:
            data = bytes(piece)
            left = None if left is None else left - len(data)
            moved()
            await self.send({"type": "http.response.body", "body": data, "more_body": left != 0})
            if left == 0:
                return
            moved()
            piece = await reader.read_chunk()
        await self.send({"type": "http.response.body", "body": b""})


def _read(answer: Response) -> list[tuple[str, str]]:
    """Return the headers of *answer*; a value with bytes beyond ASCII cannot be carried, and is left out."""
    try:
        return list(answer.headers.items())
    except ValueError:
        found: list[tuple[str, str]] = []
        for name in dict.fromkeys(answer.headers.keys()):
            try:
                found += [(name, value) for value in answer.headers.getall(name)]
            except ValueError:
                _log.warning("header beyond ASCII left out", name=name)
        return found


def _failure(error: RequestError) -> HeldtrueError:
    if isinstance(error, TimeoutError):
        return UpstreamTimeoutError("the upstream did not take the connection in time")
    return UpstreamFailedError(f"the upstream failed: {type(error).__name__}")
