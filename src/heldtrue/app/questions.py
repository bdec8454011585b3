"""The server of the forward-auth door in clear: HTTP/1.1 of short questions, on an inherited socket.

A general server costs each question several times what its answer does: thread changes, a scope, messages. This one
reads a head, awaits the answer, writes it. Whoever asks is a proxy of the operator's, on a unix socket or loopback.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import cast

import structlog

from heldtrue.app.listener import BACKLOG
from heldtrue.http.exchange import MalformedRequestError
from heldtrue.http.heads import END, Head, Headers, read_head, write_head

HEAD_BYTES = 64 * 1024
BODY_BYTES = 64 * 1024
"""A body is read and not looked at: no proxy has to send one."""
HEAD_WITHIN = 10.0
"""Seconds within which a head that began is complete."""
IDLE = 300.0
"""Seconds after which a connection that nobody uses is closed; proxies close theirs sooner."""
_log = structlog.get_logger("heldtrue.edge")


Ask = Callable[[Head, str], Awaitable[tuple[int, Headers, bytes]]]
"""From a request's head and its peer's address ("" on a unix socket) to status, headers and body of the answer."""


class QuestionServer:
    """Answers on *listener* until it is stopped."""

    def __init__(self, ask: Ask, listener: socket.socket, grace: float) -> None:
        """*grace*: seconds that answers under way get after a stop was asked for."""
        self.ask = ask
        self.connections: set[_Connection] = set()
        self.date = (b"date", b"")
        self.unix = listener.family == socket.AF_UNIX
        self._listener = listener
        self._grace = grace
        self._stop = asyncio.Event()
        self.answers = False
        """Whether connections are taken."""

    @property
    def ending(self) -> bool:
        """Whether each connection ends with its next answer."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Take no connection any more, and let `serve` return."""
        self._stop.set()

    async def serve(self) -> None:
        """Answer until `stop`, and then what is under way."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if self.unix else loop.create_server
        # It closes what it is given, so it gets a descriptor of its own.
        own = socket.socket(fileno=os.dup(self._listener.fileno()))
        server = await create(lambda: _Connection(self, loop), sock=own, backlog=BACKLOG)
        self.answers = True
        try:
            await self._look_after()
        finally:
            self.answers = False
            server.close()
            await self._finish()

    async def _look_after(self) -> None:
        """Each second until the stop: tell the date anew, and close what is slow or forgotten."""
        while not self.ending:
            self.date = (b"date", formatdate(usegmt=True).encode("ascii"))
            now = asyncio.get_running_loop().time()
            for connection in list(self.connections):
                connection.look(now)
            try:
                await asyncio.wait_for(self._stop.wait(), 1.0)
            except TimeoutError:
                continue

    async def _finish(self) -> None:
        for connection in list(self.connections):
            connection.end()
        working = [one.task for one in self.connections if one.task is not None]
        if working:
            await asyncio.wait(working, timeout=self._grace)
        for connection in list(self.connections):
            connection.cut()


class _Connection(asyncio.Protocol):
    """One connection: questions one after the other, however they arrive."""

    def __init__(self, server: QuestionServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self.held = b""
        """What came and is not being answered yet."""
        self._since = loop.time()
        """When the connection became idle, or the head that is held began."""
        self._full = False
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember who asks."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = "" if self._server.unix else str(transport.get_extra_info("peername", "?")[0])
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Forget it; what is being answered goes on, because it goes on record."""
        self._server.connections.discard(self)

    def pause_writing(self) -> None:
        """Begin no other answer while nobody takes the last ones."""
        self._full = True

    def resume_writing(self) -> None:
        """Go on."""
        self._full = False
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take in what came, and begin to answer where that is a whole question."""
        if self.held:
            self.held += data
        else:
            self.held = data
            self._since = self._loop.time()
        if self.task is None:
            self._next()
        elif len(self.held) > HEAD_BYTES:
            self._transport.pause_reading()

    def look(self, now: float) -> None:
        """Close the connection when it was idle, or its head incomplete, for too long."""
        if self.task is None and now - self._since > (HEAD_WITHIN if self.held else IDLE):
            if self.held:
                self._refuse(408)
            else:
                self._transport.close()

    def end(self) -> None:
        """Close it now, or after the answer that is under way."""
        if self.task is None:
            self._transport.close()

    def cut(self) -> None:
        """Close it now."""
        self._transport.abort()

    def _next(self) -> None:
        """Begin to answer the next question, if it is here."""
        held = self.held
        if self.task is not None or self._full or not held or self._transport.is_closing():
            return
        end = held.find(END)
        if end < 0 or end > HEAD_BYTES:
            if len(held) > HEAD_BYTES:
                self._refuse(431)
            return
        try:
            head = read_head(held[:end])
        except MalformedRequestError:
            self._refuse(400)
            return
        whole = end + 4 + head.length
        if head.length > BODY_BYTES:
            self._refuse(413)
        elif len(held) >= whole:
            self.held = held[whole:]
            self.task = self._loop.create_task(self._answer(head))

    async def _answer(self, head: Head) -> None:
        server = self._server
        try:
            status, headers, body = await server.ask(head, self._peer)
            last = head.last or server.ending
            told = [*headers, server.date, (b"connection", b"close" if last else b"keep-alive")]
            text = write_head(status, told)
            if body and head.method != "HEAD":
                text += body
        except Exception:  # noqa: BLE001 - fail closed, whatever it was; it is logged
            _log.exception("a question was not answered, so refused")
            text, last = _bare(500), True
        self.task = None
        self._since = self._loop.time()
        if self._transport.is_closing():
            return
        self._transport.write(text)
        if last:
            self._transport.close()
        elif self.held:
            self._transport.resume_reading()
            self._next()

    def _refuse(self, status: int) -> None:
        self._transport.write(_bare(status))
        self._transport.close()


def _bare(status: int) -> bytes:
    return write_head(status, [(b"content-length", b"0"), (b"connection", b"close")])
