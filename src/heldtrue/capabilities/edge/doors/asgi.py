"""The door inside an application: ASGI middleware that lets nothing through which was not admitted.

    app = EdgeMiddleware(app, RemoteDoor.unix("/run/heldtrue/edge.sock").judge, TrustedProxies.parse(["unix"]))

The application finds who calls in `scope["heldtrue"]`: a `Caller`, or None on a route that is open to everybody.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from heldtrue.capabilities.edge.doors.desk import Desk, Judge, plain_answer
from heldtrue.capabilities.edge.doors.hearing import hear
from heldtrue.capabilities.edge.forwarded import TrustedProxies
from heldtrue.capabilities.edge.model import EdgeCall, Verdict
from heldtrue.http.exchange import MalformedRequestError
from heldtrue.kernel.clock import Clock, SystemClock

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
CALLER = "heldtrue"
"""Where in the scope the caller is."""
REFUSED = 1008
"""Closes a websocket where the server cannot answer its handshake with a document (RFC 6455, section 7.4.1)."""


class EdgeMiddleware:
    """Judge each request and each websocket handshake before *app* sees it; lifespan passes."""

    def __init__(
        self,
        app: Asgi,
        judge: Judge,
        trusted: TrustedProxies,
        *,
        clock: Clock | None = None,
        problems_at: str = "",
    ) -> None:
        self._app = app
        self._desk = Desk(
            judge=judge,
            trusted=trusted,
            clock=clock or SystemClock(),
            entropy=secrets.token_bytes,
            problems_at=problems_at,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an admitted request on, with `Request-Id` on its answer; answer any other."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] not in {"http", "websocket"}:
            raise ValueError(f"a scope of type {scope['type']} is not served")
        request = self._desk.begin()
        verdict = await self._verdict(scope, request)
        if not verdict.allowed:
            await refuse(self._desk, verdict, request, scope, receive, send)
            return
        told = [(b"request-id", request.encode("ascii"))]
        told += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in verdict.headers]

        async def answering(message: Any) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                kept = [pair for pair in message.get("headers") or () if pair[0].lower() != b"request-id"]
                message = {**message, "headers": [*kept, *told]}
            await send(message)

        headers = [pair for pair in scope["headers"] if b"_" not in pair[0]]
        await self._app({**scope, "headers": headers, CALLER: verdict.caller}, receive, answering)

    async def _verdict(self, scope: Scope, request: str) -> Verdict:
        peer = peer_of(scope)
        try:
            call = call_of(scope, request, self._desk.trusted, peer)
        except Exception as error:  # noqa: BLE001 - whatever it was, the request is refused, and failures are logged
            return self._desk.refuse(error, peer)
        return await self._desk.ask(call)


def peer_of(scope: Scope) -> str:
    """Return the address of whoever is connected; "" on a unix socket."""
    client = scope.get("client")
    return client[0] if client else ""


def call_of(scope: Scope, request: str, trusted: TrustedProxies, peer: str) -> EdgeCall:
    """Return what an ASGI scope asks for; raise what is a `MalformedRequestError` where it is not clear."""
    heard = hear(scope["headers"])
    host = heard.one(b"host")
    if not host:
        raise MalformedRequestError("The request names no host.")
    path, query = scope.get("raw_path"), scope.get("query_string", b"")
    if path is None:
        raise MalformedRequestError("The server does not tell the request target as it was sent.")
    return EdgeCall(
        method="GET" if scope["type"] == "websocket" else scope["method"],
        target=path + b"?" + query if query else path,
        authorization=heard.authorization,
        origin=heard.origin,
        address=trusted.client(peer, heard.forwarding()),
        host=host,
        request=request,
    )


async def refuse(desk: Desk, verdict: Verdict, request: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the problem document; a websocket's handshake with it too where the server can, else close."""
    status, headers, body = plain_answer(desk, verdict, request)
    kind = "http"
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": REFUSED, "reason": verdict.code})
            return
        kind = "websocket.http"
    await send({"type": f"{kind}.response.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": b"" if scope.get("method") == "HEAD" else body})
