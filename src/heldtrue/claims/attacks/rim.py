"""Attacks on the rim: what listeners speak, and what caches may keep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.caller import Reply
from heldtrue.attack.stock import request, retire, stock
from heldtrue.claims.attacks.hello import VERSIONS, chosen
from heldtrue.http.route import Realm

OLD = ("SSL 3.0", "TLS 1.0", "TLS 1.1")
NEW = ("TLS 1.2", "TLS 1.3")


def old_tls(arena: Arena) -> Finding:
    """Offer each listener one version of TLS after the other, byte by byte, and see which it agrees to."""
    faults: list[str] = []
    handshakes = 0
    clear = [listener for listener in arena.listeners if listener.clear]
    for listener in arena.listeners:
        if listener.clear:
            continue
        for name in (*OLD, *NEW):
            handshakes += 1
            agreed = chosen(listener, VERSIONS[name])
            if name in OLD and agreed is not None and agreed <= VERSIONS[OLD[-1]]:
                faults.append(f"The listener on port {listener.port} accepted {name}.")
            if name in NEW and agreed != VERSIONS[name]:
                faults.append(f"The listener on port {listener.port} does not speak {name}.")
    faults += [
        f"The listener on port {listener.port} speaks no TLS and can be reached from elsewhere."
        for listener in clear
        if not ip_address(listener.host).is_loopback
    ]
    if not handshakes:
        raise AttackHinderedError("no listener is known")
    return judged(
        faults,
        "Every listener refused SSL 3.0, TLS 1.0 and TLS 1.1, and spoke TLS 1.2 and 1.3.",
        listeners=len(arena.listeners) - len(clear),
        handshakes=handshakes,
        **({"loopback_doors": len(clear)} if clear else {}),
    )


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
            "Offer each listener SSL 3.0, TLS 1.0 and 1.1, byte by byte, with old ciphers; to mail after STARTTLS.",
            "It must not answer with a server hello.",
            "Then offer TLS 1.2 and TLS 1.3 alone: it must agree to each.",
        ),
        run=old_tls,
        breaks="listener-of-2006",
        needs=("heldtrue.claims.attacks.hello",),
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
