"""Attacks on access: without a credential, with a wrong one, beyond the role, beyond the limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.caller import Caller
from heldtrue.attack.canary import Canary, search_everywhere
from heldtrue.attack.stock import in_order, request
from heldtrue.capabilities.access.role_attacks import ATTACKS as ROLES
from heldtrue.capabilities.access.role_attacks import nothing
from heldtrue.capabilities.access.session_attacks import ATTACKS as SESSIONS
from heldtrue.crypto import tokens
from heldtrue.http.route import Realm
from heldtrue.kernel.secret import Secret

EXPIRY = timedelta(seconds=1)
FLOOD, FLOODERS = 1200, 6
CALM, SLOWEST = 60, 2.0


def without_credential(arena: Arena) -> Finding:
    """Call every route with no credential and with every kind of bad one; each must answer 401."""
    one, _ = arena.probes()
    expired, over = arena.mint(one, "admin", EXPIRY), arena.clock.now() + EXPIRY
    revoked = arena.caller.call("POST", "/v1/keys", one.admin, {"name": "probe", "role": "admin"}).expect(201).json()
    arena.caller.call("DELETE", f"/v1/keys/{revoked['id']}", one.admin).expect(200)
    arena.until("expiry", lambda: arena.clock.now() > over or None)
    unknown = tokens.mint("sk", one.environment, arena.entropy).reveal()
    bad: dict[str, str | Secret[str] | None] = {
        "no credential": None,
        "a malformed one": unknown[:-1] + ("0" if unknown[-1] != "0" else "1"),
        "an unknown one": unknown,
        "an expired one": expired,
        "a revoked one": revoked["secret"],
        "another scheme": "\tBasic cHJvYmU6cHJvYmU=",
    }
    ids, faults, before = nothing(arena), [], arena.caller.requests
    for route in in_order(arena.api):
        asked = request(route, ids)
        for what, token in bad.items():
            if isinstance(token, str) and token.startswith("\t"):
                headers = {**asked.headers, "authorization": token.strip()}
                reply = arena.caller.call(asked.method, asked.path, None, asked.body, headers)
            else:
                reply = asked.send(arena.caller, token)
            if reply.status != 401:
                faults.append(f"{route.at} answered {reply.status} to {what}.")
    public = sum(route.realm in {Realm.PUBLIC, Realm.LINK} for route in arena.routes)
    return judged(
        faults,
        f"All {len(arena.api)} routes answered 401 to no credential and to {len(bad) - 1} kinds of bad ones.",
        routes=len(arena.api),
        requests=arena.caller.requests - before,
        public_routes=public,
    )


def key_at_rest(arena: Arena) -> Finding:
    """Issue a key, use it, have the answer repeated; then look for it everywhere."""
    one, _ = arena.probes()
    again = {"idempotency-key": arena.entropy(16).hex()}
    asked = {"name": "probe", "role": "reader"}
    issued = arena.caller.call("POST", "/v1/keys", one.admin, asked, again).expect(201).json()
    arena.caller.call("GET", "/v1/self", issued["secret"]).expect(200)
    arena.caller.call("POST", "/v1/keys", one.admin, asked, again).expect(201, 200)
    arena.caller.call("GET", "/v1/keys", one.admin).expect(200)
    secret: str = issued["secret"]
    random_part = secret.rsplit("_", 1)[1][:43]
    return search_everywhere(
        arena, {"the key": Canary(secret.encode()), "its random part": Canary(random_part.encode())}
    )


def flood(arena: Arena) -> Finding:
    """Flood as one organisation and measure what another gets meanwhile."""
    arena.needs_sinks()
    one, two = arena.probes()
    statuses: list[int] = []
    lock, stop = threading.Lock(), threading.Event()

    def pour() -> None:
        caller = arena.caller.twin()
        try:
            while not (stop.is_set() and 429 in statuses):  # a slow machine needs longer to pass the limit
                reply = caller.call("GET", "/v1/self", one.admin, patient=False)
                with lock:
                    statuses.append(reply.status)
                    if len(statuses) >= FLOOD:
                        return
        except AttackHinderedError:
            with lock:
                statuses.append(0)
        finally:
            caller.close()

    floods = [threading.Thread(target=pour) for _ in range(FLOODERS)]
    for thread in floods:
        thread.start()
    arena.until("the flood", lambda: len(statuses) > 50 or None)
    calm, slowest = _calm(arena.caller, lambda: two.admin, any_alive=lambda: any(t.is_alive() for t in floods))
    stop.set()
    for thread in floods:
        thread.join()
    turned_away = statuses.count(429)
    faults: list[str] = []
    if not turned_away:
        faults.append(f"{len(statuses)} requests of one organisation met no limit.")
    if bad := [status for status in calm if status != 200]:
        faults.append(f"{len(bad)} of {len(calm)} requests of the other organisation were answered {bad[0]}.")
    if slowest > SLOWEST:
        faults.append(f"The other organisation waited {slowest * 1000:.0f} ms for an answer.")
    return judged(
        faults,
        f"{turned_away} of {len(statuses)} requests of the flood were turned away; the other organisation got all its "
        f"answers, the slowest after {slowest * 1000:.0f} ms.",
        flood=len(statuses),
        turned_away=turned_away,
        calm=len(calm),
    )


def _calm(caller: Caller, token: Callable[[], Secret[str]], any_alive: Callable[[], bool]) -> tuple[list[int], float]:
    """Ask at an ordinary pace while the flood goes on; return the statuses and the slowest answer in seconds."""
    statuses: list[int] = []
    slowest = 0.0
    while len(statuses) < CALM and (any_alive() or len(statuses) < 10):
        began = time.monotonic()
        statuses.append(caller.call("GET", "/v1/self", token(), patient=False).status)
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.02)
    return statuses, slowest


ATTACKS = (
    Attack(
        name="access.without_credential",
        place=Place.SYNTHETIC,
        tries=(
            "Take every route from the table that the server serves them from.",
            "Call each without a credential, then with a malformed, an unknown, an expired and a revoked one.",
            "Every answer must be 401.",
        ),
        run=without_credential,
        breaks="everybody-is-somebody",
        needs=("heldtrue.attack.stock",),
        limit=timedelta(seconds=120),
    ),
    Attack(
        name="access.key_at_rest",
        place=Place.SCRATCH,
        tries=(
            "On an instance made for this: issue a key, use it, and have the answer repeated.",
            "Plant another text in clear in every place where bytes come to rest, and find it in each.",
            "Search the same places for the key, as it is, in base64, in hex and in UTF-16: it must be nowhere.",
        ),
        run=key_at_rest,
        breaks="token-in-the-log",
        needs=("heldtrue.attack.canary",),
        limit=timedelta(seconds=180),
    ),
    Attack(
        name="access.flood",
        place=Place.SCRATCH,
        tries=(
            "On an instance made for this: send requests as one organisation as fast as six connections can.",
            "Meanwhile ask as another, at an ordinary pace.",
            "The flood must be turned away at its limit, and the other must get every answer in time.",
        ),
        run=flood,
        breaks="limits-off",
        parts=("limits",),
        limit=timedelta(seconds=120),
    ),
    *ROLES,
    *SESSIONS,
)
