"""One request and its answer on one connection (RFC 9112), parsed by llhttp; of the body only the beginning is kept.

What an answer may be is bounded here: its head by `MAX_HEAD`, its body by `EXCERPT`. Whatever is longer, is no HTTP, or
comes unasked, ends the connection.
"""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httptools
from yarl import URL

EXCERPT = 2048
"""Bytes of an answer's body that are kept."""
MAX_HEAD = 32 * 1024
"""Bytes that an answer's head may take, provisional answers (1xx) before it included."""
SWITCHING = 101

_VISIBLE = re.compile(r"[!-~]+")


class ProtocolError(ValueError):
    """What came is no HTTP, too long, or broke off before its head ended; the receiver is to blame."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    host: str
    """A name as it is asked for (RFC 5890), or an address without brackets."""
    port: int
    start: str
    """The request line and the host."""


@functools.lru_cache(maxsize=4096)
def target(url: str) -> Target:
    """Return where *url* (https) leads; raise `ProtocolError` when it cannot be asked for as it is written."""
    parsed = URL(url, encoded=True)
    host, path = (parsed.raw_host or "").lower(), parsed.raw_path_qs or "/"
    if not host or not _VISIBLE.fullmatch(host) or not _VISIBLE.fullmatch(path) or parsed.port is None:
        raise ProtocolError(f"{url!r} is no address to post to")
    named = f"[{host}]" if ":" in host else host
    at = named if parsed.port == 443 else f"{named}:{parsed.port}"
    return Target(host, parsed.port, f"POST {path} HTTP/1.1\r\nhost: {at}\r\n")


def request(to: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a POST as it goes over the wire; raise `ProtocolError` when a header would break out of its line."""
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if not told.isascii() or told.count("\n") != len(headers) or told.count("\r") != len(headers):
        raise ProtocolError("a header holds what a line of HTTP cannot carry")
    return f"{to.start}content-length: {len(body)}\r\naccept: */*\r\n{told}\r\n".encode() + body


class Answer:
    """An answer while it comes; llhttp calls the methods that begin with `on_`."""

    __slots__ = ("_head", "_parser", "_room", "ended", "excerpt", "headed", "keeps", "retry_after", "status", "whole")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._room = MAX_HEAD
        self._head = False
        self.headed: asyncio.Future[None] = loop.create_future()
        """Done when the head is there; fails when it will not come."""
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done when nothing more is read of the body."""
        self.status = 0
        self.retry_after: str | None = None
        self.excerpt = b""
        self.whole = False
        """Whether the body came to its end within `EXCERPT`."""
        self.keeps = False
        """Whether the receiver keeps the connection for another request."""

    def feed(self, data: bytes) -> None:
        """Take what came; raise `ProtocolError` for what is no answer, and for anything after it."""
        if not self._head:
            self._room -= len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise ProtocolError("the receiver speaks something else from here on") from error
        except httptools.HttpParserError as error:
            raise ProtocolError(f"no HTTP: {error}") from error
        if not self._head and self._room < 0:
            raise ProtocolError("the head of the answer does not end")

    def lost(self, error: Exception | None) -> None:
        """Note that nothing more comes."""
        if not self.headed.done():
            self.headed.set_exception(error or ProtocolError("the connection ended before the answer"))
            self.headed.exception()  # whoever waited may have given up
        self._end()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head."""
        if len(name) + len(value) > MAX_HEAD:
            raise ProtocolError("a field of the answer's head is too long")
        if name.lower() == b"retry-after":
            self.retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Take the status; a provisional one is passed over (RFC 9110, section 15.2)."""
        status = self._parser.get_status_code()
        if status < 100:
            raise ProtocolError("the answer has no status")
        if status < 200 and status != SWITCHING:
            self.retry_after = None
            return
        self._head = True
        self.status = status
        if not self.headed.done():
            self.headed.set_result(None)

    def on_body(self, data: bytes) -> None:
        """Keep the beginning."""
        room = EXCERPT - len(self.excerpt)
        self.excerpt += data[:room]
        if len(data) > room:
            self._end()

    def on_message_complete(self) -> None:
        """Note the end, if it was not a provisional answer's."""
        if self._head and not self.ended.done():
            self.whole = self.status != SWITCHING
            self.keeps = self.whole and self._parser.should_keep_alive()
            self._end()

    def on_message_begin(self) -> None:
        """Refuse a second answer."""
        if self.ended.done():
            raise ProtocolError("an answer that nobody asked for")

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class Line(asyncio.Protocol):
    """A connection on which one request after another is asked."""

    __slots__ = ("_answer", "_loop", "_open", "_transport", "until")

    def __init__(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        """Be good for new requests until the loop's time *until*."""
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._open = True
        self.until = until

    @property
    def free(self) -> bool:
        """Whether another request can be asked."""
        return self._open and (self._answer is None or self._answer.keeps)

    def ask(self, data: bytes) -> Answer:
        """Send a request; return its answer to come."""
        if self._transport is None or not self.free:
            raise ConnectionResetError("the connection has ended")
        self._answer = Answer(self._loop)
        self._transport.write(data)
        return self._answer

    def cut(self) -> None:
        """End the connection at once: nothing of what is still on its way is wanted."""
        self._open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._open:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer; what nobody asked for ends the connection."""
        if self._answer is None:
            self.cut()
            return
        try:
            self._answer.feed(data)
        except ProtocolError as error:
            self._answer.lost(error)
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for an answer."""
        self._open = False
        if self._answer is not None:
            self._answer.lost(exc if isinstance(exc, ssl.SSLError) else None)
