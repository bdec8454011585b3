"""Websockets through the built-in proxy: one to the client, one to the upstream, messages both ways (RFC 6455)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp

from heldtrue.capabilities.edge.doors import hops
from heldtrue.http.problems import UpstreamFailedError, UpstreamTimeoutError

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]
LONGEST = 16 * 1024 * 1024
"""Bytes of one message."""
NO_STATUS, ABNORMAL, GOING_AWAY = 1005, 1006, 1001
_UNSENDABLE = frozenset({NO_STATUS, ABNORMAL, 1015})
"""Codes that no frame may carry (section 7.4.1)."""


class Tunnel:
    """Carries websockets to one upstream."""

    def __init__(self, origin: str, timeout: float) -> None:
        self._origin = origin
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def carry(
        self, target: str, headers: Sequence[tuple[str, str]], scope: Any, receive: Receive, send: Send
    ) -> None:
        """Shake hands with the upstream, then with the client, and carry messages until either side ends."""
        await receive()
        try:
            theirs = await self._opened().ws_connect(
                self._origin + target,
                headers=hops.without_handshake(headers),
                protocols=scope.get("subprotocols") or (),
                timeout=aiohttp.ClientWSTimeout(ws_receive=None, ws_close=self._timeout),  # pyright: ignore[reportCallIssue] - made by attrs
                max_msg_size=LONGEST,
                compress=0,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise UpstreamFailedError(f"the upstream refused the upgrade with {error.status}") from error
        except TimeoutError as error:
            raise UpstreamTimeoutError("the upstream did not take the upgrade in time") from error
        except aiohttp.ClientError as error:
            raise UpstreamFailedError(f"the upstream failed: {type(error).__name__}") from error
        async with theirs:
            await send({"type": "websocket.accept", "subprotocol": theirs.protocol, "headers": []})
            await _both_ways(theirs, receive, send)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeout),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _both_ways(theirs: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send) -> None:
    """Carry until one side ends, and tell the other; whatever breaks ends both."""
    up, down = asyncio.ensure_future(_up(theirs, receive)), asyncio.ensure_future(_down(theirs, send))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in (up, down):
            way.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
    if not up.cancelled() and up.exception() is None:
        await theirs.close(code=_sendable(up.result()))
    else:  # only now, because a server may not close while somebody listens
        await send({"type": "websocket.close", "code": _sendable(theirs.close_code)})


async def _up(theirs: aiohttp.ClientWebSocketResponse, receive: Receive) -> int | None:
    """Carry the client's messages; return the code that it closed with."""
    while (message := await receive())["type"] == "websocket.receive":
        data = message.get("bytes")
        if data is not None:
            await theirs.send_bytes(data)
        else:
            await theirs.send_str(message["text"])
    return message.get("code")


async def _down(theirs: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    """Carry the upstream's messages until it closes."""
    async for message in theirs:
        if message.type is aiohttp.WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
        elif message.type is aiohttp.WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})


def _sendable(code: int | None) -> int:
    return GOING_AWAY if code is None or code in _UNSENDABLE else code
