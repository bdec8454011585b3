"""Attacks on the rim: what listeners speak, and what caches may keep."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Mapping

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.caller import Address, Reply
from heldtrue.attack.stock import request, retire, stock
from heldtrue.http.route import Realm

OLD = {"SSL 3.0": 0x0300, "TLS 1.0": 0x0301, "TLS 1.1": 0x0302}
NEW = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
_SUITES = (0x000A, 0x002F, 0x0035, 0x003C, 0xC009, 0xC00A, 0xC013, 0xC014)
"""Suites that a server of those years would take."""
_ALERT, _HANDSHAKE, _SERVER_HELLO = 21, 22, 2
TIMEOUT = 5.0


def old_tls(arena: Arena) -> Finding:
    """Offer each listener nothing newer than TLS 1.1, by hand, and see whether it answers with a server hello."""
    faults: list[str] = []
    handshakes = 0
    for listener in arena.listeners:
        for name, version in OLD.items():
            handshakes += 1
            if _accepts_old(listener, version):
                faults.append(f"The listener on port {listener.port} accepted {name}.")
        for name, modern in NEW.items():
            handshakes += 1
            spoken = _speaks(listener, modern)
            if spoken is None:
                faults.append(f"The listener on port {listener.port} does not speak {name}.")
    if not arena.listeners:
        raise AttackHinderedError("no listener is known")
    return judged(
        faults,
        "Every listener refused SSL 3.0, TLS 1.0 and TLS 1.1, and spoke TLS 1.2 and 1.3.",
        listeners=len(arena.listeners),
        handshakes=handshakes,
    )


def _accepts_old(listener: Address, version: int) -> bool:
    """Send a client hello of *version* and return whether a server hello of the same version came back."""
    suites = b"".join(struct.pack(">H", suite) for suite in _SUITES)
    name = listener.server_name.encode()
    server_name = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    groups = struct.pack(">HHHHH", 10, 6, 4, 23, 24)
    formats = struct.pack(">HHBB", 11, 2, 1, 0)
    extensions = (server_name + groups + formats) if version > 0x0300 else b""
    body = struct.pack(">H", version) + bytes(32) + b"\0" + struct.pack(">H", len(suites)) + suites + b"\x01\0"
    if extensions:
        body += struct.pack(">H", len(extensions)) + extensions
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    record = bytes([_HANDSHAKE]) + struct.pack(">HH", min(version, 0x0301), len(hello)) + hello
    try:
        with socket.create_connection((listener.host, listener.port), TIMEOUT) as link:
            link.sendall(record)
            answer = _exactly(link, 11)
    except ConnectionError:
        return False
    except OSError as error:
        raise AttackHinderedError(f"the listener on port {listener.port} cannot be reached") from error
    if len(answer) < 11 or answer[0] == _ALERT:
        return False
    return answer[0] == _HANDSHAKE and answer[5] == _SERVER_HELLO and struct.unpack(">H", answer[9:11])[0] <= 0x0302


def _exactly(link: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        piece = link.recv(size - len(got))
        if not piece:
            break
        got += piece
    return got


def _speaks(listener: Address, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who it is, every other attack verifies
    context.minimum_version = context.maximum_version = version
    try:
        with (
            socket.create_connection((listener.host, listener.port), TIMEOUT) as link,
            context.wrap_socket(link, server_hostname=listener.server_name) as wrapped,
        ):
            return wrapped.version()
    except (ssl.SSLError, ConnectionError):
        return None
    except OSError as error:
        raise AttackHinderedError(f"the listener on port {listener.port} cannot be reached") from error


class SharedCache:
    """A cache as a careless operator would put it in front: keyed by path, it keeps whatever it is allowed to keep."""

    def __init__(self) -> None:
        self._kept: dict[str, Reply] = {}

    def offer(self, path: str, reply: Reply) -> bool:
        """Keep *reply* if a shared cache may (RFC 9111, section 3); return whether it was kept."""
        directives = parse_directives(reply.header("cache-control") or "")
        allowed = not {"no-store", "private"} & directives.keys()
        if allowed:
            self._kept[path] = reply
        return allowed

    def get(self, path: str) -> Reply | None:
        """Return what is kept for *path*."""
        return self._kept.get(path)


def parse_directives(header: str) -> Mapping[str, str]:
    """Return the directives of `Cache-Control`, names in lower case."""
    pairs = (part.strip().partition("=") for part in header.split(",") if part.strip())
    return {name.strip().lower(): value.strip('" ') for name, _, value in pairs}


def tenant_bound(arena: Arena) -> Finding:
    """Ask every route as one organisation through a shared cache, then look what another would get from it."""
    one, _ = arena.probes()
    had = stock(arena, one)
    cache, faults, answers = SharedCache(), [], 0
    for route in arena.api:
        asked = request(route, had.ids)
        tries = [arena.caller.call(asked.method, asked.path, None, asked.body, asked.headers)]
        if route.method == "GET":
            tries.append(asked.send(arena.caller, one.admin))
        for reply in tries:
            answers += 1
            if cache.offer(asked.path, reply):
                faults.append(f"{route.at} answered {reply.status} without no-store: a shared cache keeps it.")
    for route in arena.routes:
        if route.realm is Realm.LINK:
            path = re.sub(r"\{[^}]+\}", "A" * 43, route.path)
            answers += 1
            if cache.offer(path, arena.caller.call("GET", path)):
                faults.append(f"{route.at} answered without no-store: a shared cache keeps it.")
    retire(arena, one, had)
    return judged(
        faults,
        "Every answer about an organisation, refusals included, forbids any cache to keep it.",
        routes=len(arena.api),
        answers=answers,
    )


ATTACKS = (
    Attack(
        name="transport.old_tls",
        place=Place.OBSERVE,
        tries=(
            "Offer each listener SSL 3.0, TLS 1.0 and TLS 1.1, byte by byte, with the ciphers of their years.",
            "It must not answer with a server hello.",
            "Then speak TLS 1.2 and TLS 1.3 to it: both must work.",
        ),
        run=old_tls,
        breaks="listener-of-2006",
    ),
    Attack(
        name="caches.tenant_bound",
        place=Place.SYNTHETIC,
        tries=(
            "Put a shared cache in front that keeps whatever it is allowed to keep.",
            "Ask every route through it, with a key and without one.",
            "Nothing may be in the cache afterwards.",
        ),
        run=tenant_bound,
        breaks="answers-for-everybody",
        needs=("heldtrue.attack.stock",),
    ),
)
