"""Attacks on what was taken in: found in clear, or opened after it was erased."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena, Probe
from heldtrue.attack.canary import Canary, search_everywhere
from heldtrue.attack.leftovers import Copy, must_open, openings
from heldtrue.attack.sound import RECEIVER
from heldtrue.attack.stock import retire, stock
from heldtrue.kernel.ids import CryptoKeyId, PayloadId

LARGE = 700_000
"""Bytes of a body that goes to the object store."""
OBJECT = "object"


def canary_at_rest(arena: Arena) -> Finding:
    """Send a text through everything that takes free text, then look for it everywhere."""
    text = "Canary" + base64.b32encode(arena.entropy(20)).decode()
    one, _ = arena.probes()
    caller, token = arena.caller, one.admin
    endpoint = caller.call("POST", "/v1/endpoints", token, {"url": f"{RECEIVER}/{text}", "description": text})
    caller.call("POST", "/v1/keys", token, {"name": text, "role": "reader"}).expect(201)
    sent = [
        caller.call("POST", "/v1/payloads", token, {"note": text, "padding": "x" * 5000}),
        caller.call(
            "POST", "/v1/payloads", token, f"{text}\n".encode() * (LARGE // len(text)), {"content-type": "text/plain"}
        ),
        caller.call("POST", "/v1/payloads", token, *_parts(text)),
    ]
    endpoint_id = endpoint.expect(201).json()["id"]
    for reply in sent:
        payload = reply.expect(202).json()["id"]
        path = f"/v1/deliveries?payload_id={payload}&endpoint_id={endpoint_id}"
        arena.until("the attempt", lambda path=path: _attempted(arena, one, path))
        caller.call("GET", f"/v1/payloads/{payload}/content", token).expect(200)
    caller.call("GET", "/v1/endpoints", token).expect(200)
    return search_everywhere(arena, {"what was sent": Canary(text.encode())})


def _attempted(arena: Arena, probe: Probe, path: str) -> bool | None:
    found = arena.caller.call("GET", path, probe.admin).expect(200).json()["data"]
    return True if found and found[0]["attempts"] else None


def _parts(text: str) -> tuple[bytes, dict[str, str]]:
    body = (
        f'--b\r\ncontent-disposition: form-data; name="payload"\r\ncontent-type: text/plain\r\n\r\n{text}\r\n'
        f'--b\r\ncontent-disposition: form-data; name="attachment"; filename="{text}.txt"\r\n'
        f"content-type: text/plain\r\n\r\n{text}\r\n--b--\r\n"
    )
    return body.encode(), {"content-type": "multipart/form-data; boundary=b"}


@dataclass(frozen=True, slots=True)
class _Body:
    object_key_id: UUID
    body_sealed: bytes | None
    meta_sealed: bytes | None


def erased_payload(arena: Arena) -> Finding:
    """Copy the rows of a payload, erase it, and try to open the copy with everything that is left."""
    one, _ = arena.probes()
    had = stock(arena, one)
    payload = PayloadId.parse(had.ids["payload_id"]).value
    copies, key_id = _copy(arena, one, payload)
    must_open(arena, one, key_id, copies)
    arena.caller.call("DELETE", f"/v1/payloads/{had.ids['payload_id']}", one.admin).expect(200)
    faults: list[str] = []
    content = arena.caller.call("GET", f"/v1/payloads/{had.ids['payload_id']}/content", one.admin)
    if content.status < 400:
        faults.append(f"The content of the erased payload was answered with {content.status}.")
    tried = openings(arena, one, key_id, copies, faults)
    retire(arena, one, had)
    return judged(
        faults,
        "Copies of all sealed values, made before, opened with none of the keys that were left.",
        values=len(copies),
        openings=tried + len(copies),
    )


def _copy(arena: Arena, probe: Probe, payload: UUID) -> tuple[list[Copy], CryptoKeyId]:
    with arena.database.tenant(probe.tenant, probe.environment) as tx:
        row = tx.one(
            _Body,
            "SELECT object_key_id, body_sealed, meta_sealed FROM heldtrue.payloads WHERE payload_id = %s",
            (payload,),
        )
        part = tx.one(
            _Body,
            "SELECT p.object_key_id, a.body_sealed, a.meta_sealed FROM heldtrue.attachments a"
            " JOIN heldtrue.payloads p USING (tenant_id, payload_id) WHERE a.payload_id = %s AND a.ordinal = 1",
            (payload,),
        )
        keys = arena.keyring(tx, probe.tenant, probe.environment)
        if (
            row is None
            or row.body_sealed is None
            or row.meta_sealed is None
            or part is None
            or part.body_sealed is None
        ):
            raise AttackHinderedError("the payload's rows are not where they are expected")
        name, attached = str(payload), f"{payload}/1"
        return [
            Copy("The body", keys.context_for("payloads", "body", name, OBJECT), row.body_sealed),
            Copy("What is known of it", keys.context_for("payloads", "meta", name, OBJECT), row.meta_sealed),
            Copy("The attachment", keys.context_for("attachments", "body", attached, OBJECT), part.body_sealed),
        ], CryptoKeyId(row.object_key_id)


ATTACKS = (
    Attack(
        name="intake.canary_at_rest",
        place=Place.SCRATCH,
        tries=(
            "On an instance made for this: send a text as payload, attachment, file name, endpoint, and key's name.",
            "Plant another text in clear in rows, write-ahead log, files, dumps and logs; find it in each.",
            "Search the same places for what was sent, as it is, in base64, in hex and in UTF-16: it must be nowhere.",
        ),
        run=canary_at_rest,
        breaks="sealing-off",
        needs=("heldtrue.attack.canary",),
        limit=timedelta(seconds=180),
    ),
    Attack(
        name="intake.erased_payload",
        place=Place.SYNTHETIC,
        tries=(
            "Send a payload with an attachment, and copy its sealed rows as a backup would.",
            "Make sure that the copies open, then erase the payload.",
            "Ask for its content, and try every key that the organisation has left on the copies: nothing may open.",
        ),
        run=erased_payload,
        breaks="erasure-keeps-the-key",
        needs=("heldtrue.attack.stock", "heldtrue.attack.leftovers"),
    ),
)
