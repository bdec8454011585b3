"""The door's own HTTP server: one answer for each question, in order, and none for what is no question."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from heldtrue.app.listener import bind, bind_unix
from heldtrue.app.questions import HEAD_BYTES, QuestionServer
from heldtrue.http.heads import Head, Headers

ASK = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
ENOUGH = 30.0


class Door:
    """Says what it was asked, and from where; holds back what is to wait, and fails where it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()

    async def ask(self, head: Head, peer: str) -> tuple[int, Headers, bytes]:
        self.begun.set()
        if head.target == b"/wait":
            await self.go.wait()
        if head.target == b"/fail":
            raise RuntimeError("as it was told to")
        said = b"%s %s" % (head.target, peer.encode())
        headers = [(b"content-length", b"%d" % len(said))]
        return 200, [*headers, (b"a", b"b\r\nsplit: c")] if head.target == b"/split" else headers, said


class Stage:
    def __init__(self, door: Door, server: QuestionServer, serving: asyncio.Task[None], address: str | int) -> None:
        self.door, self.server, self.serving, self.address = door, server, serving, address

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.address, str):
            return await asyncio.open_unix_connection(self.address)
        return await asyncio.open_connection("127.0.0.1", self.address)

    async def say(self, *parts: bytes) -> bytes:
        """Send *parts* over one connection and return all that comes until it is closed."""
        reader, writer = await self.connect()
        for part in parts:
            writer.write(part)
            await writer.drain()
        try:
            return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def staged(path: Path | None = None) -> AsyncGenerator[Stage]:
    door = Door()
    listener: socket.socket = bind("127.0.0.1", 0) if path is None else bind_unix(path, None)
    server = QuestionServer(door.ask, listener, grace=ENOUGH)
    serving = asyncio.create_task(server.serve())
    while not server.answers:
        await asyncio.sleep(0)
    try:
        yield Stage(door, server, serving, listener.getsockname()[1] if path is None else str(path))
    finally:
        door.go.set()
        server.stop()
        await serving
        listener.close()


def run(act: Callable[[Stage], Awaitable[None]], path: Path | None = None) -> None:
    async def whole() -> None:
        async with staged(path) as stage, asyncio.timeout(ENOUGH):
            await act(stage)

    uvloop.run(whole())


def test_questions_are_answered_in_their_order_however_they_arrive() -> None:
    async def act(stage: Stage) -> None:
        sent = ASK % b"one" + ASK % b"wait" + ASK % b"three" + b"GET /four HTTP/1.0\r\n\r\n"
        reader, writer = await stage.connect()
        for at in range(len(sent)):
            writer.write(sent[at : at + 1])
            await writer.drain()
        await stage.door.begun.wait()
        stage.door.go.set()
        said = await reader.read()
        writer.close()
        assert said.count(b"HTTP/1.1 200 OK\r\n") == 4
        assert [part.partition(b" ")[0] for part in said.split(b"\r\n\r\n/")[1:]] == [
            b"one",
            b"wait",
            b"three",
            b"four",
        ]
        assert said.count(b"connection: close") == 1
        assert b"127.0.0.1" in said
        assert b"date: " in said

    run(act)


def test_a_body_is_read_and_not_taken_for_a_question() -> None:
    async def act(stage: Stage) -> None:
        smuggled = ASK % b"smuggled"
        first = b"POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
        said = await stage.say(first, smuggled, b"HEAD /two HTTP/1.0\r\n\r\n")
        assert said.count(b"200 OK") == 2
        assert b"smuggled" not in said
        assert said.endswith(b"\r\n\r\n"), "HEAD has no body"

    run(act)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", b"400", id="nonsense"),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400", id="chunks"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"b" * HEAD_BYTES, b"431", id="endless-head"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413", id="large-body"),
        pytest.param(ASK % b"fail", b"500", id="failure"),
        pytest.param(ASK % b"split", b"500", id="split-answer"),
    ],
)
def test_what_is_no_question_ends_the_connection(sent: bytes, status: bytes) -> None:
    async def act(stage: Stage) -> None:
        said = await stage.say(sent)
        assert said.startswith(b"HTTP/1.1 " + status)
        assert said.count(b"HTTP/1.1") == 1
        assert b"connection: close" in said

    run(act)


def test_whoever_stays_silent_in_the_middle_of_a_head_is_cut_off_and_an_idle_one_later() -> None:
    async def act(stage: Stage) -> None:
        idle, other = await stage.connect()
        reader, writer = await stage.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost")
        await writer.drain()
        while not any(one.held for one in stage.server.connections) or len(stage.server.connections) < 2:
            await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        for connection in list(stage.server.connections):
            connection.look(now + 60)
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
        (left,) = stage.server.connections
        left.look(now + 400)
        assert await idle.read() == b""
        writer.close()
        other.close()

    run(act)


def test_the_end_waits_for_the_answer_under_way_and_for_nobody_else() -> None:
    async def act(stage: Stage) -> None:
        idle, other = await stage.connect()
        reader, writer = await stage.connect()
        writer.write(ASK % b"wait" + ASK % b"never")
        await stage.door.begun.wait()
        stage.server.stop()
        assert await idle.read() == b""
        stage.door.go.set()
        said = await reader.read()
        assert said.count(b"200 OK") == 1
        assert b"never" not in said
        await stage.serving
        writer.close()
        other.close()

    run(act)


def test_on_a_unix_socket_the_peer_has_no_address(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        said = await stage.say(b"GET /one HTTP/1.0\r\n\r\n")
        assert said.endswith(b"/one ")

    run(act, tmp_path / "door.sock")
