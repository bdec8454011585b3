"""One thing of every kind in an organisation: what routes are attacked with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.arena import Arena, Probe
from heldtrue.attack.caller import Caller, Reply
from heldtrue.attack.sound import ASKED, CODE, CONTACT, NO_OBJECTION, RECEIVER, SIGNED, SOUND
from heldtrue.http.route import Route

BOUNDARY = "probe-boundary"
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
    vendor = {"name": "probe", "address": "x", "contact": "probe@example.invalid", "state": "announced", "terms": terms}
    listed = {"register": "sub-processors", "item": "probe", "document": vendor}
    operator = arena.operator()
    arena.caller.call("POST", "/v1/registers", operator, {"entries": [listed, CONTACT]}).expect(200)
    policy = {"policy": "probe", "owner": "probe", "title": "probe", "text": "x"}
    arena.caller.call("POST", "/v1/policies/adopt", operator, policy).expect(200)
    asked = {"sub_processor": "probe", "reason": "probe"}
    objection = arena.caller.call("POST", "/v1/objections", probe.admin, asked).expect(201).json()
    signed = arena.caller.call("POST", "/v1/agreements", operator, SIGNED).expect(201).json()
    table = {"name": "probe.csv", "content": ASKED}
    questionnaire = arena.caller.call("POST", "/v1/questionnaires", operator, table).expect(201).json()
    return {
        "register": "contacts", "item": "probe", "objection_id": objection["id"],
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
