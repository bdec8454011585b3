"""A receiver that fails in every way, by a seed, until its storm is over; it counts what it took and how it failed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import socket
import ssl
import struct
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from instance import free_port
from receiver import Behaviour, Receiver, answers, babbles, drips, drops, hangs, well

from heldtrue.crypto.tls import ensure_local_authority
from heldtrue_verify.webhook import verify

ANSWERS: dict[str, tuple[Behaviour, int]] = {
    "500": (answers(500), 8),
    "503": (answers(503), 6),
    "404": (answers(404), 6),
    "429": (answers(429, **{"Retry-After": "1"}), 4),
    "redirect": (answers(307, Location="/elsewhere"), 8),
    "dropped": (drops, 8),
    "no HTTP": (babbles, 8),
    "drip": (drips, 2),
    "hang": (hangs, 1),
}
"""What it does instead of taking a delivery, and how often; a drip answers 200 first, so it has taken it."""
FAILING = 0.25
"""Of first requests; where most fail, the circuit breaker lets so little through that it would take hours."""
DOORS = {"open": 84, "reset": 8, "wrong certificate": 6, "refused": 2}
"""What a new connection meets, in percent; after `refused` nobody listens for a moment."""
GONE = (0.1, 0.6)
"""Seconds without a listener."""


@dataclass
class Arrival:
    """One delivery, however often it came."""

    payload: str
    sha256: str
    receipt: dict[str, Any]
    body: bytes
    """SHA-256 of the whole body."""
    requests: int = 0
    taken: int = 0


@dataclass
class Stormy(Receiver):
    """Takes what it verified; a quarter of the deliveries meets a failure first, some connections never come about."""

    seed: int = 0
    patient: bool = True
    """Whether it also hangs, which costs 15 seconds each time."""
    secrets: list[str] = field(default_factory=list)
    calm: bool = False
    met: Counter[str] = field(default_factory=Counter)
    arrivals: dict[str, Arrival] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """What no sender of ours may do."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.port = free_port()
        self.ways = [name for name in ANSWERS if self.patient or name != "hang"]

    def taken(self) -> set[str]:
        """Return the payloads that were taken."""
        return {one.payload for one in list(self.arrivals.values()) if one.taken}

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.closing = asyncio.Event()
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        self.contexts = {"open": self._context(), "wrong certificate": self._strange()}
        self.admissions: set[asyncio.Task[None]] = set()
        doors = asyncio.create_task(self._doors(runner.server))
        await self.closing.wait()
        doors.cancel()
        await asyncio.gather(doors, *self.admissions, return_exceptions=True)
        await runner.cleanup()

    def _strange(self) -> ssl.SSLContext:
        """Return a certificate that nobody was told to trust."""
        tls = ensure_local_authority(self.directory / "strange", datetime.now(UTC))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.cert, tls.key)
        return context

    async def _doors(self, server: Any) -> None:
        while True:
            with socket.create_server(("127.0.0.1", self.port), backlog=512) as listener:
                listener.setblocking(False)
                self._ready.set()
                await self._admit(listener, server)
            await asyncio.sleep(self.dice.uniform(*GONE))  # nobody listens: this is what is tested

    async def _admit(self, listener: socket.socket, server: Any) -> None:
        while True:
            link, _ = await self._loop.sock_accept(listener)
            door = "open" if self.calm else self.dice.choices(list(DOORS), list(DOORS.values()))[0]
            if door != "open":
                self.met[door] += 1
            if door in self.contexts:
                task = asyncio.create_task(self._open(link, server, self.contexts[door]))
                self.admissions.add(task)
                task.add_done_callback(self.admissions.discard)
                continue
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.close()  # which sends RST
            if door == "refused":
                return

    async def _open(self, link: socket.socket, server: Any, context: ssl.SSLContext) -> None:
        with contextlib.suppress(OSError):  # whoever came is gone, or does not trust us
            await self._loop.connect_accepted_socket(server, link, ssl=context)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        name = request.headers["webhook-id"]
        arrival = self._noted(name, request, body)
        first = arrival.requests == 0
        arrival.requests += 1
        way = "well"
        if first and not self.calm and self.dice.random() < FAILING:
            way = self.dice.choices(self.ways, [ANSWERS[one][1] for one in self.ways])[0]
            self.met[way] += 1
        if way in {"well", "drip"}:
            arrival.taken += 1
        return await (well if way == "well" else ANSWERS[way][0])(self, request)

    def _noted(self, name: str, request: web.Request, body: bytes) -> Arrival:
        event = verify(request.headers, body, self.secrets)
        if request.path != "/hook":
            self.wrong.append(f"{name} went to {request.path}")
        data: Any = event["data"]
        made = Arrival(data["payload"]["id"], data["payload"]["sha256"], data["receipt"], hashlib.sha256(body).digest())
        known = self.arrivals.setdefault(name, made)
        if known.body != made.body:
            self.wrong.append(f"{name} came with other bytes: {json.dumps(data['payload'])[:200]}")
        return known
