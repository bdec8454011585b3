"""The customers' page with the real API behind it: routes, sessions, rows; plain HTTP on loopback for browsers."""

from __future__ import annotations

import asyncio
import http.server
import random
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from asgi import Caller
from house import tenant_of
from receiver import Receiver, answers
from whole import Whole, engine_of, open_whole

from heldtrue.capabilities.deliveries.engine import Engine
from heldtrue.db.roles import RoleDsns
from heldtrue.kernel.ids import AttemptId, DeliveryId

PERMISSIONS = [
    "self.read", "endpoint.read", "endpoint.write", "delivery.read", "delivery.replay", "payload.read", "receipt.read",
]  # fmt: skip


@dataclass
class PortalSite:
    """A served portal, and one organisation in three states: nothing yet, a little, and a long history."""

    url: str
    whole: Whole
    receiver: Receiver
    fresh: Caller
    busy: Caller
    flaky: str
    """The endpoint that fails now and then, with four weeks behind it."""
    failing: str
    """A delivery that was tried twice, in vain."""
    now: str

    def token(self, admin: Caller, permissions: list[str] | None = None, ttl: int = 900) -> str:
        asked = {"subject": "reader", "permissions": permissions or PERMISSIONS, "ttl_seconds": ttl}
        made = admin.post("/v1/sessions", asked)
        assert made.status == 200, made.body
        return made.json()["token"]

    def link(self, admin: Caller, permissions: list[str] | None = None) -> str:
        return f"{self.url}/portal#token={self.token(admin, permissions)}"


@contextmanager
def open_portal(dsns: RoleDsns, directory: Path) -> Generator[PortalSite]:
    """Serve the whole product with something to look at."""
    with open_whole(dsns, directory / "data") as whole, Receiver(directory / "receiver") as receiver:
        fresh = whole.house.organisation("Fresh")
        busy = whole.house.organisation("Saltmarsh Figures")
        flaky, failing = _live(whole, receiver, busy)
        with _serving(Caller(whole.house.app)) as url:
            now = whole.house.clock.at.isoformat()
            yield PortalSite(url, whole, receiver, fresh, busy, flaky, failing, now)


def _live(whole: Whole, receiver: Receiver, admin: Caller) -> tuple[str, str]:
    receiver.behave["/books"] = answers(503, '{"error":"the ledger is being closed, come back later"}')
    made = [
        admin.post("/v1/endpoints", {"url": url, "description": about}).json()["id"]
        for url, about in (
            ("https://archive.saltmarsh-figures.example/hooks/heldtrue?tenant=7", "Archive"),
            (receiver.url("/well"), ""),
            (receiver.url("/books"), "Bookkeeping, month end"),
        )
    ]
    admin.post(f"/v1/endpoints/{made[0]}/disable")
    sent = b'{"invoice":"2026-117","total":"412.50","lines":[{"text":"Figures, monthly","net":"346.64"}]}'
    payload = admin.call("POST", "/v1/payloads", body=sent, headers={"content-type": "application/json"}).json()["id"]
    engine = engine_of(whole.parts, receiver.ca_file)
    engine.step_forward()
    _attempts(engine)
    whole.house.clock.at += timedelta(seconds=7)
    _attempts(engine)
    whole.house.clock.at += timedelta(seconds=20)
    listed = admin.get(f"/v1/deliveries?payload_id={payload}&endpoint_id={made[2]}").json()["data"]
    _history(whole, admin, made[2], UUID(listed[0]["receipt_id"][4:]), UUID(payload[4:]))
    return made[2], listed[0]["id"]


def _attempts(engine: Engine) -> None:
    asyncio.run(engine.step_send())


def _history(whole: Whole, admin: Caller, endpoint: str, receipt: UUID, payload: UUID) -> None:
    """Write four weeks of deliveries as they are kept: mostly good, one bad evening, slow Mondays."""
    chance, now, deliveries, attempts = random.Random(7), whole.house.clock.at, [], []
    tenant = tenant_of(whole.house, admin)
    for hour in range(28 * 24, 0, -1):
        at = now - timedelta(hours=hour)
        bad, slow = 40 <= hour < 46, at.weekday() == 0
        for _ in range(chance.randint(0, 2 + 4 * (8 <= at.hour < 18))):
            began = at + timedelta(minutes=chance.uniform(0, 59))
            made = _one(attempts, tenant.value, endpoint, receipt, payload, began, bad, slow, chance)
            deliveries.append((tenant.value, "live", *made))
    with whole.parts.database.tenant(tenant, "live") as tx:
        tx.batch(
            """INSERT INTO heldtrue.deliveries (tenant_id, environment, delivery_id, receipt_id, payload_id,
                 endpoint_id, state, attempts, tries, created_at, settled_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            deliveries,
        )
        tx.batch(
            """INSERT INTO heldtrue.attempts (tenant_id, environment, attempt_id, delivery_id, number, started_at,
                 latency_ms, status, failure) VALUES (%s, 'live', %s, %s, %s, %s, %s, %s, %s)""",
            attempts,
        )


def _one(
    attempts: list[Any], tenant: UUID, endpoint: str, receipt: UUID, payload: UUID, began: datetime, bad: bool,
    slow: bool, chance: random.Random,
) -> tuple[Any, ...]:  # fmt: skip
    def entropy(size: int) -> bytes:
        return chance.randbytes(size)

    id_, tries = DeliveryId.new(began, entropy).value, 1 + (bad or chance.random() < 0.04)
    at = began
    for number in range(1, tries + 1):
        failed = number < tries or (bad and chance.random() < 0.3)
        latency = int(chance.lognormvariate(4.4 + 0.8 * slow, 0.5))
        status, failure = (None, "timeout") if failed and chance.random() < 0.6 else (503 if failed else 200, None)
        latency = 15_000 if failure else latency
        attempts.append((tenant, AttemptId.new(at, entropy).value, id_, number, at, latency, status, failure))
        at += timedelta(seconds=6)
    state = "failed" if failed else "delivered"
    return (id_, receipt, payload, UUID(endpoint[4:]), state, tries, tries, began, at)


@contextmanager
def _serving(caller: Caller) -> Generator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def log_message(self, *_: Any) -> None:
            return

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kept = {k: v for k, v in self.headers.items() if k.lower() not in {"content-length", "connection"}}
            got = caller.call(self.command, self.path, body=body, headers=kept)
            self.send_response(got.status)
            for name, value in got.headers.items():
                if name not in {"strict-transport-security", "content-length", "connection"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(got.body)))
            self.end_headers()
            self.wfile.write(got.body)

        do_GET = do_POST = do_DELETE = _answer

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
