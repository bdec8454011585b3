"""One thing of every kind in an organisation, and a sound request for every route: what routes are attacked with.

A route that is not in `SOUND` hinders the attack, so a new route cannot pass by unattacked.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.arena import Arena, Probe
from heldtrue.attack.caller import Caller, Reply
from heldtrue.http.route import Route

RECEIVER = "https://receiver.invalid/hook"
"""An endpoint that no delivery reaches: the name is reserved never to exist (RFC 2606)."""
PAYLOAD = b'{"probe":true,"amount":1200}'
BOUNDARY = "probe-boundary"
CODE = "def transform(payload, context):\n    raise ValueError('probe')\n"
FLOW_TYPE = "application/vnd.heldtrue.probe"
"""What the stock's flow takes, so that it takes nothing else."""
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True, slots=True)
class Request:
    """A sound request of a route."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, caller: Caller, token: Any) -> Reply:
        """Send it."""
        return caller.call(self.method, self.path, token, self.body, self.headers)


_SIGNED = {
    "document": "dpa", "counterparty": "probe", "signed_on": "2020-01-01", "file_name": "probe.pdf",
    "content": base64.b64encode(b"%PDF-1.4 probe").decode(),
}  # fmt: skip
_ASKED = base64.b64encode(b"No,Question,Answer\n1,Is data encrypted in transit with TLS?,\n").decode()
_NOBODYS = frozenset({
    "ordinal", "number", "upstream_key_id", "mail_id", "register", "item", "objection_id", "agreement_id",
    "questionnaire_id", "report_id", "finding_id", "pipeline_key_id", "document", "ask_id", "grant_id",
    "download_id",
})  # fmt: skip


@dataclass(slots=True)
class Stock:
    """Ids of what an organisation has, by the name of the path parameter that takes them."""

    ids: dict[str, str]
    marks: tuple[str, ...]
    """Texts that only this organisation's answers may hold."""


def stock(arena: Arena, probe: Probe) -> Stock:
    """Give *probe* one thing of every kind and return their ids."""
    caller, token = arena.caller, probe.admin
    mark = "mark" + arena.entropy(8).hex()
    key = caller.call("POST", "/v1/keys", token, {"name": mark, "role": "reader"}).expect(201).json()
    endpoint = caller.call("POST", "/v1/endpoints", token, {"url": RECEIVER, "description": mark}).expect(201).json()
    payload = caller.call("POST", "/v1/payloads", token, *_multipart(mark)).expect(202).json()
    delivery = arena.until("the delivery", lambda: _delivery(caller, probe, payload["id"], endpoint["id"]))
    asked = {"dry_run": False, "endpoint_id": endpoint["id"], "state": "held"}
    replay = caller.call("POST", "/v1/deliveries/replays", token, asked).expect(202).json()
    address = caller.call("POST", "/v1/addresses", token, {"description": mark}).expect(201).json()
    secret = {"name": mark, "value": mark, "hosts": ["api.invalid"]}
    credential = caller.call("POST", "/v1/credentials", token, secret).expect(201).json()
    leaf = caller.call("GET", "/v1/audit?limit=1", token).expect(200).json()["data"][0]["leaf_id"]
    ids = {
        "key_id": key["id"],
        "endpoint_id": endpoint["id"],
        "payload_id": payload["id"],
        "ordinal": "1",
        "delivery_id": delivery["id"],
        "receipt_id": delivery["receipt_id"],
        "replay_id": replay["id"],
        "leaf_id": leaf,
        **_flow(arena, probe, mark),
        "organisation_id": str(probe.tenant),
        "upstream_key_id": f"ck_{bytes(16).hex()}",  # the instance's, of no organisation
        "address_id": address["id"],
        "mail_id": f"mail_{bytes(16).hex()}",  # the operator's
        "register": "contacts",  # the operator's, of no organisation
        "item": "probe",
        "objection_id": NO_OBJECTION,
        "agreement_id": f"agr_{bytes(16).hex()}",  # the operator's
        "questionnaire_id": f"qst_{bytes(16).hex()}",  # the operator's
        "report_id": f"rep_{bytes(16).hex()}",  # the operator's
        "finding_id": f"fin_{bytes(16).hex()}",  # the operator's
        "pipeline_key_id": bytes(32).hex(),  # the operator's
        "document": "probe",
        "ask_id": f"ask_{bytes(16).hex()}",
        "grant_id": f"grt_{bytes(16).hex()}",
        "download_id": f"dld_{bytes(16).hex()}",
        "credential_id": credential["id"],
    }
    marks = (mark, *(value for name, value in ids.items() if name not in _NOBODYS), str(probe.tenant.value))
    return Stock(ids, marks)


def registered(arena: Arena, probe: Probe) -> dict[str, str]:
    """Fill the operator's registers of a scratch instance; return what paths may name of them."""
    arena.needs_sinks()
    terms = {"purpose": "x", "location": ["DE"], "transfer_basis": "no-transfer", "data": ["x"], "optional": True}
    vendor = {"name": "probe", "address": "x", "contact": "probe@example.invalid", "state": "active", "terms": terms}
    listed = {"register": "sub-processors", "item": "probe", "document": vendor}
    operator = arena.operator()
    entries = [listed, _CONTACT]
    if arena.caller.call("POST", "/v1/registers", operator, {"entries": entries}).status == 422:  # it was opened before
        arena.caller.call("POST", "/v1/registers", operator, {"entries": [_CONTACT]}).expect(200)
    policy = {"policy": "probe", "owner": "probe", "title": "probe", "text": "x"}
    arena.caller.call("POST", "/v1/policies/adopt", operator, policy).expect(200)
    asked = {"sub_processor": "probe", "reason": "probe"}
    objection = arena.caller.call("POST", "/v1/objections", probe.admin, asked).expect(201, 404).json()
    signed = arena.caller.call("POST", "/v1/agreements", operator, _SIGNED).expect(201).json()
    table = {"name": "probe.csv", "content": _ASKED}
    questionnaire = arena.caller.call("POST", "/v1/questionnaires", operator, table).expect(201).json()
    return {
        "register": "contacts", "item": "probe", "objection_id": objection.get("id", NO_OBJECTION),
        "agreement_id": signed["id"], "questionnaire_id": questionnaire["id"],
    }  # fmt: skip


def operators(arena: Arena) -> dict[str, str]:
    """Give the operator of a scratch instance one thing of every kind and return their ids."""
    call, token = arena.caller.call, arena.operator()
    mail = call("POST", "/v1/post/test", token, {"to": "probe@example.invalid"}).expect(202).json()["id"]
    call("PUT", "/v1/documents/probe/file", token, b"probe", {"content-type": "text/plain"}).expect(200)
    listed = {"title": "Probe", "level": "on-request", "cover_note": True}
    call("PUT", "/v1/documents/probe", token, listed).expect(200)
    wants = {"kind": "document", "document": "probe", "mail": "probe@example.invalid", "name": "Probe"}
    first, second = (call("POST", "/v1/requests", token, wants).expect(201).json()["id"] for _ in range(2))
    given = call("POST", f"/v1/requests/{first}/grant", token, {}).expect(200).json()
    call("GET", f"{urlsplit(given['link']).path}/file").expect(200)
    [copy] = call("GET", f"/v1/grants/{given['id']}", token).expect(200).json()["downloads"]
    return {"mail_id": mail, "document": "probe", "ask_id": second, "grant_id": given["id"], "download_id": copy["id"]}


def _flow(arena: Arena, probe: Probe, mark: str) -> dict[str, str]:
    """Make a transform, a flow of it, and a run that is cancelled."""
    caller, token = arena.caller, probe.admin
    asked = {"name": mark, "language": "python", "code": CODE}
    transform = caller.call("POST", "/v1/transforms", token, asked).expect(201).json()["id"]
    flow = {"name": mark, "steps": [{"transform_id": transform}], "filters": {"content_type": FLOW_TYPE}}
    flow_id = caller.call("POST", "/v1/flows", token, flow).expect(201).json()["id"]
    caller.call("POST", "/v1/payloads", token, mark.encode(), {"content-type": FLOW_TYPE}).expect(202)
    path = f"/v1/runs?flow_id={flow_id}"
    [run] = arena.until("the run", lambda: caller.call("GET", path, token).expect(200).json()["data"] or None)
    caller.call("POST", f"/v1/runs/{run['id']}/cancel", token).expect(200)
    return {"transform_id": transform, "flow_id": flow_id, "run_id": run["id"], "number": "1"}


def retire(arena: Arena, probe: Probe, had: Stock) -> None:
    """Take back what would go on working: flow, endpoint, key, mail address and credential; erase the payload."""
    kinds = {
        "flows": "flow_id",
        "endpoints": "endpoint_id",
        "keys": "key_id",
        "addresses": "address_id",
        "credentials": "credential_id",
        "payloads": "payload_id",
    }
    for path in (f"/v1/{kind}/{had.ids[name]}" for kind, name in kinds.items()):
        arena.caller.call("DELETE", path, probe.admin).expect(200, 404, 409)


def _multipart(mark: str) -> tuple[bytes, dict[str, str]]:
    part = f"--{BOUNDARY}\r\ncontent-disposition: form-data; name="
    body = (
        f'{part}"payload"\r\ncontent-type: application/json\r\n\r\n{{"probe":"{mark}","amount":1200}}\r\n'
        f'{part}"attachment"; filename="probe.txt"\r\ncontent-type: text/plain\r\n\r\n{mark}\r\n--{BOUNDARY}--\r\n'
    )
    return body.encode(), {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def _delivery(caller: Caller, probe: Probe, payload: str, endpoint: str) -> dict[str, str] | None:
    path = f"/v1/deliveries?payload_id={payload}&endpoint_id={endpoint}"
    found = caller.call("GET", path, probe.admin).expect(200).json()["data"]
    return found[0] if found else None


def _json(value: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    return json.dumps(value).encode(), {"content-type": "application/json"}


ATTESTED = "company.vendors_current"
"""A claim that only a document can stand behind."""
YEAR = datetime.now(UTC).year
_MULTIKEY = "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"  # of RFC 8032, section 7.1, test 1
NO_OBJECTION = f"obj_{bytes(16).hex()}"
_PAPER = {
    "claim": ATTESTED, "title": "Probe", "owner": "nobody", "sha256": "0" * 64,
    "dated": f"{YEAR - 1}-01-01", "expires": f"{YEAR + 1}-12-31",
}  # fmt: skip
_PROBED = {
    "target_sha256": "0" * 64, "report_sha256": "0" * 64, "source_sha256": "0" * 64, "tool_version": "0",
    "started_at": "2026-01-01T00:00:00.000Z", "finished_at": "2026-01-01T00:00:01.000Z", "ended": "interrupted",
    "coverage": dict.fromkeys(("routes", "judged", "not_judged", "checks_made", "checks_not_made", "requests"), 0),
}  # fmt: skip
_CONTACT: dict[str, Any] = {
    "register": "contacts", "item": "probe",
    "document": {"about": "probe", "role": "probe", "mail": "probe@example.invalid"},
}  # fmt: skip
"""A claim that only a document can stand behind."""
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
_JUST_ASK: tuple[bytes | None, dict[str, str]] = (None, {})
SOUND: dict[str, tuple[bytes | None, dict[str, str]]] = {
    "GET /v1/self": _JUST_ASK,
    "GET /v1/keys": _JUST_ASK,
    "POST /v1/keys": _json({"name": "probe", "role": "reader"}),
    "GET /v1/keys/{key_id}": _JUST_ASK,
    "DELETE /v1/keys/{key_id}": _JUST_ASK,
    "POST /v1/keys/{key_id}/roll": _json({"overlap_seconds": 0}),
    "POST /v1/sessions": _json({"subject": "probe"}),
    "DELETE /v1/sessions": _JUST_ASK,
    "POST /v1/organisations": _json({"name": "probe"}),
    "GET /v1/organisations": _JUST_ASK,
    "POST /v1/organisations/{organisation_id}/environments": _json({"environment": "attack"}),
    "POST /v1/organisations/{organisation_id}/keys": _json({"name": "probe", "environment": "probe", "role": "reader"}),
    "POST /v1/payloads": (PAYLOAD, {"content-type": "application/json"}),
    "GET /v1/payloads": _JUST_ASK,
    "GET /v1/payloads/{payload_id}": _JUST_ASK,
    "GET /v1/payloads/{payload_id}/content": _JUST_ASK,
    "GET /v1/payloads/{payload_id}/attachments/{ordinal}": _JUST_ASK,
    "DELETE /v1/payloads/{payload_id}": _JUST_ASK,
    "GET /v1/payloads/{payload_id}/outputs": _JUST_ASK,
    "POST /v1/transforms": _json({"name": "probe", "language": "python", "code": CODE}),
    "GET /v1/transforms": _JUST_ASK,
    "GET /v1/transforms/{transform_id}": _JUST_ASK,
    "DELETE /v1/transforms/{transform_id}": _JUST_ASK,
    "POST /v1/transforms/{transform_id}/versions": _json({"language": "python", "code": CODE}),
    "GET /v1/transforms/{transform_id}/versions": _JUST_ASK,
    "GET /v1/transforms/{transform_id}/versions/{number}": _JUST_ASK,
    "POST /v1/transforms/{transform_id}/rollback": _json({"number": 1}),
    "GET /v1/transforms/{transform_id}/egress": _JUST_ASK,
    "PUT /v1/transforms/{transform_id}/egress": _json({"rules": [{"host": "api.invalid"}]}),
    "POST /v1/transforms/{transform_id}/test": (PAYLOAD, {"content-type": "application/json"}),
    "POST /v1/credentials": _json({"name": "attack", "value": "attack-value", "hosts": ["api.invalid"]}),
    "GET /v1/credentials": _JUST_ASK,
    "GET /v1/credentials/{credential_id}": _JUST_ASK,
    "PUT /v1/credentials/{credential_id}": _json({"description": "probe"}),
    "DELETE /v1/credentials/{credential_id}": _JUST_ASK,
    "POST /v1/flows": _json({"name": "probe", "enabled": False}),
    "GET /v1/flows": _JUST_ASK,
    "GET /v1/flows/{flow_id}": _JUST_ASK,
    "PATCH /v1/flows/{flow_id}": _json({"name": "probe"}),
    "POST /v1/flows/{flow_id}/enable": _JUST_ASK,
    "POST /v1/flows/{flow_id}/disable": _JUST_ASK,
    "DELETE /v1/flows/{flow_id}": _JUST_ASK,
    "GET /v1/runs": _JUST_ASK,
    "GET /v1/runs/{run_id}": _JUST_ASK,
    "POST /v1/runs/{run_id}/retry": _JUST_ASK,
    "POST /v1/runs/{run_id}/cancel": _JUST_ASK,
    "GET /v1/receipts": _JUST_ASK,
    "GET /v1/receipts/{receipt_id}": _JUST_ASK,
    "GET /v1/receipts/{receipt_id}/bundle": _JUST_ASK,
    "POST /v1/endpoints": _json({"url": RECEIVER}),
    "GET /v1/endpoints": _JUST_ASK,
    "GET /v1/endpoints/{endpoint_id}": _JUST_ASK,
    "PATCH /v1/endpoints/{endpoint_id}": _json({"description": "probe"}),
    "POST /v1/endpoints/{endpoint_id}/roll": _json({"overlap_seconds": 0}),
    "POST /v1/endpoints/{endpoint_id}/disable": _JUST_ASK,
    "POST /v1/endpoints/{endpoint_id}/enable": _JUST_ASK,
    "DELETE /v1/endpoints/{endpoint_id}": _JUST_ASK,
    "POST /v1/addresses": _json({}),
    "GET /v1/addresses": _JUST_ASK,
    "DELETE /v1/addresses/{address_id}": _JUST_ASK,
    "GET /v1/deliveries": _JUST_ASK,
    "GET /v1/deliveries/{delivery_id}": _JUST_ASK,
    "POST /v1/deliveries/{delivery_id}/replay": _JUST_ASK,
    "POST /v1/deliveries/replays": _json({"dry_run": True}),
    "GET /v1/deliveries/replays": _JUST_ASK,
    "GET /v1/deliveries/replays/{replay_id}": _JUST_ASK,
    "POST /v1/endpoints/{endpoint_id}/test": _JUST_ASK,
    "GET /v1/deliveries/ledger": _JUST_ASK,
    "GET /v1/deliveries/ledger/plans": _JUST_ASK,
    "GET /v1/endpoints/{endpoint_id}/statistics": _JUST_ASK,
    "POST /v1/upstream-keys": _json({"upstream": "probe", "overlap_seconds": 0}),
    "GET /v1/upstream-keys": _JUST_ASK,
    "DELETE /v1/upstream-keys/{upstream_key_id}": _JUST_ASK,
    "POST /v1/probes": _json(_PROBED),
    "GET /v1/probes": _JUST_ASK,
    "POST /v1/gap-analysis": _json({"level": "on-request"}),
    "GET /v1/documents": _JUST_ASK,
    "PUT /v1/documents/{document}/file": (b"probe", {"content-type": "text/plain"}),
    "PUT /v1/documents/{document}": _json({"title": "Probe", "level": "public"}),
    "DELETE /v1/documents/{document}": _JUST_ASK,
    "GET /v1/requests": _JUST_ASK,
    "POST /v1/requests": _json({"kind": "legal", "mail": "probe@example.invalid", "name": "Probe", "text": "Probe."}),
    "GET /v1/requests/{ask_id}": _JUST_ASK,
    "POST /v1/requests/{ask_id}/grant": _json({}),
    "POST /v1/requests/{ask_id}/decline": _json({"reason": "Probe."}),
    "POST /v1/requests/{ask_id}/answer": _json({"text": "Probe."}),
    "GET /v1/grants": _JUST_ASK,
    "GET /v1/grants/{grant_id}": _JUST_ASK,
    "POST /v1/grants/{grant_id}/revoke": _json({}),
    "GET /v1/downloads/{download_id}": _JUST_ASK,
    "GET /v1/post": _JUST_ASK,
    "GET /v1/post/{mail_id}": _JUST_ASK,
    "POST /v1/post/{mail_id}/retry": _JUST_ASK,
    "POST /v1/post/test": _json({"to": "probe@example.invalid"}),
    "POST /v1/attestations": _json(_PAPER),
    "GET /v1/attestations": _JUST_ASK,
    "POST /v1/attestations/withdrawals": _json({"claim": ATTESTED}),
    "POST /v1/annotations": _json({"attack": "transport.old_tls", "text": "Probe."}),
    "GET /v1/annotations": _JUST_ASK,
    "GET /v1/registers": _JUST_ASK,
    "POST /v1/registers": _json({"entries": [_CONTACT], "dry_run": True}),
    "GET /v1/registers/{register}": _JUST_ASK,
    "GET /v1/registers/{register}/{item}": _JUST_ASK,
    "GET /v1/registers/{register}/{item}/history": _JUST_ASK,
    "PUT /v1/registers/{register}/{item}": _json({"document": _CONTACT["document"]}),
    "DELETE /v1/registers/{register}/{item}": _JUST_ASK,
    "POST /v1/policies/adopt": _json({"policy": "probe", "owner": "probe", "title": "probe", "text": "probe"}),
    "POST /v1/policies/review": _json({"policy": "probe"}),
    "GET /v1/vendors": _JUST_ASK,
    "PUT /v1/vendors": _json({"vendor": "probe", "permitted": False}),
    "GET /v1/objections": _JUST_ASK,
    "POST /v1/objections": _json({"sub_processor": "probe", "reason": "probe"}),
    "GET /v1/objections/received": _JUST_ASK,
    "POST /v1/objections/{objection_id}/response": _json({"response": "probe"}),
    "POST /v1/acceptances": _json({"item": "terms", "version": 1, "sha256": "0" * 64, "accepted_by": "probe"}),
    "GET /v1/acceptances": _JUST_ASK,
    "POST /v1/agreements": _json(_SIGNED),
    "GET /v1/agreements": _JUST_ASK,
    "GET /v1/agreements/{agreement_id}/file": _JUST_ASK,
    "POST /v1/agreements/drafts": _json({"document": "terms", "format": "json"}),
    "POST /v1/questionnaires": _json({"name": "probe.csv", "content": _ASKED}),
    "GET /v1/questionnaires": _JUST_ASK,
    "GET /v1/questionnaires/{questionnaire_id}": _JUST_ASK,
    "PUT /v1/questionnaires/{questionnaire_id}/answers/{number}": _json({"confirmed_by": "probe"}),
    "GET /v1/questionnaires/{questionnaire_id}/file": _JUST_ASK,
    "DELETE /v1/questionnaires/{questionnaire_id}": _JUST_ASK,
    "GET /v1/reports": _JUST_ASK,
    "GET /v1/reports/{report_id}": _JUST_ASK,
    "POST /v1/reports/{report_id}/acknowledge": _JUST_ASK,
    "POST /v1/reports/{report_id}/assessment": _json({"vector": VECTOR}),
    "POST /v1/reports/{report_id}/state": _json({"state": "confirmed"}),
    "POST /v1/reports/{report_id}/reward": _json({"cents": 500_000}),
    "POST /v1/reports/{report_id}/thanks": _JUST_ASK,
    "POST /v1/disclosure/key": _json({"days": 30}),
    "GET /v1/disclosure/key": _JUST_ASK,
    "POST /v1/evidence/keys": _json({"name": "probe", "public_key": _MULTIKEY}),
    "GET /v1/evidence/keys": _JUST_ASK,
    "DELETE /v1/evidence/keys/{pipeline_key_id}": _JUST_ASK,
    "POST /v1/evidence": _json({"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": []}),
    "GET /v1/evidence": _JUST_ASK,
    "GET /v1/gate": _JUST_ASK,
    "GET /v1/findings": _JUST_ASK,
    "GET /v1/findings/{finding_id}": _JUST_ASK,
    "POST /v1/findings/{finding_id}/resolve": _json({"reason": "Probe."}),
    "POST /v1/findings/{finding_id}/accept": _json({"reason": "Probe.", "owner": "nobody", "until": f"{YEAR}-12-31"}),
    "GET /v1/audit": _JUST_ASK,
    "GET /v1/audit/{leaf_id}/proof": _JUST_ASK,
}
"""Body and headers of a request that would be served if the caller might; keyed by route."""
DESTRUCTIVE_LAST = ("roll", "disable", "enable", "replay", "DELETE")
"""Routes whose `at` has one of these are tried after the others, in this order."""


def request(route: Route, ids: Mapping[str, str]) -> Request:
    """Return a sound request of *route* about the things that *ids* name."""
    known = SOUND.get(route.at)
    if known is None:
        raise AttackHinderedError(f"no sound request is known for {route.at}: add one beside the others")
    missing = [name for name in _PARAMETER.findall(route.path) if name not in ids]
    if missing:
        raise AttackHinderedError(f"nothing is known to put into {missing[0]} of {route.at}")
    path = _PARAMETER.sub(lambda match: ids[match[1]], route.path)
    body, headers = known
    return Request(route.method, path, body, headers)


def served(arena: Arena, asked: Request, token: Any) -> Reply:
    """Send *asked* and return the reply; ask again while it says that the log has not caught up (503)."""

    def look() -> Reply | None:
        reply = asked.send(arena.caller, token)
        return None if reply.status == 503 else reply

    return arena.until(f"an answer to {asked.method} {asked.path}", look)


def in_order(routes: tuple[Route, ...]) -> list[Route]:
    """Return *routes* with those that end things last."""

    def rank(route: Route) -> int:
        return next((n for n, word in enumerate(DESTRUCTIVE_LAST, start=1) if word in route.at), 0)

    return sorted(routes, key=rank)
