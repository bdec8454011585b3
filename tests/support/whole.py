"""The whole table as the product wires it, over a real database, with one organisation that has one of everything."""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch
from uuid import UUID

from asgi import Caller, Got
from house import GENEROUS, HandClock, House, actor_of, keeper_over

from heldtrue.app import runner, wiring
from heldtrue.app.boot import Ground, Home
from heldtrue.app.instance import DataDir, Identity
from heldtrue.app.services import Services, services
from heldtrue.app.settings import Destinations, Settings
from heldtrue.app.settings_mail import Mail
from heldtrue.attack.sound import SOUND
from heldtrue.capabilities.access.bootstrap import bootstrap_operator
from heldtrue.capabilities.agreements.legal import LEGAL, digest
from heldtrue.capabilities.agreements.starters import starter
from heldtrue.capabilities.deliveries.engine import Engine, Outgoing
from heldtrue.capabilities.deliveries.worker import WorkerServices
from heldtrue.capabilities.evidence import envelope
from heldtrue.capabilities.evidence.model import Kind
from heldtrue.capabilities.keystore.actions import ensure_signing_keys, sequencer
from heldtrue.capabilities.receipts import actions as receipts
from heldtrue.capabilities.receipts.model import Links
from heldtrue.capabilities.transforms.planning import planner
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.signing import SigningKey, multikey
from heldtrue.db.roles import RoleDsns
from heldtrue.http.app import build_app
from heldtrue.http.route import Realm, Route
from heldtrue.http.transaction import tenant_operation
from heldtrue.kernel.ids import CryptoKeyId, MailId, ReceiptId, RequestId
from heldtrue.kernel.secret import Secret
from heldtrue.sandbox.jobs import Job, RunResult

ORIGIN = "log.example.test"
CANARY = "canary-7f3a91d2"


@dataclass
class Whole:
    """The product's own table, served."""

    house: House
    parts: Services
    wired: list[Route]

    @property
    def table(self) -> list[Route]:
        """Every route, those of the API itself included."""
        return self.house.app.table

    def with_routes(self, *more: Route) -> Whole:
        """Return the same with more routes."""
        wired = [*self.wired, *more]
        app = build_app(wired, self.house.ports)
        house = replace(self.house, app=app, operator=Caller(app, self.house.operator.key))
        return Whole(house, self.parts, wired)

    def caller(self, caller: Caller) -> Caller:
        return self.house.caller(caller.key)


@dataclass
class Belongings:
    """An organisation with one of everything: what path parameters may name, and who may name it."""

    admin: Caller
    organisation: str
    names: dict[str, str] = field(default_factory=dict)
    """Path parameter to a value that exists."""
    marks: set[str] = field(default_factory=set)
    """Texts by which anything of this organisation is recognised."""


@contextmanager
def open_whole(dsns: RoleDsns, directory: Path, **sections: Any) -> Generator[Whole]:
    """Open the product's table over a fresh database; *sections*: of the settings."""
    clock = HandClock()
    data = DataDir(directory)
    for path in (data.log, data.objects, data.run):
        path.mkdir(parents=True, exist_ok=True)
    home = Home(
        settings=Settings(
            destinations=Destinations(allow=("127.0.0.0/8",)), mail=Mail(domain="in.example.test"), **sections
        ),
        data=data,
        shown=directory,
        identity=Identity(1, "0" * 32, ORIGIN, "2026-11-20T12:00:00Z"),
        platform=PlatformKey(CryptoKeyId.new(clock.now(), secrets.token_bytes), Secret(secrets.token_bytes(32))),
        key_file=directory / "key",
        account=None,
        clock=cast("Any", clock),
        lock=cast("Any", SimpleNamespace()),
        first=True,
        authorities=None,
    )
    with services(Ground(home, dsns)) as parts, patch.object(runner, "run_once", tried):
        with parts.database.system() as tx:
            ensure_signing_keys(tx, home.platform, ORIGIN, clock.now(), parts.entropy)
        keeper = keeper_over(parts.database, clock)
        ports = replace(wiring.ports(parts, keeper), limits=GENEROUS, workers=4)
        table = wiring.table(parts)
        app = build_app(table, ports)
        operator = bootstrap_operator(ports)
        assert operator is not None
        house = House(parts.database, ports, clock, app, Caller(app, operator.reveal()))
        yield Whole(house, parts, table)
        app.close()


async def tried(_home: Home, job: Job) -> RunResult:
    """Answer for the runner, which has tests of its own."""
    outputs = (json.dumps(len(job.payload.data)).encode(),)
    said: Any = {"wall_ms": 1, "cpu_ms": 1, "peak_bytes": 1, "sandbox": "sha256:" + "0" * 64, "level": "full"}
    return RunResult(outcome="ok", outputs=outputs, **said)


def furnish(whole: Whole, name: str, environment: str = "live") -> Belongings:
    """Create an organisation that has one of everything a path can name."""
    house = whole.house
    admin = house.organisation(f"{name} {CANARY}", environment)
    me = admin.get("/v1/self").json()
    key = _made(admin.post("/v1/keys", {"name": f"spare {CANARY}", "role": "sender"}))
    endpoint = _made(admin.post("/v1/endpoints", {"url": "https://127.0.0.1:9/in", "description": CANARY}))
    body = "".join(
        f'--b\r\ncontent-disposition: form-data; name="{part}"; filename="{part}.txt"\r\n\r\n{CANARY}\r\n'
        for part in ("payload", "a")
    )
    sent = admin.call(
        "POST",
        "/v1/payloads",
        body=f"{body}--b--\r\n".encode(),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    payload = _made(sent)
    engine_of(whole.parts).step_forward()
    home = whole.parts.ground.home
    sequencer(whole.parts.database, home.data.log, home.platform, house.clock).step()
    delivery = admin.get("/v1/deliveries").json()["data"][0]
    receipt = admin.get("/v1/receipts").json()["data"][0]
    upstream = _made(house.operator.post("/v1/upstream-keys", {"upstream": "furnished", "overlap_seconds": 0}))["id"]
    replay = _made(admin.post("/v1/deliveries/replays", {"dry_run": False, "state": "held"}))
    flow = _flow_of(whole, admin)
    address = _made(admin.post("/v1/addresses", {"label": "furnished", "description": CANARY}))
    kept = {"name": "furnished", "value": CANARY, "hosts": ["api.invalid"], "description": CANARY}
    credential = _made(admin.post("/v1/credentials", kept))
    leaf = admin.get("/v1/audit?limit=200").json()["data"][-1]
    operators = {"report_id": _report_of(whole), **_finding_of(whole)}
    names = {
        "organisation_id": me["organisation_id"],
        "key_id": key["id"],
        "payload_id": payload["id"],
        "endpoint_id": endpoint["id"],
        "delivery_id": delivery["id"],
        "receipt_id": receipt["id"],
        "replay_id": replay["id"],
        "leaf_id": leaf["leaf_id"],
        "address_id": address["id"],
        "objection_id": _registered(house, admin),
        "register": "contacts",
        "item": "furnished",
        "credential_id": credential["id"],
        "ordinal": "1",
        "upstream_key_id": upstream,
        **operators,
        "mail_id": failed_mail(whole),
        **_papers(house),
        **granted(whole),
        **flow,
    }
    nobodys = {"ordinal", "number", "upstream_key_id", "mail_id", "register", "item", *PAPERS, *operators}
    nobodys |= {"document", "ask_id", "grant_id", "download_id"}
    marks = {CANARY, *(value for parameter, value in names.items() if parameter not in nobodys), me["id"]}
    return Belongings(admin, me["organisation_id"], names, {*marks, *(mark.split("_")[-1] for mark in marks)})


def _papers(house: House) -> dict[str, str]:
    """Put terms into force, file a signed copy, and take in a questionnaire."""
    today = house.clock.at.date()
    terms = LEGAL.write(starter("terms", "furnished", today, today))
    put = json.dumps({"document": terms}).encode()
    assert house.operator.call(
        "PUT", "/v1/registers/legal/terms", body=put, headers={"content-type": "application/json"}
    ).status == 200  # fmt: skip
    return {
        name: _made(house.operator.post(path, json.loads(SOUND[f"POST {path}"][0] or b"")))["id"]
        for name, path in (("agreement_id", "/v1/agreements"), ("questionnaire_id", "/v1/questionnaires"))
    }


def accepting(day: date) -> dict[str, Any]:
    """Return the body that accepts the terms which `furnish` put into force on *day*."""
    sha256 = digest(starter("terms", "furnished", day, day))
    return {"item": "terms", "version": 1, "sha256": sha256, "accepted_by": "furnished"}


PAPERS = ("agreement_id", "questionnaire_id")


def granted(whole: Whole) -> dict[str, str]:
    """Make a document of the operator's, a request for it that was granted, and fetch a copy."""
    operator, json_type = whole.house.operator, {"content-type": "application/json"}
    sent = operator.call(
        "PUT", "/v1/documents/furnished/file", body=b"%PDF", headers={"content-type": "text/plain"}
    )  # fmt: skip
    assert sent.status == 200, sent.body
    asked = {"title": "Furnished", "level": "on-request", "cover_note": True}
    published = operator.call("PUT", "/v1/documents/furnished", body=json.dumps(asked).encode(), headers=json_type)
    assert published.status == 200, published.body
    wants = {"kind": "document", "document": "furnished", "mail": "f@example.com", "name": "F"}
    given = operator.post(f"/v1/requests/{_made(operator.post('/v1/requests', wants))['id']}/grant", {}).json()
    link = given["link"].removeprefix(whole.parts.urls.base)
    assert whole.house.caller().get(f"{link}/file").status == 200
    [copy] = operator.get(f"/v1/grants/{given['id']}").json()["downloads"]
    open_one = _made(operator.post("/v1/requests", wants))["id"]
    return {"document": "furnished", "ask_id": open_one, "grant_id": given["id"], "download_id": copy["id"]}


def failed_mail(whole: Whole) -> str:
    """Make a mail of the operator's that failed for good, and return its id."""
    mail = _made(whole.house.operator.post("/v1/post/test", {"to": "furnished@example.com"}))["id"]
    with whole.house.database.system() as tx:
        tx.execute(
            "UPDATE heldtrue.post_mails SET state = 'failed', due_at = NULL, settled_at = %s WHERE mail_id = %s",
            [whole.house.clock.at, MailId.parse(mail).value],
        )
    return mail


def _report_of(whole: Whole) -> str:
    """Send a report to the operator, and confirm it; it is not rewarded yet."""
    operator = whole.house.operator
    mine = {"title": f"furnished {secrets.token_hex(8)}", "text": "Furnished.", "name": "Furnished", "named": "yes"}
    asked = json.dumps({"document": {"mode": "rewards"}}).encode()
    headers = {"content-type": "application/json"}
    assert operator.call("PUT", "/v1/registers/rewards/policy", body=asked, headers=headers).status == 200
    assert operator.post("/v1/disclosure/key", {"days": 30}).status == 201
    stranger = whole.house.caller()
    stranger.client = f"198.51.100.{secrets.randbelow(250) + 1}"
    assert stranger.post("/trust/disclosure/report", mine).status == 200
    report = next(one["id"] for one in operator.get("/v1/reports").json()["data"] if one["title"] == mine["title"])
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    for verb, body in (("acknowledge", {}), ("assessment", {"vector": vector}), ("state", {"state": "confirmed"})):
        assert operator.post(f"/v1/reports/{report}/{verb}", body).status == 200
    return report


PIPELINE = SigningKey(CryptoKeyId(UUID(int=0)), Secret(b"\x11" * 32))
"""Signs what `BODIES` pushes."""


def _finding_of(whole: Whole) -> dict[str, str]:
    """Register a pipeline's key, and push a finding with it."""
    operator, now = whole.house.operator, whole.house.clock.now()
    known = operator.post("/v1/evidence/keys", {"name": "laws", "public_key": multikey(PIPELINE.public)})
    assert known.status in {201, 409}, known.body
    key = SigningKey.generate(secrets.token_bytes, now)
    made = _made(operator.post("/v1/evidence/keys", {"name": "furnished", "public_key": multikey(key.public)}))
    result = {"ruleId": secrets.token_hex(8), "message": {"text": "Furnished"}}
    run = {"tool": {"driver": {"name": f"furnished-{secrets.token_hex(4)}"}}, "results": [result]}
    body = envelope.sealed(Kind.SARIF, {"version": "2.1.0", "runs": [run]}, "furnished@1", {"gitCommit": "a" * 40}, key)
    pipeline = whole.house.caller(made["credential"])
    _made(pipeline.call("POST", "/v1/evidence", body=body, headers={"content-type": "application/json"}))
    finding = operator.get("/v1/findings?limit=1").json()["data"][0]["id"]
    return {"finding_id": finding, "pipeline_key_id": made["id"]}


def _flow_of(whole: Whole, admin: Caller) -> dict[str, str]:
    """Make a transform and a flow, and a run that nobody carries on; the flow takes nothing more."""
    transform = _made(admin.post("/v1/transforms", {"name": CANARY, "language": "python", "code": CANARY}))["id"]
    asked = {"name": CANARY, "steps": [{"transform_id": transform}], "filters": {"content_type": "text/x-flow"}}
    flow = _made(admin.post("/v1/flows", asked))["id"]
    _made(admin.call("POST", "/v1/payloads", body=CANARY.encode(), headers={"content-type": "text/x-flow"}))
    engine_of(whole.parts).step_forward()
    [run] = admin.get("/v1/runs").json()["data"]
    assert admin.post(f"/v1/flows/{flow}/disable").status == 200
    return {"transform_id": transform, "flow_id": flow, "run_id": run["id"], "number": "1"}


def _registered(house: House, admin: Caller) -> str:
    """Fill the operator's registers once, and object to something; return the objection's id."""
    listed = {
        "name": "Furnished", "address": "1 Street", "contact": "a@example.com", "state": "active",
        "terms": {"purpose": "x", "location": ["DE"], "transfer_basis": "no-transfer", "data": ["y"], "optional": True},
    }  # fmt: skip
    contact = {"about": "x", "role": "y", "mail": "a@example.com"}
    entries = [
        {"register": "sub-processors", "item": "furnished", "document": listed},
        {"register": "contacts", "item": "furnished", "document": contact},
    ]
    assert house.operator.post("/v1/registers", {"entries": entries}).status == 200
    policy = {"policy": "furnished", "owner": "x", "title": "y", "text": "z"}
    assert house.operator.post("/v1/policies/adopt", policy).status == 200
    return _made(admin.post("/v1/objections", {"sub_processor": "furnished", "reason": CANARY}))["id"]


def link_tokens(whole: Whole, belongings: Belongings) -> dict[str, str]:
    """Return, by path, the unguessable token that leads to what *belongings* has there."""
    actor = actor_of(whole.house.ports, belongings.admin)
    request = RequestId.new(whole.house.clock.now(), secrets.token_bytes)
    with tenant_operation(whole.house.ports, actor, request) as op:
        links = Links.of(op.keys.secret_for(receipts.LINK), ReceiptId.parse(belongings.names["receipt_id"]))
    return {"/v1/bundles/": links.bundle, "/v1/contents/": links.content}


def engine_of(parts: Services, ca_file: Path | None = None) -> Engine:
    home = parts.ground.home
    worker = WorkerServices(
        database=parts.database, platform=home.platform, cache=parts.cache, clock=home.clock, entropy=parts.entropy,
        objects=parts.objects, signers=parts.signers, origin=ORIGIN, urls=parts.urls, plan=planner(parts.objects),
    )  # fmt: skip
    return Engine(worker, Outgoing(allow=parts.allow, ca_file=ca_file))


def needs_key(route: Route) -> bool:
    return route.realm in {Realm.TENANT, Realm.OPERATOR}


def _made(got: Got) -> dict[str, Any]:
    assert got.status in {201, 202}, got.body
    return got.json()
