"""The payload house with a mail listener: the product's own server on loopback, and a peer that says anything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from asgi import Caller
from dns_server import Names
from house import House, documents
from house import actor_of as actor_of_ports
from payload_house import PayloadHouse, build_payload_house, payload_routes

from heldtrue.capabilities.intake import actions as intake
from heldtrue.capabilities.intake.model import Limits, Meta
from heldtrue.capabilities.intake.scanning import Scanner
from heldtrue.capabilities.mail.checks.resolver import Resolver
from heldtrue.capabilities.mail.office import MailServices, Office
from heldtrue.capabilities.mail.records import MailDomain
from heldtrue.capabilities.mail.routes import MailRoutes
from heldtrue.capabilities.mail.routes import routes as mail_routes
from heldtrue.capabilities.mail.server import MailServer, tls_context
from heldtrue.capabilities.mail.terms import Terms
from heldtrue.crypto.tls import ensure_local_authority
from heldtrue.http.limits import Rate
from heldtrue.http.refusals import RefusedSummary
from heldtrue.http.transaction import tenant_operation
from heldtrue.kernel.ids import PayloadId, RequestId

DOMAIN = "in.example.test"
OPEN = Rate(100_000, 100_000.0)
TERMS = Terms(
    hostname="mx.example.test", domain=DOMAIN, connection_rate=OPEN, refusal_rate=OPEN, organisation_rate=OPEN,
    greeting_seconds=0.02, connections_per_source=200,
)  # fmt: skip
SIMPLE = b"From: Ann <ann@sender.test>\r\nSubject: hello\r\n\r\nA line.\r\n"


@dataclass(frozen=True)
class Authority:
    """Who vouches for the listener."""

    ca_file: Path
    cert: Path
    key: Path

    @classmethod
    def make(cls, directory: Path) -> Authority:
        made = ensure_local_authority(directory / "tls", datetime.now(UTC))
        return cls(made.ca, made.cert, made.key)


class Peer:
    """A connection to the listener, byte by byte."""

    def __init__(self, port: int, authority: Authority, *, implicit: bool = False, greet: bool = True) -> None:
        self.authority = authority
        self.link: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._heard = b""
        if implicit:
            self.encrypt()
        if greet:
            assert self.reply().startswith("220 "), "no banner"

    def send(self, data: bytes) -> None:
        self.link.sendall(data)

    def line(self) -> str:
        """Return the next line, empty where the connection ended."""
        while b"\n" not in self._heard:
            try:
                piece = self.link.recv(65536)
            except (ConnectionError, ssl.SSLError):
                piece = b""
            if not piece:
                return ""
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return line.rstrip(b"\r").decode()

    def reply(self) -> str:
        """Return the last line of the next reply, empty where the connection ended."""
        while (line := self.line())[3:4] == "-":
            continue
        return line

    def offers(self, name: str = "peer.test") -> list[str]:
        """Say EHLO and return what is offered."""
        self.send(f"EHLO {name}\r\n".encode())
        offers: list[str] = []
        while True:
            line = self.line()
            offers.append(line[4:])
            if line[3:4] != "-":
                assert line.startswith("250"), line
                return offers[1:]

    def say(self, words: str | bytes) -> str:
        """Say one command and return the reply."""
        self.send((words if isinstance(words, bytes) else words.encode()) + b"\r\n")
        return self.reply()

    def code(self, words: str | bytes) -> int:
        return int(self.say(words)[:3] or 0)

    def encrypt(self, **versions: Any) -> None:
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        for name, value in versions.items():
            setattr(context, name, value)
        self.link = context.wrap_socket(self.link, server_hostname="localhost")

    def starttls(self) -> Peer:
        """Greet, encrypt, greet again."""
        self.offers()
        assert self.code("STARTTLS") == 220
        self.encrypt()
        self.offers()
        return self

    def begin(self, *recipients: str, sender: str = "ann@sender.test") -> Peer:
        """Open a message to *recipients*, up to 354."""
        assert self.code(f"MAIL FROM:<{sender}>") == 250
        for one in recipients:
            assert self.code(f"RCPT TO:<{one}>") == 250
        assert self.code("DATA") == 354
        return self

    def message(self, text: bytes, *recipients: str, sender: str = "ann@sender.test") -> str:
        """Send a whole message and return the last reply."""
        self.begin(*recipients, sender=sender)
        self.send(stuffed(text) + b".\r\n")
        return self.reply()

    def closed(self) -> bool:
        """Return whether the connection ends without another word."""
        return self.reply() == ""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.link.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stuffed(text: bytes) -> bytes:
    """Return *text* as it goes over the wire."""
    body = text.replace(b"\r\n.", b"\r\n..")
    return b"." + body if body.startswith(b".") else body


@dataclass
class Post:
    """A listener, what it stands on, and whose mail it takes."""

    place: PayloadHouse
    authority: Authority
    names: Names
    office: Office
    port: int
    implicit_port: int
    summaries: list[RefusedSummary]

    @property
    def admin(self) -> Caller:
        return self.place.admin

    def peer(self, *, implicit: bool = False, greet: bool = True) -> Peer:
        return Peer(self.implicit_port if implicit else self.port, self.authority, implicit=implicit, greet=greet)

    def address(self, caller: Caller | None = None, **asked: Any) -> str:
        """Create an address and return it."""
        made = (caller or self.admin).post("/v1/addresses", asked)
        assert made.status == 201, made.body
        return made.json()["address"]

    def payloads(self) -> list[dict[str, Any]]:
        return self.admin.get("/v1/payloads?limit=200").json()["data"]

    def raw(self, payload: str) -> bytes:
        got = self.admin.get(f"/v1/payloads/{payload}/content")
        assert got.status == 200, got.body
        return got.body

    def meta(self, payload: str) -> Meta:
        """Return what is sealed beside a payload."""
        ports = self.place.house.ports
        actor = actor_of_ports(ports, self.admin)
        with tenant_operation(ports, actor, RequestId.new(ports.clock.now(), ports.entropy)) as op:
            return intake.get_stored(op, PayloadId.parse(payload)).meta

    def entries(self) -> list[dict[str, Any]]:
        return documents(self.place.house.ports, actor_of_ports(self.place.house.ports, self.admin))


def taken(reply: str) -> str:
    """Return the payload's id in a reply that accepts."""
    assert reply.startswith("250 "), reply
    return reply.rsplit(maxsplit=1)[-1]


@contextmanager
def open_post(
    plain: House,
    directory: Path,
    names: Names,
    *,
    terms: Terms = TERMS,
    seconds: float = 4.0,
    scanner: Scanner | None = None,
) -> Generator[Post]:
    """Open a listener of its own, with a new organisation, on a house that several may share."""
    place = build_payload_house(plain, directory)
    routes = mail_routes(MailRoutes(domain=MailDomain(domain=DOMAIN, host="mx.example.test")))
    place.house = place.house.served(*payload_routes(place.objects, Limits(), place.outgoing), *routes)
    place.admin = place.house.caller(place.admin.key)
    authority = Authority.make(directory)
    summaries: list[RefusedSummary] = []
    services = MailServices(
        ports=place.house.ports,
        objects=place.objects,
        resolver=Resolver([("127.0.0.1", names.port)], seconds=seconds),
        record_refusals=summaries.append,
        scanner=scanner,
    )
    with serving(services, terms, authority) as (office, port, implicit):
        yield Post(place, authority, names, office, port, implicit, summaries)
    place.house.app.close()


@contextmanager
def serving(services: MailServices, terms: Terms, authority: Authority) -> Generator[tuple[Office, int, int]]:
    """Serve in a thread of its own, on an event loop as the product's."""
    sockets = [socket.create_server(("127.0.0.1", 0), backlog=512) for _ in range(2)]
    ready, told = threading.Event(), {}

    async def main() -> None:
        office = Office(services, terms, tls_context(str(authority.cert), str(authority.key)))
        server = MailServer(office, sockets[:1], sockets[1:])
        await server.start()
        stop = asyncio.Event()
        told.update(office=office, stop=stop, loop=asyncio.get_running_loop())
        ready.set()
        await stop.wait()
        await server.stop(grace=2.0)

    thread = threading.Thread(target=lambda: uvloop.run(main()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield told["office"], sockets[0].getsockname()[1], sockets[1].getsockname()[1]
    finally:
        told["loop"].call_soon_threadsafe(told["stop"].set)
        thread.join(20)
        for one in sockets:
            one.close()
