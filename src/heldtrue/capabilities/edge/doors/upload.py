"""A request's body on its way up: streamed, counted, and cut off when the client goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from heldtrue.http.exchange import MalformedRequestError
from heldtrue.kernel.errors import TooLargeError

Receive = Callable[[], Awaitable[Any]]


class ClientGoneError(Exception):
    """The client has gone away; nobody waits for an answer."""


class Upload:
    """One request's body, read from the client as the upstream takes it."""

    def __init__(self, scope: Any, receive: Receive, limit: int, moved: Callable[[], None]) -> None:
        """Read from *receive* at most *limit* bytes; *moved* is called after each piece."""
        self._receive = receive
        self._limit = limit
        self._moved = moved
        self._read = 0
        self.failure: Exception | None = None
        """Why the body was not read to its end."""
        self.done = asyncio.Event()
        """Set when there is nothing more to read."""
        self.length = _length(scope["headers"])
        if self.length is not None and self.length > limit:
            raise TooLargeError(f"The body has {self.length} bytes, and {limit} are taken.")
        chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
        self.expected = (
            bool(self.length) or chunked or (self.length is None and scope["http_version"] not in {"1.0", "1.1"})
        )
        if not self.expected:
            self.done.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body; raise, so that the upstream's connection is cut, where it does not come whole."""
        try:
            more = True
            while more:
                message = await self._receive()
                if message["type"] != "http.request":
                    raise ClientGoneError
                piece, more = message.get("body", b""), message.get("more_body", False)
                self._read += len(piece)
                if self._read > self._limit:
                    raise TooLargeError(f"The body is over {self._limit} bytes.")
                if piece:
                    self._moved()
                    yield piece
            if self.length is not None and self._read != self.length:
                raise ClientGoneError
        except Exception as error:
            self.failure = error
            raise
        finally:
            self.done.set()

    async def gone(self) -> None:
        """Return when the client has gone away, once its body was read."""
        await self.done.wait()
        while (await self._receive())["type"] != "http.disconnect":
            continue


def _length(headers: list[tuple[bytes, bytes]]) -> int | None:
    values = {value for name, value in headers if name == b"content-length"}
    if not values:
        return None
    text = values.pop()
    if values or not text.isdigit() or len(text) > 18:
        raise MalformedRequestError("Content-Length is not one number.")
    return int(text)
