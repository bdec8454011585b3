"""The attack on what was promised to be delivered: receivers that fail, and a worker that is killed at it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from heldtrue.attack import Attack, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.kernel.secret import Secret

PAYLOADS = 12
SETTLED = 150.0
"""Seconds until everything has arrived: a lease, and the schedule's second try."""
TAKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
FAILED = TAKEN.replace(b"200 OK", b"500 No")
HELD, ANSWERED, DROPPED = range(3)
"""What the first request of a payload meets, by its number modulo four; each fourth is taken at once."""


@dataclass
class FailingReceiver:
    """A receiver that takes no delivery of three in four at its first request, and notes what it took."""

    context: ssl.SSLContext
    port: int = 0
    seen: set[str] = field(default_factory=set[str])
    taken: list[str] = field(default_factory=list[str])
    ids: set[str] = field(default_factory=set[str])
    """The `webhook-id` of what it took."""
    held: threading.Event = field(default_factory=threading.Event)
    """Set when a request waits for an answer."""
    released: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def serving(self) -> Generator[FailingReceiver]:
        """Serve on loopback until the block ends."""
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                self.released.set()
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join(2.0)

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                link, _ = listener.accept()
                threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        with suppress(OSError, ValueError), link:
            link.settimeout(20.0)
            with self.context.wrap_socket(link, server_side=True) as talk, talk.makefile("rb") as said:
                name, length = "", 0
                while (line := said.readline().strip().lower()) != b"":
                    key, _, value = line.partition(b":")
                    name = value.strip().decode() if key == b"webhook-id" else name
                    length = int(value) if key == b"content-length" else length
                answer = self._judge(name, said.read(length))
                if answer is not None:
                    talk.sendall(answer)

    def _judge(self, name: str, body: bytes) -> bytes | None:
        payload = json.loads(body)["data"]["payload"]["id"]
        way = len(self.seen) % 4 if payload not in self.seen else None
        self.seen.add(payload)
        if way == HELD:
            self.held.set()
            self.released.wait(SETTLED)
            return None
        if way == ANSWERED:
            return FAILED
        if way == DROPPED:
            return None
        self.taken.append(payload)
        self.ids.add(name)
        return TAKEN


def unkept(arena: Arena) -> Finding:
    """Promise deliveries to a receiver that fails, kill the worker at them, and count what arrives."""
    stage = arena.needs_stage()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(stage.cert, stage.key)
    key = _organisation(arena)
    with FailingReceiver(context).serving() as receiver:
        url = {"url": f"https://127.0.0.1:{receiver.port}/", "description": "attack"}
        arena.caller.call("POST", "/v1/endpoints", key, url).expect(201)
        sent = [
            arena.caller.call("POST", "/v1/payloads", key, {"number": number}).expect(202).json()["id"]
            for number in range(PAYLOADS)
        ]
        arena.until("a delivery on its way", lambda: receiver.held.is_set() or None)
        stage.kill_worker()
        receiver.released.set()
        ledger = _settled(arena, key, receiver)
        arrived = set(receiver.taken)
    faults: list[str] = []
    if missing := set(sent) - arrived:
        faults.append(f"{len(missing)} of {PAYLOADS} payloads that were acknowledged never arrived.")
    if len(receiver.ids) > len(arrived):
        faults.append(f"{len(arrived)} payloads arrived under {len(receiver.ids)} ids.")
    counted = {name: sum(month[name] for month in ledger) for name in ("promised", "delivered", "failed", "pending")}
    if counted != {"promised": PAYLOADS, "delivered": len(arrived), "failed": 0, "pending": 0}:
        faults.append(f"The ledger counts {counted}, and {len(arrived)} of {PAYLOADS} arrived.")
    return judged(
        faults,
        "Each delivery that was promised arrived under one id, after the worker was killed and although three in four "
        "were failed at first; the ledger counts the same.",
        promised=PAYLOADS,
        arrived=len(arrived),
        failed_at_first=PAYLOADS * 3 // 4,
    )


def _organisation(arena: Arena) -> Secret[str]:
    """Return an administrator's key of an organisation of its own, of which nothing else was promised."""
    operator = arena.operator()
    made = arena.caller.call("POST", "/v1/organisations", operator, {"name": "Promised deliveries"}).expect(201).json()
    path, asked = f"/v1/organisations/{made['id']}/keys", {"name": "attack", "role": "admin"}
    return Secret(arena.caller.call("POST", path, operator, asked).expect(201).json()["secret"])


def _settled(arena: Arena, key: Secret[str], receiver: FailingReceiver) -> list[dict[str, Any]]:
    """Return the ledger's months once nothing is pending, more is counted than arrived, or the time is over."""
    deadline = time.monotonic() + SETTLED
    while True:
        months = arena.caller.call("GET", "/v1/deliveries/ledger", key).expect(200).json()["data"]
        made, delivered = (sum(month[name] for month in months) for name in ("promised", "delivered"))
        done = made == PAYLOADS and not any(month["pending"] for month in months)
        if done or delivered > len(receiver.taken) or time.monotonic() > deadline:
            return months
        time.sleep(0.5)


ATTACKS = (
    Attack(
        name="promises.unkept",
        place=Place.SCRATCH,
        tries=(
            "On an instance made for this: send payloads to a receiver that fails three in four at first.",
            "Kill the worker with SIGKILL while deliveries are on their way, and let another one begin.",
            "Count what arrives and what the delivery ledger says: all of it, each under one id, and no more.",
        ),
        run=unkept,
        breaks="failures-count-as-delivered",
        parts=("receivers",),
        limit=timedelta(seconds=240),
    ),
)
