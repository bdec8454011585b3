"""A stage for the doors: the real runtime over a real database, a real upstream, and each door asked in its own way."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from house import ISSUER, House, build_house

from heldtrue.app.listener import bind_unix
from heldtrue.app.web import Site, SiteServer
from heldtrue.capabilities.edge.allowances import Allowance, LimitPolicies
from heldtrue.capabilities.edge.decision import Decider
from heldtrue.capabilities.edge.doors.asgi import CALLER, EdgeMiddleware
from heldtrue.capabilities.edge.doors.desk import Desk, Judge
from heldtrue.capabilities.edge.doors.forward import ForwardAuth
from heldtrue.capabilities.edge.doors.proxy import ReverseProxy, Upstream
from heldtrue.capabilities.edge.doors.remote import RemoteDoor
from heldtrue.capabilities.edge.forwarded import TrustedProxies
from heldtrue.capabilities.edge.gatekeeper import Gatekeeper
from heldtrue.capabilities.edge.identity import UpstreamKey
from heldtrue.capabilities.edge.journal import Journal
from heldtrue.capabilities.edge.lessors import PgLessor
from heldtrue.capabilities.edge.limits import Limiter
from heldtrue.capabilities.edge.model import EdgePolicy, RouteRule
from heldtrue.capabilities.edge.runtime import EdgeRuntime
from heldtrue.capabilities.edge.snapshot import boottime
from heldtrue.db.tx import Database
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret

HOST = "api.example.test"
CLIENT = "203.0.113.9"
PLENTY = Allowance(100_000, 100_000)
POLICY = EdgePolicy(
    rules=(
        RouteRule(frozenset({"GET"}), "/v1/orders/*", scope="orders.read"),
        RouteRule(frozenset(), "/v1/tight", route_class="tight"),
        RouteRule(frozenset({"GET"}), "/open", public=True),
        RouteRule(frozenset(), "/v1/**"),
        RouteRule(frozenset(), "/ws"),
    ),
    limits={
        "default": LimitPolicies.of(organisation=PLENTY, key=PLENTY),
        "tight": LimitPolicies.of(organisation=PLENTY, key=Allowance(1, 0.001)),
    },
)
TRUSTED = TrustedProxies.parse(["unix", "10.0.0.0/8"])


@dataclass
class Loop:
    """An event loop in a thread of its own."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class Outcome:
    """What came of one request at one door."""

    status: int
    """As the client must see it."""
    headers: dict[str, str]
    problem: dict[str, Any]
    reached: list[dict[str, str]]
    """The headers of each request that reached what is behind the door."""
    caller: Any = None

    @property
    def code(self) -> str:
        return self.problem.get("type", "").rpartition("/")[2]


async def ask(app: Any, scope: dict[str, Any], body: Sequence[bytes] = (b"",)) -> tuple[int, dict[str, str], bytes]:
    """Call an ASGI application once."""
    queue = [{"type": "http.request", "body": piece, "more_body": at + 1 < len(body)} for at, piece in enumerate(body)]
    started: dict[str, Any] = {}
    parts: list[bytes] = []

    async def receive() -> Any:
        if queue:
            return queue.pop(0)
        await asyncio.Event().wait()
        return None

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in started["headers"]}
    return started["status"], headers, b"".join(parts)


def scope_of(method: str, target: str, headers: Sequence[tuple[str, str]], peer: str | None = "") -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": None if peer is None else (peer, 0),
    }


class Door:
    """One kind of door before something that notes what reaches it."""

    def __init__(self, stage: Stage, kind: str, judge: Judge) -> None:
        self.stage, self.kind = stage, kind
        self.desk = stage.desk(judge)
        self._seen: list[dict[str, str]] = []
        self._caller: Any = None
        self._remote: RemoteDoor | None = None
        if kind == "asgi":
            self.app: Any = EdgeMiddleware(self._behind, judge, TRUSTED, clock=stage.house.clock)
        elif kind == "remote":
            self._remote = RemoteDoor.unix(str(stage.socket))
            stage.remote_app = ForwardAuth(self.desk)
            self.app = EdgeMiddleware(self._behind, self._remote.judge, TRUSTED, clock=stage.house.clock)
        elif kind == "proxy":
            self.app = ReverseProxy(self.desk, Upstream(origin=stage.origin, read_timeout=5))
        else:
            self.app = ForwardAuth(self.desk)

    async def _behind(self, scope: Any, receive: Any, send: Any) -> None:
        self._seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self._caller = scope[CALLER]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})

    async def knock(self, method: str, target: str, headers: Sequence[tuple[str, str]], peer: str = "") -> Outcome:
        self._seen = self.stage.upstream_seen = []
        self._caller = None
        given = [("Host", HOST), ("X-Forwarded-For", CLIENT), *headers]
        scope = scope_of(method, target, given, peer)
        if self.kind in {"nginx", "caddy", "traefik"}:
            names = (
                ("X-Original-Method", "X-Original-URI")
                if self.kind == "nginx"
                else ("X-Forwarded-Method", "X-Forwarded-Uri")
            )
            said = [(names[0], method), (names[1], target), ("X-Forwarded-Host", HOST)]
            scope = scope_of("GET", f"/auth/{self.kind}", [*given, *said], peer)
        elif self.kind == "envoy":
            scope = scope_of(method, f"/auth/envoy{target}", given, peer)
        status, answer, body = await ask(self.app, scope)
        if self.kind in {"nginx", "caddy", "traefik", "envoy"}:
            return self._as_proxy(status, answer, body)
        problem = json.loads(body) if answer.get("content-type") == "application/problem+json" else {}
        return Outcome(status, answer, problem, list(self._seen), self._caller)

    def _as_proxy(self, status: int, answer: dict[str, str], body: bytes) -> Outcome:
        """Do what the proxy does with the answer."""
        if self.kind == "nginx" and status not in {204, 401, 403}:
            return Outcome(500, answer, {}, [])
        if 200 <= status < 300:
            assert status == (200 if self.kind == "envoy" else 204)
            assert body == b""
            self._seen.append({name: value for name, value in answer.items() if name.startswith("heldtrue-")})
            return Outcome(200, answer, {}, list(self._seen))
        if self.kind == "nginx":
            assert body == b""
            return Outcome(int(answer["heldtrue-status"]), answer, json.loads(answer["heldtrue-problem"]), [])
        return Outcome(status, answer, json.loads(body), [])

    async def close(self) -> None:
        if self._remote is not None:
            await self._remote.close()
        if isinstance(self.app, ReverseProxy):
            await self.app.close()


class Stage:
    """Everything that doors stand on, once a module."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.house: House = build_house(database)
        self.loop = Loop()
        self.offset = 0.0
        self.key = UpstreamKey(
            CryptoKeyId.new(self.house.clock.now(), secrets.token_bytes), Secret(secrets.token_bytes(32))
        )
        self.socket = directory / "door.sock"
        self.remote_app: Any = None
        self.upstream_seen: list[dict[str, str]] = []
        self.loop.run(self._open())
        self._issue_keys()

    def _issue_keys(self) -> None:
        house = self.house
        made = house.operator.post("/v1/organisations", {"name": "Doors", "environments": ["live"]}).json()
        issue = lambda **asked: house.issue(made["id"], "live", role="sender", **asked)  # noqa: E731
        self.tenant = made["id"]
        self.good, self.plain, self.tight = issue(grants=["orders.read", "orders.write"]), issue(), issue()
        self.expired, self.revoked = issue(expires_at=(house.clock.now() + timedelta(minutes=5)).isoformat()), issue()
        admin = house.caller(house.issue(made["id"], "live", role="admin"))
        last4 = {one["last4"]: one["id"] for one in admin.get("/v1/keys?limit=200").json()["data"]}
        assert admin.delete(f"/v1/keys/{last4[self.revoked[-4:]]}").status in {200, 204}
        self.bound = issue(addresses=[f"{CLIENT}/32"])
        house.clock.at += timedelta(minutes=10)
        self.catch_up()

    def catch_up(self) -> None:
        self.gatekeeper.feed.catch_up()

    async def _open(self) -> None:
        database, clock = self.house.database, self.house.clock
        self._lessor = PgLessor(database.dsns.system)
        self._lessor.lease([])
        self.limiter = Limiter(POLICY.limits, self._lessor)
        self.gatekeeper = Gatekeeper(database.dsns.edge, clock, ISSUER, policy=POLICY, limiter=self.limiter)
        later = lambda: boottime() + self.offset  # noqa: E731 - the feed's own clock stays: nothing it hears is new
        self.gatekeeper.decider = Decider(self.gatekeeper.snapshot, clock, POLICY, limiter=self.limiter, boot=later)
        self.gatekeeper.feed.start()
        self.journal = Journal(
            database, self.house.ports.platform, self.house.ports.key_cache, clock, secrets.token_bytes
        )
        self.runtime = self.runtime_with()
        await self._open_upstream()
        self._listener = bind_unix(self.socket, None)
        site = Site(app=self._remote, listener=self._listener, certificate=None)
        self._server = SiteServer(site)
        self._serving = asyncio.create_task(self._server.serve())

    def runtime_with(self, *, journal: Any = None, limiter: Any = None) -> EdgeRuntime:
        gatekeeper = self.gatekeeper
        if limiter is not None:
            gatekeeper = Gatekeeper(
                self.house.database.dsns.edge, self.house.clock, ISSUER, policy=POLICY, limiter=limiter
            )
            gatekeeper.decider = Decider(
                self.gatekeeper.snapshot, self.house.clock, POLICY, limiter=limiter, boot=boottime
            )
        return EdgeRuntime(
            gatekeeper, limiter or self.limiter, journal or self.journal, None, self.house.clock, lambda _summary: None
        )

    async def _remote(self, scope: Any, receive: Any, send: Any) -> None:
        await self.remote_app(scope, receive, send)

    async def _open_upstream(self) -> None:
        async def answer(request: web.Request) -> web.Response:
            self.upstream_seen.append({name.lower(): value for name, value in request.headers.items()})
            return web.Response(text="served")

        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]

    def desk(self, judge: Judge) -> Desk:
        return Desk(
            judge=judge, trusted=TRUSTED, clock=self.house.clock, entropy=secrets.token_bytes, keys=lambda: (self.key,)
        )

    def knock(self, kind: str, target: str, *, judge: Judge | None = None, method: str = "GET",
              headers: Sequence[tuple[str, str]] = (), key: str | None = None, peer: str = "") -> Outcome:  # fmt: skip
        """Knock at a door of *kind* once."""
        given = [*headers, *([("Authorization", f"Bearer {key}")] if key else [])]

        async def once() -> Outcome:
            door = Door(self, kind, judge or self.runtime.judge)
            try:
                return await door.knock(method, target, given, peer)
            finally:
                await door.close()

        return self.loop.run(once())

    def close(self) -> None:
        async def end() -> None:
            self._server.stop()
            await self._serving
            self._listener.close()
            await self._runner.cleanup()
            await self.journal.close()

        self.loop.run(end())
        self.limiter.close()
        self.gatekeeper.feed.close()
        self.house.app.close()
        self.loop.close()
