"""A small authoritative name server on loopback, over UDP and TCP, for a zone that a test writes."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

FAIL = "SERVFAIL"
"""As the only record of a name: the server says that it cannot answer."""
SILENT = "SILENT"
"""As the only record of a name: the server says nothing."""
Zone = Mapping[tuple[str, str], Sequence[str]]
"""(name, type) to records in their text form."""


class Names:
    """The zone, which a test may change, and what was asked."""

    def __init__(self, zone: Zone | None = None) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {key: list(values) for key, values in (zone or {}).items()}
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    def put(self, name: str, kind: str, *values: str) -> None:
        self.zone[name.lower(), kind] = list(values)

    def text(self, name: str, value: str) -> None:
        """Put one TXT record, in pieces of 200 letters as its format wants."""
        pieces = [value[at : at + 200] for at in range(0, len(value), 200)] or [""]
        quoted = " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
        self.put(name, "TXT", quoted)

    def answer(self, asked: bytes, *, truncate: bool) -> bytes | None:
        query = dns.message.from_wire(asked)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        values = self.zone.get((name, kind), [])
        if values == [SILENT]:
            return None
        if values == [FAIL]:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif values:
            reply.answer.append(dns.rrset.from_text(question.name, 5, "IN", kind, *values))
        elif not any(known == name or known.endswith(f".{name}") for known, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        wire = reply.to_wire(max_size=65535)
        if truncate and len(wire) > 512:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            return short.to_wire()
        return wire


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        data, link = self.request
        answer = server.names.answer(data, truncate=True)
        if answer is not None:
            link.sendto(answer, self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        head = self.rfile.read(2)
        if len(head) < 2:
            return
        (length,) = struct.unpack(">H", head)
        asked = self.rfile.read(length)
        if len(asked) < max(length, 12):
            return  # no whole question: whoever asked was killed
        answer = server.names.answer(asked, truncate=False)
        if answer is not None:
            self.wfile.write(struct.pack(">H", len(answer)) + answer)


@contextmanager
def serve_names(zone: Zone | None = None) -> Generator[Names]:
    """Serve *zone* at a free port of loopback, the same for UDP and TCP."""
    names = Names(zone)
    while True:
        tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Tcp)
        try:
            udp = socketserver.ThreadingUDPServer(("127.0.0.1", tcp.server_address[1]), _Udp)
            break
        except OSError:
            tcp.server_close()
    names.port = tcp.server_address[1]
    threads = []
    for server in (tcp, udp):
        server.daemon_threads = True
        server.names = names  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        threads.append(thread)
    try:
        yield names
    finally:
        for server, thread in zip((tcp, udp), threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def closed_port() -> int:
    """Return a port of loopback where nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
