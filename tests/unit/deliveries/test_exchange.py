"""Requests and answers byte by byte, and connections that are kept for the next request, over real TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from heldtrue.capabilities.deliveries import lines
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.dialer import Dialer, Response
from heldtrue.capabilities.deliveries.exchange import (
    EXCERPT,
    MAX_HEAD,
    Answer,
    Line,
    ProtocolError,
    request,
    target,
)
from heldtrue.crypto.tls import TlsFiles, ensure_local_authority
from heldtrue.kernel.clock import SystemClock

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOOPBACK = AllowList.parse(["127.0.0.0/8"])
T = TypeVar("T")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def whole() -> T:
        return await work()

    return uvloop.run(whole())


def read(data: bytes, *, pieces: int = 1) -> Answer:
    """Return the answer that *data* gives, fed in pieces of so many bytes."""

    async def feed() -> Answer:
        answer = Answer(asyncio.get_running_loop())
        size = max(len(data) // pieces, 1)
        for at in range(0, len(data), size):
            answer.feed(data[at : at + size])
        return answer

    return run(feed)


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("url", "host", "port", "start"),
    [
        ("https://hooks.example/a?b=%20c", "hooks.example", 443, "POST /a?b=%20c HTTP/1.1\r\nhost: hooks.example\r\n"),
        ("https://hooks.example:8443", "hooks.example", 8443, "POST / HTTP/1.1\r\nhost: hooks.example:8443\r\n"),
        ("https://[2001:db8::1]/x", "2001:db8::1", 443, "POST /x HTTP/1.1\r\nhost: [2001:db8::1]\r\n"),
        ("https://HOOKS.example./", "hooks.example.", 443, "POST / HTTP/1.1\r\nhost: hooks.example.\r\n"),
    ],
)
def test_where_a_url_leads(url: str, host: str, port: int, start: str) -> None:
    to = target(url)
    assert (to.host, to.port, to.start) == (host, port, start)


@pytest.mark.parametrize(
    "url", ["https:///nowhere", "https://a.example/ b", "https://a.example/\r\nx: y", "https://bücher.example/"]
)
def test_what_cannot_be_asked_for_as_written_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        target(url)


def test_a_request_carries_its_length_and_its_headers() -> None:
    sent = request(target("https://a.example/h"), {"webhook-id": "dlv_1"}, b"{}")
    head, _, body = sent.partition(b"\r\n\r\n")
    assert body == b"{}"
    assert head.split(b"\r\n") == [
        b"POST /h HTTP/1.1", b"host: a.example", b"content-length: 2", b"accept: */*", b"webhook-id: dlv_1",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\ny", "a\rb", "é"])
def test_a_header_cannot_break_out_of_its_line(value: str) -> None:
    with pytest.raises(ProtocolError):
        request(target("https://a.example/"), {"webhook-id": value}, b"")
    with pytest.raises(ProtocolError):
        request(target("https://a.example/"), {value: "webhook"}, b"")


# ---------------------------------------------------------------- what is taken

SOUND = {
    "a length": (OK, 200, b"ok", True),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "chunks": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 200, b"abc", True,
    ),
    "to be closed": (b"HTTP/1.1 500 No\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx", 500, b"x", False),
    "of HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", 200, b"x", False),
    "after two provisional ones": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, 200, b"ok", True,
    ),
    "as long as is kept": (
        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % EXCERPT + b"y" * EXCERPT, 200, b"y" * EXCERPT, True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SOUND)
@pytest.mark.parametrize("pieces", [1, 3, 10_000])
def test_an_answer_is_read_however_it_is_cut_into_pieces(what: str, pieces: int) -> None:
    data, status, excerpt, keeps = SOUND[what]
    got = read(data, pieces=pieces)
    assert got.headed.done()
    assert got.ended.done()
    assert (got.status, got.excerpt, got.whole, got.keeps) == (status, excerpt, True, keeps)


def test_a_body_that_lasts_until_the_end_of_the_connection_is_open_until_then() -> None:
    async def feed() -> tuple[bool, bool, bytes, bool]:
        answer = Answer(asyncio.get_running_loop())
        answer.feed(b"HTTP/1.1 200 OK\r\n\r\nsome")
        before = answer.ended.done()
        answer.lost(None)
        return before, answer.ended.done(), answer.excerpt, answer.keeps

    assert run(feed) == (False, True, b"some", False)


def test_of_a_long_body_the_beginning_is_kept_and_the_connection_is_not() -> None:
    got = read(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n" + b"z" * (EXCERPT + 1))
    assert (got.excerpt, got.ended.done(), got.whole, got.keeps) == (b"z" * EXCERPT, True, False, False)


def test_what_a_provisional_answer_asks_for_is_not_the_answer() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nretry-after: 99\r\n\r\n"
    assert read(hint + OK).retry_after is None
    assert read(hint + b"HTTP/1.1 503 No\r\nRetry-After: 7\r\ncontent-length: 0\r\n\r\n").retry_after == "7"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01 no HTTP at all",
        b"HTTP/1.1 200 OK\nx: y\n\n",
        b"HTTP/1.1 000 What\r\n\r\n",
        b"HTTP/1.1 99999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * (MAX_HEAD + 1) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * MAX_HEAD,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * MAX_HEAD,
        OK + OK,
    ],
    ids=lambda data: repr(data[:40]),
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(data, pieces=max(len(data) // 1000, 1))


def test_a_connection_that_turns_to_something_else_tells_its_status_and_ends() -> None:
    async def feed() -> tuple[int, bool, bool]:
        answer = Answer(asyncio.get_running_loop())
        with pytest.raises(ProtocolError):
            answer.feed(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello")
        return answer.status, answer.ended.done(), answer.keeps

    assert run(feed) == (101, True, False)


# ---------------------------------------------------------------- connections


class Server:
    """A TLS server that counts connections and answers each request with the next of *says*."""

    def __init__(self, tls: TlsFiles, says: Sequence[bytes], *, closes: bool = False) -> None:
        self.says, self.closes = list(says), closes
        self.connections = 0
        self.ended = threading.Semaphore(0)
        """Released whenever a connection has ended."""
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(tls.cert, tls.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        with suppress(OSError):  # nobody is connected
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain = self._listener.accept()[0]
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as secure:
                while (secure.recv(65536)) and self.says:
                    secure.sendall(self.says.pop(0))
                    if self.closes:
                        return
        finally:
            self.ended.release()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return ensure_local_authority(tmp_path_factory.mktemp("tls"), SystemClock().now())


@contextmanager
def serving(tls: TlsFiles, *says: bytes, closes: bool = False) -> Generator[Server]:
    server = Server(tls, says, closes=closes)
    try:
        yield server
    finally:
        server.close()


async def _nothing(_dialer: Dialer) -> None:
    """Do nothing between two posts."""


def posts(
    server: Server, ca_file: Path, count: int, *, keep: int = 8, between: Callable[[Dialer], Awaitable[None]] = _nothing
) -> list[Response]:
    """Return what came of so many posts in turn by one dialer."""

    async def send() -> list[Response]:
        got: list[Response] = []
        async with Dialer(LOOPBACK, ca_file=ca_file, timeout=timedelta(seconds=10), concurrency=keep) as dialer:
            for _ in range(count):
                got.append(await dialer.post(server.url, b"{}", {}, NOON))
                await between(dialer)
        return got

    return uvloop.run(send())


def test_a_connection_is_used_again(tls: TlsFiles) -> None:
    with serving(tls, OK, OK, OK) as server:
        got = posts(server, tls.ca, 3)
        assert ([one.excerpt for one in got], server.connections) == ([b"ok"] * 3, 1)


def test_one_that_the_receiver_closes_is_not(tls: TlsFiles) -> None:
    closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    with serving(tls, closing, closing) as server:
        got = posts(server, tls.ca, 2)
        assert ([one.status for one in got], server.connections) == ([200, 200], 2)


def test_one_that_ended_while_nobody_used_it_is_not(tls: TlsFiles) -> None:
    async def noticed(dialer: Dialer) -> None:
        async with asyncio.timeout(10):
            while any(line.free for line in dialer._lines._lines):  # pyright: ignore[reportPrivateUsage]
                await asyncio.sleep(0)

    with serving(tls, OK, OK, closes=True) as server:
        got = posts(server, tls.ca, 2, between=noticed)
        assert ([one.status for one in got], server.connections) == ([200, 200], 2)


@pytest.mark.parametrize("limit", ["KEEP", "MAX_AGE"])
def test_one_that_is_too_old_or_waited_too_long_is_not(
    tls: TlsFiles, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, limit, 0.0)
    with serving(tls, OK, OK) as server:
        got = posts(server, tls.ca, 2)
        assert ([one.status for one in got], server.connections) == ([200, 200], 2)


def test_no_more_are_kept_than_allowed(tls: TlsFiles) -> None:
    with serving(tls, OK, OK) as server:
        got = posts(server, tls.ca, 2, keep=0)
        assert ([one.status for one in got], server.connections) == ([200, 200], 2)


def test_what_nobody_asked_for_is_nobodys_answer(tls: TlsFiles) -> None:
    """A receiver, or somebody between, that sends two answers to one request cannot answer the next one with it."""
    forged = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
    with serving(tls, OK + forged, OK) as server:
        got = posts(server, tls.ca, 2)
        assert ([one.status for one in got], server.connections) == ([200, 200], 2)


def test_one_cut_short_is_not_used_again(tls: TlsFiles) -> None:
    long = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000
    with serving(tls, long, OK) as server:
        got = posts(server, tls.ca, 2)
        assert ([len(one.excerpt or b"") for one in got], server.connections) == ([EXCERPT, 2], 2)


def test_connections_that_waited_are_ended_and_the_others_stay(tls: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    def tidy(dialer: Dialer) -> None:
        if ended:
            return
        monkeypatch.setattr(lines, "KEEP", 0.0)
        loop.call_soon_threadsafe(dialer._lines._tidy)  # pyright: ignore[reportPrivateUsage]
        ended.append(server.ended.acquire(timeout=10))

    async def send() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        async with Dialer(LOOPBACK, ca_file=tls.ca) as dialer:
            assert (await dialer.post(server.url, b"{}", {}, NOON)).status == 200
            dialer._lines._tidy()  # pyright: ignore[reportPrivateUsage]
            assert len(dialer._lines._lines) == 1  # pyright: ignore[reportPrivateUsage]
            await asyncio.to_thread(tidy, dialer)
            assert not dialer._lines._lines  # pyright: ignore[reportPrivateUsage]
            assert dialer._lines._count == 0  # pyright: ignore[reportPrivateUsage]

    loop: asyncio.AbstractEventLoop
    with serving(tls, OK, OK) as server:
        uvloop.run(send())
    assert ended == [True]


def test_a_line_that_ended_takes_no_request() -> None:
    async def ask() -> None:
        loop = asyncio.get_running_loop()
        line = Line(loop, loop.time() + 60)
        with pytest.raises(ConnectionResetError):
            line.ask(b"")

    run(ask)
