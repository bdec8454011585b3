"""Attacks on credentials of third parties: found in an answer, a log or at rest, or opened after they were deleted."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta

from heldtrue.attack import Attack, AttackHinderedError, Finding, Outcome, Place, broken, judged
from heldtrue.attack.arena import Arena, Probe
from heldtrue.attack.caller import Reply
from heldtrue.attack.canary import Canary, search_everywhere
from heldtrue.attack.leftovers import Copy, must_open, openings
from heldtrue.attack.stock import in_order, request, stock
from heldtrue.crypto.sealing import key_id_of
from heldtrue.kernel.ids import CredentialId, CryptoKeyId

HOST = "api.invalid"
"""A host that is reserved never to exist (RFC 2606)."""
OBJECT = "object"


@dataclass(frozen=True, slots=True)
class _Value:
    value_sealed: bytes | None


def told_credential(arena: Arena) -> Finding:
    """Keep a credential and replace it, ask every route, make every mistake with it, and look for it everywhere."""
    first, second = (f"Canary{base64.b32encode(arena.entropy(20)).decode()}" for _ in range(2))
    one, _ = arena.probes()
    replies = list(_kept(arena, one, first, second))
    had = stock(arena, one)
    for route in in_order(arena.api):
        replies.append(request(route, had.ids).send(arena.caller, one.admin))
    for text in (first, second):
        for reply in replies:
            if text.encode() in reply.body or any(text in value for _, value in reply.headers):
                return broken("An answer told a credential.", answers=len(replies))
    found = search_everywhere(arena, {"a credential": Canary(first.encode()), "its successor": Canary(second.encode())})
    return Finding(found.outcome, {**found.coverage, "answers": len(replies)}, _detail(found))


def _detail(found: Finding) -> str:
    also = " No answer of any route told it, mistakes included." if found.outcome is Outcome.HELD else ""
    return f"{found.detail}{also}"


def _kept(arena: Arena, probe: Probe, first: str, second: str) -> list[Reply]:
    """Keep a credential, replace its value, name it in a rule; and send the value where it does not belong."""
    caller, token = arena.caller, probe.admin
    name = "canary" + arena.entropy(4).hex()
    asked = {"name": name, "value": first, "hosts": [HOST]}
    made = caller.call("POST", "/v1/credentials", token, asked).expect(201)
    path = f"/v1/credentials/{made.json()['id']}"
    code = {"name": name, "language": "python", "code": "def transform(payload, context): ..."}
    transform = caller.call("POST", "/v1/transforms", token, code).expect(201).json()["id"]
    rules = [{"host": HOST, "headers": {"Authorization": f"Bearer {{{{credential:{name}}}}}"}}]
    return [
        made,
        caller.call("PUT", path, token, {"value": second}).expect(200),
        caller.call("PUT", f"/v1/transforms/{transform}/egress", token, {"rules": rules}).expect(200),
        caller.call("GET", path, token).expect(200),
        caller.call("POST", "/v1/credentials", token, asked).expect(409),
        caller.call("POST", "/v1/credentials", token, {**asked, "name": "OTHER"}).expect(400, 422),
        caller.call("POST", "/v1/credentials", token, {**asked, "name": "other", "value": [first]}).expect(400, 422),
        caller.call("POST", "/v1/credentials", token, {**asked, "name": "other", "value": f"{first}\r\n"}).expect(
            400, 422
        ),
        caller.call("PUT", path, token, {"hosts": [HOST], "valu": first}).expect(400, 422),
        caller.call("GET", "/v1/audit?limit=50", token).expect(200),
    ]


def deleted_credential(arena: Arena) -> Finding:
    """Copy the row of a credential, delete it, and try to open the copy with everything that is left."""
    one, _ = arena.probes()
    faults: list[str] = []
    tried = 0
    values = 0
    for end in ("deleted", "replaced"):
        asked = {"name": "gone" + arena.entropy(4).hex(), "value": arena.entropy(12).hex(), "hosts": [HOST]}
        made = arena.caller.call("POST", "/v1/credentials", one.admin, asked).expect(201).json()["id"]
        copy, key_id = _copy(arena, one, CredentialId.parse(made))
        must_open(arena, one, key_id, [copy])
        if end == "replaced":
            arena.caller.call("PUT", f"/v1/credentials/{made}", one.admin, {"value": asked["value"][::-1]}).expect(200)
            tried += openings(arena, one, key_id, [copy], faults)
        arena.caller.call("DELETE", f"/v1/credentials/{made}", one.admin).expect(200)
        tried += openings(arena, one, key_id, [copy], faults)
        values += 1
        if arena.caller.call("GET", f"/v1/credentials/{made}", one.admin).status != 404:
            faults.append("A deleted credential is still told of.")
    return judged(
        faults,
        "Copies of credentials' rows, made before, opened with none of the keys that were left after their deletion "
        "or replacement.",
        values=values,
        openings=tried,
    )


def _copy(arena: Arena, probe: Probe, credential: CredentialId) -> tuple[Copy, CryptoKeyId]:
    with arena.database.tenant(probe.tenant, probe.environment) as tx:
        row = tx.one(
            _Value, "SELECT value_sealed FROM heldtrue.credentials WHERE credential_id = %s", (credential.value,)
        )
        if row is None or row.value_sealed is None:
            raise AttackHinderedError("the credential's row is not where it is expected")
        keys = arena.keyring(tx, probe.tenant, probe.environment)
        context = keys.context_for("credentials", "value", str(credential.value), OBJECT)
    return Copy("A credential", context, row.value_sealed), key_id_of(row.value_sealed)


ATTACKS = (
    Attack(
        name="egress.told_credential",
        place=Place.SCRATCH,
        tries=(
            "On an instance made for this: keep a credential, replace it, name it in a rule, and make errors with it.",
            "Ask every route of the API: no answer may hold it.",
            "Search rows, write-ahead log, files, dumps and logs for it, in every form: it must be nowhere.",
        ),
        run=told_credential,
        breaks="sealing-off",
        needs=("heldtrue.attack.canary", "heldtrue.attack.stock"),
        limit=timedelta(seconds=180),
    ),
    Attack(
        name="egress.deleted_credential",
        place=Place.SYNTHETIC,
        tries=(
            "Keep credentials, copy their sealed rows as a backup would, and make sure that the copies open.",
            "Delete one and replace another.",
            "Try every key that the organisation has left on the copies: nothing may open.",
        ),
        run=deleted_credential,
        breaks="erasure-keeps-the-key",
        needs=("heldtrue.attack.leftovers",),
    ),
)
