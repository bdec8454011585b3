"""The built-in proxy between real clients and a real upstream: streamed both ways, cut on both sides, nothing mixed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from heldtrue.app.listener import bind
from heldtrue.app.web import Site, SiteServer
from heldtrue.capabilities.edge.doors.desk import Desk
from heldtrue.capabilities.edge.doors.proxy import ReverseProxy, Upstream
from heldtrue.capabilities.edge.forwarded import TrustedProxies
from heldtrue.capabilities.edge.identity import UpstreamKey
from heldtrue.capabilities.edge.model import Caller, EdgeCall, Verdict
from heldtrue.capabilities.edge.refusing import refusal
from heldtrue.http.credential import MissingCredentialError
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.ids import CryptoKeyId, KeyId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.policy.permissions import Role
from heldtrue_verify.identity import verify_identity

KEY = UpstreamKey(CryptoKeyId.new(datetime.now(UTC), secrets.token_bytes), Secret(secrets.token_bytes(32)))
ID = KeyId.new(datetime.now(UTC), secrets.token_bytes)
CALLER = Caller(
    "key", "sk", TenantId.new(datetime.now(UTC), secrets.token_bytes), "live", ID, Role.SENDER, str(ID), None,
    frozenset(), frozenset({"orders.read"}),
)  # fmt: skip
ADMIT = Verdict(True, 200, "", "", "", CALLER, None, (("ratelimit", '"key";r=1;t=1'),))
PIECE = 256 * 1024


async def judge(call: EdgeCall) -> Verdict:
    return ADMIT if call.authorization == (b"Bearer good",) else refusal(MissingCredentialError())


@dataclass
class Scene:
    """A proxy that is served for real, and what its upstream noticed."""

    url: str
    upstream: str
    port: int
    seen: list[Any] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    events: dict[str, asyncio.Event] = field(default_factory=dict)
    session: Any = None

    def event(self, name: str) -> asyncio.Event:
        return self.events.setdefault(name, asyncio.Event())

    async def raw(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def again(self) -> None:
        """Assert that the upstream serves the next request as if nothing had been."""
        async with self.session.get(self.url + "/echo") as answer:
            assert answer.status == 200


def handlers(scene: Scene) -> web.Application:
    """Return the upstream."""

    def noted(request: web.Request) -> None:
        scene.seen.append(request)
        scene.connections.add(id(request.transport))

    async def echo(request: web.Request) -> web.Response:
        noted(request)
        headers = [("X-Twice", "1"), ("X-Twice", "2"), ("Heldtrue-Tenant", "org_forged"), ("Heldtrue_Scopes", "all")]
        headers += [("Connection", "X-Private, keep-alive"), ("X-Private", "1"), ("Keep-Alive", "timeout=5")]
        return web.Response(body=await request.read(), headers=headers)

    async def stream(request: web.Request) -> web.StreamResponse:
        noted(request)
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"first")
        await scene.event("read first").wait()
        await answer.write(b"last")
        return answer

    async def upload(request: web.Request) -> web.Response:
        noted(request)
        size = 0
        try:
            async for piece in request.content.iter_any():
                size += len(piece)
                scene.event("upload begun").set()
        except BaseException:
            scene.event("upload cut").set()
            raise
        return web.Response(text=str(size))

    async def big(request: web.Request) -> web.StreamResponse:
        noted(request)
        answer = web.StreamResponse(headers={"Content-Length": str(PIECE * 400)})
        await answer.prepare(request)
        try:
            for number in range(400):
                await answer.write(bytes(PIECE))
                scene.seen.append(number)
        except BaseException:
            scene.event("download cut").set()
            raise
        return answer

    async def slow(request: web.Request) -> web.Response:
        noted(request)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            scene.event("slow cut").set()
            raise
        return web.Response()

    async def broken(request: web.Request) -> web.StreamResponse:
        noted(request)
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return answer

    async def status(request: web.Request) -> web.Response:
        noted(request)
        return web.Response(status=int(request.match_info["code"]), headers={"Location": "/echo", "ETag": '"e"'})

    async def socket(request: web.Request) -> web.WebSocketResponse:
        noted(request)
        answer = web.WebSocketResponse(protocols=("chat",))
        await answer.prepare(request)
        async for message in answer:
            if message.type is aiohttp.WSMsgType.TEXT:
                if message.data == "bye":
                    await answer.close(code=4001)
                else:
                    await answer.send_str(message.data.upper())
            else:
                await answer.send_bytes(message.data[::-1])
        scene.seen.append(("closed", answer.close_code))
        scene.event("socket closed").set()
        return answer

    app = web.Application(client_max_size=0)
    for path, handler in (
        ("/echo", echo), ("/stream", stream), ("/upload", upload), ("/big", big), ("/slow", slow), ("/broken", broken),
        ("/status/{code}", status), ("/socket", socket),
    ):  # fmt: skip
        app.router.add_route("*", path, handler)
    return app


@asynccontextmanager
async def opened(**settings: Any) -> AsyncGenerator[Scene]:
    """Open upstream, proxy and a client that holds a good key."""
    scene = Scene("", "", 0)
    runner = web.AppRunner(handlers(scene), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    scene.upstream = settings.pop("origin", None) or f"http://127.0.0.1:{runner.addresses[0][1]}"
    trusted = TrustedProxies((), unix=False)
    desk = Desk(judge=judge, trusted=trusted, clock=SystemClock(), entropy=secrets.token_bytes, keys=lambda: (KEY,))
    proxy = ReverseProxy(desk, Upstream(origin=scene.upstream, **{"read_timeout": 5.0, **settings}))
    listener = bind("127.0.0.1", 0)
    scene.port = listener.getsockname()[1]
    scene.url = f"http://127.0.0.1:{scene.port}"
    server = SiteServer(Site(app=proxy, listener=listener, certificate=None, websockets=True))
    serving = asyncio.create_task(server.serve())
    try:
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer good"}, auto_decompress=False) as session:
            scene.session = session
            yield scene
    finally:
        server.stop()
        await serving
        listener.close()
        await proxy.close()
        await runner.cleanup()


async def code_of(answer: aiohttp.ClientResponse) -> str:
    document = await answer.json(content_type=None)
    return document["type"].rpartition("/")[2]


def played(scene: Any, **settings: Any) -> None:
    """Play a scene to its end."""

    async def play() -> None:
        async with opened(**settings) as stage, asyncio.timeout(4):
            await scene(stage)

    asyncio.run(play())


def test_the_upstream_hears_who_calls_and_not_with_what_key() -> None:
    async def scene(s: Scene) -> None:
        sent = {"X-Forwarded-For": "1.2.3.4", "X-HTTP-Method-Override": "DELETE", "X_Under": "1", "TE": "trailers",
                "Connection": "X-Hop, close", "X-Hop": "1", "X-Kept": "1", "Forwarded": "for=1.2.3.4"}  # fmt: skip
        async with s.session.get(s.url + "/echo?q=%27a%27&b", headers=sent) as answer:
            assert answer.status == 200
            assert answer.headers.getall("X-Twice") == ["1", "2"]
            assert answer.headers["ratelimit"] == ADMIT.headers[0][1]
            assert not [
                n for n in answer.headers if n.lower().startswith("heldtrue") or n in {"X-Private", "Keep-Alive"}
            ]
            request = answer.headers["Request-Id"]
        got = s.seen[0].headers
        for name in ("Authorization", "X-HTTP-Method-Override", "X_Under", "TE", "X-Hop", "Forwarded"):
            assert name not in got, name
        assert got["X-Kept"] == "1"
        assert got["X-Forwarded-For"] == "127.0.0.1"
        assert got["Host"] == got["X-Forwarded-Host"] == f"127.0.0.1:{s.port}"
        assert (got["X-Forwarded-Proto"], got["Request-Id"]) == ("http", request)
        who = verify_identity(dict(got), "GET", got["Host"], s.seen[0].raw_path, [KEY.text().reveal()])
        assert (who.tenant, who.request) == (str(CALLER.tenant), request)

    played(scene)


def test_a_refused_request_reaches_nobody_and_its_body_is_not_read() -> None:
    async def scene(s: Scene) -> None:
        head = (
            "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        answer = await s.raw(head.encode())
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"100 Continue" not in answer
        assert not s.seen

    played(scene)


def test_the_first_byte_arrives_before_the_last_is_sent() -> None:
    async def scene(s: Scene) -> None:
        async with s.session.get(s.url + "/stream") as answer:
            assert await answer.content.readexactly(5) == b"first"
            s.event("read first").set()
            assert await answer.content.read() == b"last"

    played(scene)


def test_bodies_of_any_kind_pass_and_one_connection_serves_them() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(3):
            yield bytes(1000)

    async def scene(s: Scene) -> None:
        for body, size in ((None, "0"), (b"", "0"), (b"x" * 100_000, "100000"), (pieces(), "3000")):
            async with s.session.post(s.url + "/upload", data=body) as answer:
                assert (answer.status, await answer.text()) == (200, size)
        async with s.session.get(s.url + "/echo", data=b"a body with GET") as answer:
            assert await answer.read() == b"a body with GET"
        async with s.session.head(s.url + "/echo") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        for code in (204, 304, 301, 404, 500):
            async with s.session.get(f"{s.url}/status/{code}", allow_redirects=False) as answer:
                assert (answer.status, answer.headers["ETag"]) == (code, '"e"')
        assert len(s.connections) <= 2
        chunked = [request for request in s.seen if request.path == "/upload"][-1]
        assert chunked.headers.get("Transfer-Encoding") == "chunked"

    played(scene)


def test_expect_is_answered_once_the_caller_is_admitted() -> None:
    async def scene(s: Scene) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", s.port)
        writer.write(
            b"POST /upload HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\nContent-Length: 5\r\n"
            b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"12345")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()
        assert "Expect" not in s.seen[0].headers

    played(scene)


def test_a_big_answer_is_not_buffered_and_a_reader_that_leaves_stops_it() -> None:
    async def scene(s: Scene) -> None:
        answer = await s.session.get(s.url + "/big")
        await answer.content.readexactly(PIECE)
        await asyncio.sleep(0.5)  # long enough for all of it, if anybody would take it
        assert max(n for n in s.seen if isinstance(n, int)) < 200
        answer.close()
        await s.event("download cut").wait()
        await s.again()

    played(scene)


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_an_upload_that_is_cut_is_cut_at_the_upstream(framing: str) -> None:
    async def scene(s: Scene) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", s.port)
        first = b"3e8\r\n" + bytes(1000) + b"\r\n" if "chunked" in framing else bytes(1000)
        writer.write(
            f"POST /upload HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n{framing}\r\n\r\n".encode() + first
        )
        await s.event("upload begun").wait()
        writer.transport.abort()
        await s.event("upload cut").wait()
        await s.again()

    played(scene)


def test_a_client_that_leaves_ends_what_the_upstream_does_for_it_within_the_read_timeout() -> None:
    async def scene(s: Scene) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", s.port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n\r\n")
        while not s.seen:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        await s.event("slow cut").wait()

    played(scene, read_timeout=0.5)


def test_an_answer_that_breaks_off_is_cut_and_never_ended() -> None:
    async def scene(s: Scene) -> None:
        async with s.session.get(s.url + "/broken") as answer:
            with pytest.raises(aiohttp.ClientError):
                await answer.read()
        await s.again()

    played(scene)


def test_a_slow_or_absent_upstream_is_said() -> None:
    async def slow(s: Scene) -> None:
        async with s.session.get(s.url + "/slow") as answer:
            assert (answer.status, (await answer.json(content_type=None))["type"]) == (
                504,
                "/problems/upstream-timeout",
            )
        await s.event("slow cut").wait()

    async def absent(s: Scene) -> None:
        async with s.session.get(s.url + "/echo") as answer:
            assert (answer.status, await code_of(answer)) == (502, "upstream-failed")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="502"):
            await s.session.ws_connect(s.url + "/socket")

    played(slow, read_timeout=0.3)
    played(absent, origin="http://127.0.0.1:9")


def test_a_body_over_the_limit_is_refused_however_it_is_framed() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(30):
            yield bytes(1000)

    async def scene(s: Scene) -> None:
        async with s.session.post(s.url + "/upload", data=bytes(20_000)) as answer:
            assert answer.status == 413
        assert not s.seen
        async with s.session.post(s.url + "/upload", data=pieces()) as answer:
            assert answer.status == 413
        await s.event("upload cut").wait()

    played(scene, body_bytes=10_000)


def test_another_host_is_not_served_when_one_is_named() -> None:
    async def scene(s: Scene) -> None:
        async with s.session.get(s.url + "/echo", headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421
        async with s.session.get(s.url + "/echo", headers={"Host": "API.example"}) as answer:
            assert answer.status == 200

    played(scene, public_host="api.example")


def test_a_websocket_passes_both_ways_with_protocol_and_closing_code() -> None:
    async def scene(s: Scene) -> None:
        ws = await s.session.ws_connect(s.url + "/socket", protocols=("other", "chat"))
        assert ws.protocol == "chat"
        await ws.send_str("hello")
        assert await ws.receive_str() == "HELLO"
        await ws.send_bytes(b"abc" * 100_000)
        assert await ws.receive_bytes() == b"cba" * 100_000
        assert s.seen[0].headers["Heldtrue-Tenant"] == str(CALLER.tenant)
        assert "Authorization" not in s.seen[0].headers
        await ws.send_str("bye")
        assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 4001
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await s.session.ws_connect(s.url + "/socket", headers={"Authorization": "Bearer bad"})

    played(scene)


@pytest.mark.parametrize("cut", [False, True], ids=["closed", "cut"])
def test_a_websocket_that_its_client_ends_is_ended_at_the_upstream(cut: bool) -> None:
    async def scene(s: Scene) -> None:
        ws = await s.session.ws_connect(s.url + "/socket")
        if cut:
            ws._response.connection.transport.abort()  # type: ignore[union-attr]
        else:
            await ws.close(code=4002)
        await s.event("socket closed").wait()
        assert cut or ("closed", 4002) in s.seen

    played(scene)
