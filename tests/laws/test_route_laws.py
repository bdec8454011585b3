"""Promises about every route of the product, kept by attacking every one; each law is seen to bite on a bad route.

A law returns its offenders, one line each; an empty list means that it holds. When you add an operation: if its body
has members that are required, add an example to `BODIES`; if it takes no credential, think again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asgi import Caller, Got
from house import NOON, actor_of, documents
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.browser import scenes
from whole import CANARY, PIPELINE, Belongings, Whole, accepting, furnish, link_tokens, needs_key, open_whole

from heldtrue.attack.sound import SOUND
from heldtrue.capabilities.agreements.legal import NAMES
from heldtrue.capabilities.evidence import envelope
from heldtrue.capabilities.evidence.model import Kind
from heldtrue.crypto import tokens
from heldtrue.crypto.signing import SigningKey, multikey
from heldtrue.db.roles import at_database
from heldtrue.http.openapi import template
from heldtrue.http.route import CacheClass, Realm, Route
from heldtrue.kernel.secret import Secret
from heldtrue.op import AuditEvent, Operation
from heldtrue.policy.permissions import GRANTS, Permission, Role

OPEN = {
    "GET /": "leads to the trust page",
    "GET /.well-known/csaf/{path:path}": "advisories, for machines",
    "GET /.well-known/pgp-key.txt": "the OpenPGP key that reports are encrypted to",
    "GET /.well-known/security.txt": "where to report a vulnerability (RFC 9116)",
    "GET /.well-known/heldtrue.json": "the log's keys, for verifiers",
    "GET /.well-known/jwks.json": "public keys",
    "GET /.well-known/mta-sts.txt": "the policy for senders of mail",
    "GET /assets/{path:path}": "the look of the public pages",
    "GET /docs": "the reference",
    "GET /docs/reference.css": "its look",
    "GET /healthz": "whether the process runs",
    "GET /log/checkpoint": "the public log",
    "GET /log/tile/{path:path}": "the public log",
    "GET /log/witnesses": "who cosigns the public log",
    "GET /log/witnesses/{witness}": "the public log, as a witness cosigned it",
    "GET /log/{generation}/checkpoint": "the public log, earlier origins",
    "GET /log/{generation}/tile/{path:path}": "the public log, earlier origins",
    "GET /metrics": "measurements, for the networks that the operator named",
    "GET /openapi.json": "the reference, for machines",
    "GET /portal": "the customers' page: a frame without data, which asks the API with its reader's own session token",
    "GET /portal/{file}": "its look and its script",
    "GET /problems": "the problem types",
    "GET /problems/{code}": "a problem type",
    "GET /readyz": "whether requests can be served",
    "GET /trust": "the trust page",
    "GET /trust.json": "the trust page, for machines",
    "GET /trust/changes": "what changed between two dates",
    "GET /trust/changes.json": "what changed between two dates, for machines",
    "GET /trust/claims/{claim_id}": "a claim's history",
    "GET /trust/documents": "what there is to read",
    "GET /trust/documents.json": "what there is to read, for machines",
    "GET /trust/documents/agreement": "the agreement that readers accept",
    "GET /trust/documents/ask": "a form",
    "GET /trust/documents/files/{document}": "a document that is for everybody",
    "GET /trust/documents/grants/{token}": "what an unguessable link gives",
    "GET /trust/documents/grants/{token}/file": "a document by its unguessable link",
    "GET /trust/evidence/{attack}/{file}": "a piece of evidence, with its proof",
    "GET /trust/frameworks": "from criteria to claims",
    "GET /trust/frameworks.json": "from criteria to claims, for machines",
    "GET /trust/index": "from rows to claims",
    "GET /trust/questions": "common questions",
    "GET /trust/questions.json": "common questions, for machines",
    "GET /trust/verify": "a check in the reader's browser",
    "GET /trust/calendar.ics": "reviews and notices as a calendar",
    "GET /trust/certifications": "a page of the registers",
    "GET /trust/certifications.json": "a page of the registers, for machines",
    **{
        f"GET /trust/{register}{form}": "a page of the registers"
        for register in ("locations", "retention", "contacts", "threats")
        for form in ("", ".json")
    },
    "GET /trust/policies": "a page of the registers",
    "GET /trust/policies.json": "a page of the registers, for machines",
    "GET /trust/policies/{policy}": "a policy",
    "GET /trust/sub-processors": "a page of the registers",
    "GET /trust/sub-processors.atom": "notices as a feed",
    "GET /trust/sub-processors.feed.json": "notices as a feed",
    "GET /trust/sub-processors.json": "a page of the registers, for machines",
    "GET /trust/sub-processors.rss": "notices as a feed",
    "GET /trust/sub-processors/subscription/{token}": "a subscription by its unguessable link",
    "POST /trust/sub-processors/subscribe": "whoever wants to be told; a mail asks whether it was they",
    "POST /trust/sub-processors/subscription/{token}": "confirming and leaving, by an unguessable link",
    **{
        f"GET /trust/legal{rest}": "legal texts, for everybody"
        for rest in ("", ".json", "/{item}", *(f"/{item}.{form}" for item in NAMES for form in ("json", "pdf", "docx")))
    },
    **{
        f"GET /trust/questionnaire{form}": "our questionnaire, for everybody"
        for form in ("", ".json", ".xlsx", ".docx", ".pdf")
    },
    "GET /trust/oscal/assessment-results.json": "results, for machines of auditors",
    "GET /trust/oscal/component-definition.json": "claims, for machines of auditors",
    "GET /trust/promised.json": "what is only promised, and why",
    "GET /trust/disclosure": "how to report a vulnerability, and whether reports are answered",
    "GET /trust/disclosure.json": "the same, for machines",
    "GET /trust/disclosure/advisories.atom": "advisories, as a feed",
    "GET /trust/disclosure/advisories/{item}": "an advisory",
    "GET /trust/disclosure/report": "the form for a report",
    "GET /trust/disclosure/reports/{token}": "a report by its reporter's unguessable link",
    "POST /trust/disclosure/report": "whoever found something has no account here; bounded by source",
    "POST /trust/disclosure/reports/{token}": "more about a report, by its reporter's unguessable link",
    "GET /v1/bundles/{token}": "a receipt by its unguessable link",
    "GET /v1/contents/{token}": "a payload by its unguessable link",
    "GET /v1/contents/{token}/attachments/{ordinal}": "an attachment by its unguessable link",
    "POST /trust/documents/ask": "a form for everybody, bounded by source and by address",
    "POST /trust/documents/grants/{token}": "a form behind an unguessable link",
    "POST /v1/leaks": "reports of leaked keys, signed by a reporter that the operator named",
}
"""Every route that takes no credential, with its reason. It may only shrink, but for pages and links of a new part."""

BODIES: dict[str, Any] = {
    "POST /v1/organisations": {"name": "Another"},
    "POST /v1/organisations/{organisation_id}/environments": {"environment": "more"},
    "POST /v1/organisations/{organisation_id}/keys": {"name": "more"},
    "POST /v1/keys": {"name": "more", "role": "reader"},
    "POST /v1/sessions": {"subject": "more"},
    "POST /v1/payloads": {"invoice": "A-1"},
    "POST /v1/endpoints": {"url": "https://127.0.0.1:9/more"},
    "POST /v1/transforms": {"name": "more", "language": "builtin", "code": "message"},
    "POST /v1/transforms/{transform_id}/versions": {"language": "builtin", "code": "invoice"},
    "POST /v1/transforms/{transform_id}/rollback": {"number": 1},
    "POST /v1/flows": {"name": "more", "enabled": False},
    "POST /v1/addresses": {"label": "more"},
    "POST /v1/credentials": {"name": "more", "value": "more-than-8", "hosts": ["api.invalid"]},
    "PUT /v1/credentials/{credential_id}": {"description": "more"},
    "PUT /v1/transforms/{transform_id}/egress": {"rules": [{"host": "api.invalid"}]},
    "POST /v1/upstream-keys": {"upstream": "more", "overlap_seconds": 0},
    "PUT /v1/documents/{document}/file": "a file",
    "PUT /v1/documents/{document}": {"title": "Furnished", "level": "public"},
    "POST /v1/requests": {"kind": "legal", "mail": "p@example.com", "name": "P", "text": "?"},
    "POST /v1/requests/{ask_id}/answer": {"text": "Soon."},
    "POST /v1/requests/{ask_id}/decline": {"reason": "No."},
    "POST /v1/post/test": {"to": "probe@example.invalid"},
    "POST /v1/registers": json.loads(SOUND["POST /v1/registers"][0] or b""),
    "PUT /v1/registers/{register}/{item}": json.loads(SOUND["PUT /v1/registers/{register}/{item}"][0] or b""),
    "POST /v1/policies/adopt": {"policy": "more", "owner": "more", "title": "more", "text": "more"},
    "POST /v1/policies/review": {"policy": "furnished"},
    "PUT /v1/vendors": {"vendor": "furnished", "permitted": True},
    "POST /v1/objections": {"sub_processor": "furnished", "reason": "more"},
    "POST /v1/objections/{objection_id}/response": {"response": "more"},
    "POST /v1/probes": json.loads(SOUND["POST /v1/probes"][0] or b""),
    "POST /v1/acceptances": accepting(NOON.date()),
    "POST /v1/agreements": json.loads(SOUND["POST /v1/agreements"][0] or b""),
    "POST /v1/agreements/drafts": {"document": "terms", "format": "json"},
    "POST /v1/questionnaires": json.loads(SOUND["POST /v1/questionnaires"][0] or b""),
    "PUT /v1/questionnaires/{questionnaire_id}/answers/{number}": {"confirmed_by": "more"},
    "POST /trust/disclosure/report": {"title": "more", "text": "more"},
    "POST /trust/disclosure/reports/{token}": {"text": "more"},
    "POST /v1/reports/{report_id}/assessment": {"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
    "POST /v1/reports/{report_id}/reward": {"cents": 500_000},
    "POST /v1/reports/{report_id}/state": {"state": "fixed"},
    "POST /v1/disclosure/key": {"days": 30},
    "POST /v1/evidence/keys": {"name": "more", "public_key": multikey(SigningKey.generate(os.urandom, NOON).public)},
    "POST /v1/evidence": json.loads(
        envelope.sealed(
            Kind.TESTS, {"result": "PASSED", "configuration": [{}]}, "laws@1", {"gitCommit": "a" * 40}, PIPELINE
        )
    ),
    "POST /v1/findings/{finding_id}/resolve": {"reason": "more"},
    "POST /v1/findings/{finding_id}/accept": {"reason": "more", "owner": "more", "until": "2026-12-31"},
    **{
        at: json.loads(SOUND[at][0] or b"")
        for at in ("POST /v1/attestations", "POST /v1/attestations/withdrawals", "POST /v1/annotations")
    },
}
"""What a route is called with where an empty body will not do."""

# ---------------------------------------------------------------- the laws of the table


def open_without_reason(table: Iterable[Route]) -> list[str]:
    return [route.at for route in table if (not needs_key(route) or route.needs is None) and route.at not in OPEN]


def reasons_without_route(table: Iterable[Route]) -> list[str]:
    return sorted(OPEN.keys() - {route.at for route in table})


def unrecorded(table: Iterable[Route]) -> list[str]:
    return [route.at for route in table if route.audits is None and (route.mutates or route.realm is not Realm.PUBLIC)]


def ill_described(table: Iterable[Route]) -> list[str]:
    return [
        route.at
        for route in table
        if not route.summary.strip() or (route.cache is not CacheClass.PRIVATE and route.realm is not Realm.PUBLIC)
    ]


def kept_by_caches(table: Iterable[Route]) -> list[str]:
    """What is behind a reader's own link is kept by no cache, and so it is not compressed either."""
    return [route.at for route in table if "{token}" in route.path and route.cache is not CacheClass.PRIVATE]


def not_repeatable(table: Iterable[Route]) -> list[str]:
    """A POST that answers 201 or 202 makes something, and must be safe to send again."""
    return [route.at for route in table if route.method == "POST" and route.status in {201, 202} and not route.creates]


def loose_secrets(table: Iterable[Route]) -> list[str]:
    """A secret in an answer is typed as one, declared, and only there."""
    return [route.at for route in table if _has_secret(route.gives) is not route.bears_secret]


def _has_secret(kind: Any) -> bool:
    if kind is None:
        return False
    found = False

    def see(one: type) -> dict[str, Any]:
        nonlocal found
        found = found or one is Secret
        return {"type": "string"}

    msgspec.json.schema_components([kind], schema_hook=see)
    return found


def undescribed(table: Iterable[Route], document: Any) -> list[str]:
    return [route.at for route in table if route.method.lower() not in document["paths"].get(template(route), {})]


def unseen(table: Iterable[Route], looked_at: Iterable[str]) -> list[str]:
    """A public page that no scene of the browser's shows, so that nobody looks at it."""
    paths = {path.partition("?")[0] for path in looked_at}
    pages = {route.path for route in table if route.realm is Realm.PUBLIC and route.method == "GET"
             and route.produces == "text/html"} - {"/", "/portal"}  # fmt: skip
    return [
        page for page in sorted(pages)
        if not any(re.fullmatch(re.sub(r"{\w+}", "[^/]+", page), path) for path in paths)
    ]  # fmt: skip


STATIC: list[tuple[Callable[[Iterable[Route]], list[str]], Route]] = [
    (open_without_reason, Route(at="GET /v1/peek", action=print, summary="x", realm=Realm.PUBLIC)),
    (open_without_reason, Route(at="GET /v1/peek", action=print, summary="x", audits="x")),
    (unrecorded, Route(at="GET /v1/peek", action=print, summary="x", needs=Permission.SELF_READ)),
    (unrecorded, Route(at="POST /v1/peek", action=print, summary="x", realm=Realm.PUBLIC)),
    (ill_described, Route(at="GET /v1/peek", action=print, summary=" ")),
    (ill_described, Route(at="GET /v1/peek", action=print, summary="x", cache=CacheClass.PAGE)),
    (kept_by_caches, Route(at="GET /peek/{token}", action=print, summary="x", cache=CacheClass.PAGE)),
    (not_repeatable, Route(at="POST /v1/peek", action=print, summary="x", status=201)),
]


class Leaky(msgspec.Struct):
    """A secret in an answer."""

    secret: Secret[str]


# ---------------------------------------------------------------- the laws of what is served


def target_of(route: Route, names: dict[str, str], links: dict[str, str] | None = None) -> str:
    """Return the route's path with each parameter filled in."""
    for prefix, token in (links or {}).items():
        if route.path.startswith(prefix):
            names = {**names, "token": token}
    return re.sub(r"{(\w+)(:path)?}", lambda found: names.get(found[1], "none"), route.path)


def send(caller: Caller, route: Route, names: dict[str, str], links: dict[str, str] | None = None) -> Got:
    """Call *route* as well as it can be called."""
    target = target_of(route, names, links)
    if not route.mutates:
        return caller.get(target)
    body = BODIES.get(route.at)
    return caller.call(
        route.method,
        target,
        body=b"" if body is None else json.dumps(body).encode(),
        headers={} if body is None else {"content-type": "application/json"},
    )


def bad_credentials(whole: Whole, belongings: Belongings) -> dict[str, str | None]:
    """Return every kind of credential that must not open anything, by name."""
    house, admin = whole.house, belongings.admin
    good = admin.key or ""
    expires = house.clock.at.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    dying = admin.post("/v1/keys", {"name": "d", "role": "admin", "expires_at": expires.replace("2026", "2027")}).json()
    revoked = admin.post("/v1/keys", {"name": "r", "role": "admin"}).json()
    admin.delete(f"/v1/keys/{revoked['id']}")
    with whole.house.database.tenant(actor_of(house.ports, admin).tenant, "live") as tx:
        tx.execute(
            "UPDATE heldtrue.api_keys SET expires_at = %s WHERE last4 = %s AND state = 'active'",
            [house.clock.at, dying["last4"]],
        )
    swapped = "a" if good[20] != "a" else "b"
    stranger = tokens.mint("sk", "live", house.ports.entropy).reveal()
    other_environment = good.replace("_live_", "_test_")[:-6]
    return {
        "none": None,
        "malformed": "Bearer nonsense",
        "empty": "Bearer ",
        "wrong scheme": f"Basic {good}",
        "wrong checksum": f"Bearer {good[:20]}{swapped}{good[21:]}",
        "unknown": f"Bearer {stranger}",
        "other environment": f"Bearer {other_environment}{tokens.checksum(other_environment)}",
        "expired": f"Bearer {dying['secret']}",
        "revoked": f"Bearer {revoked['secret']}",
        "two": f"Bearer {good}, Bearer {good}",
        "link": f"Bearer {link_tokens(whole, belongings)['/v1/bundles/']}",
    }


def opened_without_credential(whole: Whole, belongings: Belongings, credentials: dict[str, str | None]) -> list[str]:
    """Every route but the open ones answers 401 to every bad credential, and says nothing of anybody."""
    offenders: list[str] = []
    for route in whole.table:
        if route.at in OPEN:
            continue
        for kind, credential in credentials.items():
            caller = whole.house.caller()
            if credential is not None:
                caller.headers = {"authorization": credential}
            got = send(caller, route, belongings.names)
            if got.status != 401 or seen(got, belongings, target_of(route, belongings.names)):
                offenders.append(f"{route.at}: {kind} -> {got.status}")
    return offenders


def seen(got: Got, belongings: Belongings, target: str = "") -> bool:
    """Return whether the answer has anything of the organisation in it that the caller did not send."""
    text = got.body.decode("latin-1") + repr(dict(got.headers))
    return any(mark in text for mark in belongings.marks if mark not in target)


def entries_left(whole: Whole, table: Iterable[Route], make: Callable[[], Belongings]) -> list[str]:
    """Each call leaves exactly one entry, of the declared event, in its caller's ledger; refused ones too."""
    offenders: list[str] = []
    belongings = make()
    links = link_tokens(whole, belongings)
    for route in sorted(table, key=lambda one: (one.method == "DELETE", one.at)):
        if not needs_key(route) and route.realm is not Realm.LINK:
            continue
        caller = belongings.admin if route.realm is not Realm.OPERATOR else whole.house.operator
        before = ledger(whole, caller)
        got = send(caller if route.realm is not Realm.LINK else whole.house.caller(), route, belongings.names, links)
        left = ledger(whole, caller)[len(before) :]
        expected = route.audits if got.status < 400 else "request.refused"
        if [one["event"] for one in left] != [expected]:
            offenders.append(f"{route.at}: {got.status} left {[one['event'] for one in left]}, not {expected}")
        if got.status >= 400:
            offenders.append(f"{route.at}: could not be called: {got.body.decode()[:200]}")
    return offenders


def ledger(whole: Whole, caller: Caller) -> list[dict[str, Any]]:
    return documents(whole.house.ports, actor_of(whole.house.ports, caller))


def reached_across(whole: Whole, mine: Belongings, foreign: Caller, kind: str) -> list[str]:
    """Every route replayed with another's key and this one's ids gives nothing of it and changes nothing of it."""
    offenders: list[str] = []
    ours = {mark for mark in mine.marks if mark != CANARY}
    here = Belongings(mine.admin, mine.organisation, mine.names, {*ours, f"mine {CANARY}"})
    before = snapshot(mine)
    count = len(ledger(whole, mine.admin))
    for route in sorted(whole.table, key=lambda one: (one.method == "DELETE", one.at)):
        if not needs_key(route):
            continue
        got = send(foreign, route, mine.names)
        if seen(got, here, target_of(route, mine.names)):
            offenders.append(f"{route.at}: {kind} saw something of another's")
        if "{" in route.path and got.status not in {403, 404}:
            offenders.append(f"{route.at}: {kind} -> {got.status}")
    grown = len(ledger(whole, mine.admin)) - count
    if snapshot(mine) != before:
        offenders.append(f"{kind}: something of another's was changed")
    if grown:
        offenders.append(f"{kind}: {grown} entries in another's ledger")
    return offenders


def snapshot(belongings: Belongings) -> list[bytes]:
    """Return what the organisation sees of its own, one answer each."""
    names = belongings.names
    kinds = {"payload": "payloads", "endpoint": "endpoints", "delivery": "deliveries", "receipt": "receipts"}
    one = [f"/v1/{many}/{names[f'{kind}_id']}" for kind, many in kinds.items()]
    answers = [belongings.admin.get(target) for target in [*one, "/v1/keys", "/v1/endpoints", "/v1/payloads"]]
    assert {answer.status for answer in answers} == {200}
    return [answer.body for answer in answers]


def beyond_the_role(whole: Whole, belongings: Belongings) -> list[str]:
    """A key of each role is refused by every route whose permission the role does not hold."""
    offenders: list[str] = []
    for role in (Role.ADMIN, Role.SENDER, Role.READER, Role.PUBLISHABLE):
        made = belongings.admin.post("/v1/keys", {"name": role.value, "role": role.value}).json()
        caller = whole.house.caller(made["secret"])
        for route in whole.table:
            if needs_key(route) and route.needs not in GRANTS[role]:
                got = send(caller, route, belongings.names)
                if got.status != 403 or seen(got, belongings, target_of(route, belongings.names)):
                    offenders.append(f"{route.at}: {role.value} -> {got.status}")
    return offenders


# ---------------------------------------------------------------- fixtures


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    name = server.create()
    directory: Path = tmp_path_factory.mktemp("whole")
    with open_whole(at_database(server.roles, name), directory) as opened:
        yield opened
    server.drop(name)


@pytest.fixture(scope="module")
def mine(whole: Whole) -> Belongings:
    return furnish(whole, "mine")


# ---------------------------------------------------------------- the laws hold


@pytest.mark.parametrize(
    "law",
    [
        open_without_reason,
        reasons_without_route,
        unrecorded,
        ill_described,
        kept_by_caches,
        not_repeatable,
        loose_secrets,
    ],
)
def test_the_table_keeps_its_laws(whole: Whole, law: Callable[[Iterable[Route]], list[str]]) -> None:
    assert law(whole.table) == []


def test_every_public_page_is_looked_at_in_a_browser(whole: Whole) -> None:
    looked_at = scenes.render()
    assert unseen(whole.table, looked_at) == []
    assert unseen(whole.table, [path for path in looked_at if not path.startswith("/trust/legal/")]) == [
        "/trust/legal/{item}"
    ]


def test_the_reference_has_every_route_and_is_valid(whole: Whole) -> None:
    document = whole.house.caller().get("/openapi.json").json()
    assert undescribed(whole.table, document) == []
    OpenAPIV31SpecValidator(document).validate()
    page = whole.house.caller().get("/docs").body.decode()
    assert [route.at for route in whole.table if f"<code>{template(route)}</code>" not in page] == []
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', page) == []


def test_no_route_opens_without_a_good_credential(whole: Whole, mine: Belongings) -> None:
    assert opened_without_credential(whole, mine, bad_credentials(whole, mine)) == []


def test_every_call_leaves_exactly_one_entry(whole: Whole) -> None:
    assert entries_left(whole, whole.table, lambda: furnish(whole, "theirs")) == []


def test_nothing_of_one_organisation_is_seen_or_changed_with_anothers_key(whole: Whole, mine: Belongings) -> None:
    assert reached_across(whole, mine, furnish(whole, "theirs").admin, "another organisation") == []


def test_nothing_of_one_environment_is_seen_or_changed_from_another(whole: Whole, mine: Belongings) -> None:
    operator, path = whole.house.operator, f"/v1/organisations/{mine.organisation}/environments"
    assert operator.post(path, {"environment": "test"}).status == 201
    tester = whole.house.caller(whole.house.issue(mine.organisation, "test"))
    within = Belongings(
        mine.admin, mine.organisation, mine.names, mine.marks - {mine.organisation, mine.organisation[4:]}
    )
    assert reached_across(whole, within, tester, "another environment") == []


def test_nothing_of_an_organisation_is_seen_or_changed_by_the_operator(whole: Whole, mine: Belongings) -> None:
    before = snapshot(mine)
    for route in whole.table:
        if route.realm is Realm.TENANT and route.at != "GET /v1/self":
            got = send(whole.house.operator, route, mine.names)
            assert got.status == 403, route.at
            assert not seen(got, mine, target_of(route, mine.names)), route.at
    assert snapshot(mine) == before


def test_no_role_reaches_beyond_its_permissions(whole: Whole, mine: Belongings) -> None:
    assert beyond_the_role(whole, mine) == []


# ---------------------------------------------------------------- and each is seen to bite


@pytest.mark.parametrize(("law", "bad"), STATIC)
def test_a_bad_route_is_named(law: Callable[[Iterable[Route]], list[str]], bad: Route) -> None:
    assert law([bad]) == [bad.at]


def test_a_loose_secret_is_named() -> None:
    undeclared = Route(at="POST /v1/peek", action=print, summary="x", gives=Leaky)
    untyped = Route(at="POST /v1/poke", action=print, summary="x", bears_secret=True)
    assert loose_secrets([undeclared, untyped]) == ["POST /v1/peek", "POST /v1/poke"]


def test_a_missing_description_is_named(whole: Whole) -> None:
    bad = Route(at="GET /v1/peek", action=print, summary="x")
    assert undescribed([bad], whole.house.caller().get("/openapi.json").json()) == [bad.at]


class Peeked(msgspec.Struct):
    """What a bad route lets out."""

    data: list[str]


def _peek(op: Operation) -> Peeked:
    return Peeked(data=[str(op.tenant)])


def test_an_open_route_is_caught(whole: Whole, mine: Belongings) -> None:
    bad = Route(at="GET /v1/peek", action=lambda: Peeked(data=[mine.organisation]), summary="x", realm=Realm.PUBLIC)
    offenders = opened_without_credential(whole.with_routes(bad), mine, {"none": None})
    assert offenders == ["GET /v1/peek: none -> 200"]


def test_a_route_that_records_too_much_or_too_little_is_caught(whole: Whole) -> None:
    def twice(op: Operation) -> Peeked:
        op.record(AuditEvent(event="peeked"))
        op.record(AuditEvent(event="peeked"))
        return _peek(op)

    silent = Route(at="GET /v1/peek", action=_peek, summary="x", needs=Permission.SELF_READ)
    loud = Route(at="GET /v1/poke", action=twice, summary="x", needs=Permission.SELF_READ, audits="peeked")
    bad = whole.with_routes(silent, loud)
    offenders = entries_left(bad, [silent, loud], lambda: furnish(bad, "theirs"))
    assert [one.split(":")[0] for one in offenders] == ["GET /v1/peek", "GET /v1/poke"]


def test_a_route_that_forgets_the_tenant_is_caught(whole: Whole, mine: Belongings) -> None:
    database = whole.house.database

    class Asked(msgspec.Struct):
        """What a bad route is asked."""

        payload_id: str

    def forgetful(_op: Operation, _asked: Asked) -> Peeked:
        with database.system() as tx:
            rows = tx.value("SELECT array_agg(replace(tenant_id::text, '-', '')) FROM heldtrue.payloads")
        return Peeked(data=rows)

    bad = Route(at="GET /v1/peek/{payload_id}", action=forgetful, summary="x", takes=Asked,
                needs=Permission.PAYLOAD_READ, audits="peeked")  # fmt: skip
    served = whole.with_routes(bad)
    foreign = served.caller(furnish(whole, "theirs").admin)
    offenders = reached_across(served, mine, foreign, "another organisation")
    assert offenders == [
        "GET /v1/peek/{payload_id}: another organisation saw something of another's",
        "GET /v1/peek/{payload_id}: another organisation -> 200",
    ]


def test_a_route_that_asks_for_too_little_is_caught(whole: Whole, mine: Belongings) -> None:
    """Served with a permission that every sender has, judged by the one that it should have."""
    bad = Route(at="GET /v1/peek", action=_peek, summary="x", needs=Permission.PAYLOAD_SEND, audits="peeked")
    lax = whole.with_routes(bad)
    lax.house.app.table[:] = [
        Route(at="GET /v1/peek", action=_peek, summary="x", needs=Permission.KEY_ISSUE, audits="peeked")
    ]
    assert beyond_the_role(lax, mine) == ["GET /v1/peek: sender -> 200", "GET /v1/peek: publishable -> 200"]
