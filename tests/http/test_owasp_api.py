"""OWASP API Security Top 10 (2023): each item about authentication or authorisation, tried on the whole product.

API1, API2, API3 and API5 in full; of API4, API8 and API9 what touches who may call. The classes of faults in signatures
are in tests/unit/crypto/test_jws_faults_independent.py, the whole matrix of who may what in tests/http/test_matrix.py.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from asgi import Caller, Got
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from whole import Belongings, Whole, furnish, needs_key, open_whole

from heldtrue.attack.sound import SOUND
from heldtrue.attack.stock import request
from heldtrue.crypto import tokens
from heldtrue.crypto.jws import sign_jws
from heldtrue.crypto.signing import SigningKey
from heldtrue.db.roles import at_database
from heldtrue.http.app import build_app
from heldtrue.http.limits import Limits, Rate
from heldtrue.http.route import Realm, Route
from heldtrue.kernel.ids import CryptoKeyId, uuid7
from heldtrue.kernel.secret import Secret


@dataclass
class Scene:
    """The product, and two organisations with one thing of every kind each."""

    whole: Whole
    mine: Belongings
    theirs: Belongings

    def caller(self, key: str | None = None, **headers: str) -> Caller:
        caller = self.whole.house.caller(key)
        caller.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return caller

    def key(self, **asked: object) -> dict[str, Any]:
        got = self.mine.admin.post("/v1/keys", {"name": "scene", "role": "reader", **asked})
        assert got.status == 201, got.body
        return got.json()

    def routes(self, realm: Realm) -> list[Route]:
        return [route for route in self.whole.table if route.realm is realm]


@pytest.fixture(scope="module")
def scene(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    name = server.create()
    with open_whole(at_database(server.roles, name), tmp_path_factory.mktemp("owasp")) as whole:
        mine, theirs = furnish(whole, "mine"), furnish(whole, "theirs")
        upstream = whole.house.operator.post("/v1/upstream-keys", {"upstream": "owasp"}).json()["id"]
        mine.names.setdefault("upstream_key_id", upstream)
        yield Scene(whole, mine, theirs)
    server.drop(name)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def send(caller: Caller, route: Route, names: dict[str, str]) -> Got:
    asked = request(route, names)
    return caller.call(asked.method, asked.path, body=asked.body or b"", headers=asked.headers)


def problem(got: Got) -> tuple[int, str]:
    return got.status, got.code


# ---------------------------------------------------------------- API1: broken object level authorisation


def nowhere(scene: Scene) -> dict[str, str]:
    """Return ids of the right shape that name nothing."""
    clock, entropy = scene.whole.house.clock, scene.whole.house.ports.entropy
    return {
        name: value if name in {"ordinal", "number"} else f"{value.split('_')[0]}_{uuid7(clock.now(), entropy).hex}"
        for name, value in scene.theirs.names.items()
    }


def told(got: Got) -> str:
    """Return what a problem says, without the id that was asked for."""
    return re.sub(r"[0-9a-f]{32}", "", got.json()["detail"])


def test_api1_anothers_object_answers_like_one_that_does_not_exist(scene: Scene) -> None:
    """Neither its content nor its existence is told, by status, problem or length."""
    missing, tried = nowhere(scene), 0
    for route in scene.routes(Realm.TENANT):
        if "{" not in route.path:
            continue
        foreign, none = send(scene.mine.admin, route, scene.theirs.names), send(scene.mine.admin, route, missing)
        assert foreign.status == 404, route.at
        assert problem(foreign) == problem(none), route.at
        assert told(foreign) == told(none), route.at
        tried += 1
    assert tried > 10


def test_api1_a_filter_by_anothers_id_finds_nothing(scene: Scene) -> None:
    for name in ("payload_id", "endpoint_id"):
        found = scene.mine.admin.get(f"/v1/deliveries?{name}={scene.theirs.names[name]}")
        assert (found.status, found.json()["data"]) == (200, [])


def test_api1_anothers_cursor_pages_through_ones_own_things_only(scene: Scene) -> None:
    for number in range(3):
        for who in (scene.mine, scene.theirs):
            assert who.admin.post("/v1/keys", {"name": f"page {number}", "role": "reader"}).status == 201
    cursor = scene.theirs.admin.get("/v1/keys?limit=1").json()["next_cursor"]
    own = {key["id"] for key in scene.mine.admin.get("/v1/keys?limit=200").json()["data"]}
    seen = scene.mine.admin.get(f"/v1/keys?limit=200&cursor={cursor}").json()["data"]
    assert {key["id"] for key in seen} <= own


def test_api1_anothers_idempotency_key_repeats_nothing_of_it(scene: Scene) -> None:
    body = {"url": "https://127.0.0.1:9/same", "description": "same"}
    first = scene.theirs.admin.post("/v1/endpoints", body, idempotency_key="same-key")
    second = scene.mine.admin.post("/v1/endpoints", body, idempotency_key="same-key")
    assert (first.status, second.status) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert "idempotency-replayed" not in second.headers


def test_api1_an_id_of_another_kind_names_nothing(scene: Scene) -> None:
    own = scene.mine.names
    for path, given in (
        ("payloads", own["endpoint_id"]),
        ("endpoints", own["payload_id"]),
        ("receipts", own["leaf_id"]),
    ):
        assert scene.mine.admin.get(f"/v1/{path}/{given}").status == 422
        disguised = f"{own[f'{path[:-1]}_id'].split('_')[0]}_{given.split('_')[1]}"
        assert scene.mine.admin.get(f"/v1/{path}/{disguised}").status == 404


# ---------------------------------------------------------------- API2: broken authentication


def test_api2_guessing_is_limited_by_source_and_disturbs_nobody_with_a_good_key(scene: Scene) -> None:
    """Credential stuffing: a list of well-formed keys, one after the other."""
    slow = Limits(anonymous=Rate(burst=20, per_second=0.001))
    app = build_app(scene.whole.wired, replace(scene.whole.house.ports, limits=slow))
    entropy, good = scene.whole.house.ports.entropy, scene.mine.admin.key
    assert Caller(app, good).get("/v1/self").status == 200
    answers = [Caller(app, tokens.mint("sk", "live", entropy).reveal()).get("/v1/self") for _ in range(25)]
    assert [got.status for got in answers] == [401] * 20 + [429] * 5
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert Caller(app, good).get("/v1/self").status == 200
    assert Caller(app, tokens.mint("sk", "live", entropy).reveal(), client="198.51.100.9").get("/v1/self").status == 401
    forged = Caller(app, None, headers={"x-forwarded-for": "203.0.113.5", "forwarded": "for=203.0.113.5"})
    assert forged.get("/v1/self").status == 429
    app.close()


def test_api2_a_credential_anywhere_but_in_its_header_is_none(scene: Scene) -> None:
    key = scene.key(role="admin")["secret"]
    assert scene.caller(key).get("/v1/keys").status == 200
    for name in ("access_token", "api_key", "key", "token", "authorization", "bearer"):
        got = scene.caller().get(f"/v1/keys?{name}={key}")
        assert (got.status, got.headers["www-authenticate"][:6]) == (401, "Bearer"), name
        assert scene.caller(key).get(f"/v1/keys?{name}={key}").status == 422, name
        assert key not in got.body.decode()
    elsewhere = (
        {"cookie": f"session={key}; token={key}"},
        {"x_api_key": key},
        {"proxy_authorization": f"Bearer {key}"},
        {"x_authorization": f"Bearer {key}"},
        {"authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"},
        {"authorization": f"Basic {base64.b64encode(f'user:{key}'.encode()).decode()}"},
        {"authorization": f"Token {key}"},
        {"authorization": key},
        {"authorization": f"Bearer{key}"},
        {"authorization": f"Bearer\t{key}"},
    )
    for headers in elsewhere:
        assert scene.caller(None, **headers).get("/v1/keys").status == 401, headers.keys()


def variants(key: str) -> Iterator[str]:
    """Yield what a lax comparison would take for *key*."""
    yield from (
        key.upper(),
        key.lower(),
        key.swapcase(),
        key[:-1],
        key + "a",
        key + "\0",
        f'"{key}"',
        key + ",",
        key * 2,
    )
    yield from (key.replace("ht_", "HT_"), key.replace("_", "-"), key.replace("sk", "pk"), f"{key} {key}", key[1:])
    for at in (11, 30, len(key) - 1):
        changed = key[:at] + ("0" if key[at] != "0" else "1") + key[at + 1 :]
        yield changed
        if at < len(key) - tokens.CHECKSUM_LETTERS:  # and with a checksum that fits
            yield changed[: -tokens.CHECKSUM_LETTERS] + tokens.checksum(changed[: -tokens.CHECKSUM_LETTERS])


def test_api2_only_the_very_letters_of_a_key_open(scene: Scene) -> None:
    key = scene.key()["secret"]
    assert scene.caller(key).get("/v1/self").status == 200
    for variant in variants(key):
        assert scene.caller(variant).get("/v1/self").status == 401, variant
    assert scene.caller(key).get("/v1/self").status == 200


def test_api2_two_credentials_are_none(scene: Scene) -> None:
    """Two parties in a row could each believe another of them."""
    mine, theirs = scene.mine.admin.key, scene.theirs.admin.key
    for first, second in ((mine, theirs), (mine, mine), (mine, "x"), ("x", mine)):
        headers = [("authorization", f"Bearer {first}"), ("Authorization", f"Bearer {second}")]
        got = scene.caller().call("GET", "/v1/self", headers=headers)
        assert problem(got) == (400, "duplicate-credential")
        assert scene.caller(None, authorization=f"Bearer {first}, Bearer {second}").get("/v1/self").status == 401


def test_api2_a_key_ends_when_it_is_said_to(scene: Scene) -> None:
    clock = scene.whole.house.clock
    ends = clock.at + timedelta(seconds=30)
    dying, revoked = scene.key(expires_at=ends.isoformat()), scene.key()
    old = scene.key()
    new = scene.mine.admin.post(f"/v1/keys/{old['id']}/roll", {"overlap_seconds": 0}).json()
    assert scene.caller(dying["secret"]).get("/v1/self").status == 200
    assert scene.mine.admin.delete(f"/v1/keys/{revoked['id']}").status == 200
    clock.at = ends
    for key in (dying, revoked, old):
        assert scene.caller(key["secret"]).get("/v1/self").status == 401
    assert scene.caller(new["secret"]).get("/v1/self").status == 200


def session(scene: Scene, admin: Caller | None = None, **asked: object) -> str:
    got = (admin or scene.mine.admin).post("/v1/sessions", {"subject": "u1", "permissions": ["self.read"], **asked})
    assert got.status == 200, got.body
    return got.json()["token"]


def test_api2_a_session_token_is_checked_to_the_last_letter(scene: Scene) -> None:
    token = session(scene)
    header, payload, signature = token.split(".")
    assert scene.caller(token).get("/v1/self").status == 200
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    theirs = scene.theirs.organisation
    forged = [
        f"{b64(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{payload}.",
        f"{header}.{payload}.",
        f"{header}.{b64(json.dumps({**said, 'org': theirs}).encode())}.{signature}",
        f"{header}.{b64(json.dumps({**said, 'perms': ['key.issue', 'self.read']}).encode())}.{signature}",
        f"{header}.{b64(json.dumps({**said, 'exp': said['exp'] + 600}).encode())}.{signature}",
        token + "=", token + ".", f" {token[1:]}", token.upper(), f"{header}.{payload}",
    ]  # fmt: skip
    for one in forged:
        assert scene.caller(one).get("/v1/self").status == 401, one


def test_api2_a_session_token_of_another_signer_is_nobodys(scene: Scene) -> None:
    """Of a stranger under the real key's name, and of a key of this instance that is for something else."""
    token = session(scene)
    header, payload, _ = token.split(".")
    stranger = Ed25519PrivateKey.generate().sign(f"{header}.{payload}".encode())
    assert scene.caller(f"{header}.{payload}.{b64(stranger)}").get("/v1/self").status == 401
    body = base64.urlsafe_b64decode(payload + "==")
    seed = Secret(scene.whole.house.ports.entropy(32))
    ours = SigningKey(CryptoKeyId.new(scene.whole.house.clock.now(), scene.whole.house.ports.entropy), seed)
    assert scene.caller(sign_jws(ours, {"typ": "JWT"}, body)).get("/v1/self").status == 401
    for kid in published_kids(scene):
        other = {"alg": "Ed25519", "kid": kid, "typ": "JWT"}
        signed = f"{b64(json.dumps(other).encode())}.{payload}"
        assert scene.caller(f"{signed}.{b64(ours.sign(signed.encode()))}").get("/v1/self").status == 401


def published_kids(scene: Scene) -> list[str]:
    keys = scene.caller().get("/.well-known/heldtrue.json").json()
    return [key["id"] for key in [*keys["receipt_keys"], *keys["evidence_keys"]]]


def test_api2_a_session_ends_with_its_time_its_generation_and_its_key(scene: Scene) -> None:
    clock, key = scene.whole.house.clock, scene.key(role="admin")
    minter = scene.caller(key["secret"])
    brief, long = session(scene, ttl_seconds=60), session(scene)
    of_key, elsewhere = session(scene, minter), session(scene, scene.theirs.admin)
    foreign_audience = session(scene, audience="https://api.example.com")
    assert scene.caller(foreign_audience).get("/v1/self").status == 401
    clock.at += timedelta(seconds=61)
    assert [scene.caller(one).get("/v1/self").status for one in (brief, long, of_key)] == [401, 200, 200]
    assert scene.mine.admin.delete(f"/v1/keys/{key['id']}").status == 200
    assert [scene.caller(one).get("/v1/self").status for one in (long, of_key)] == [200, 401]
    assert scene.mine.admin.delete("/v1/sessions").status == 200
    assert [scene.caller(one).get("/v1/self").status for one in (long, elsewhere)] == [401, 200]
    assert scene.caller(session(scene)).get("/v1/self").status == 200


# ---------------------------------------------------------------- API3: broken object property level authorisation

PROPERTIES: dict[str, object] = {
    "id": "key_" + "0" * 32, "tenant_id": "org_" + "0" * 32, "tenant": "x", "organisation": "x", "state": "active",
    "permissions": ["key.issue"], "is_admin": True, "admin": True, "owner": "x", "secret": "x", "type": "sk",
    "created_at": "2020-01-01T00:00:00Z", "revoked_at": None, "last4": "0000", "digest": "00", "kind": "operator",
    "role": "operator", "environment": "live", "organisation_id": "org_" + "0" * 32, "leaked_at": None, "__proto__": {},
}  # fmt: skip


def test_api3_no_property_can_be_assigned_that_is_not_asked_for(scene: Scene) -> None:
    tried = 0
    for route in [*scene.routes(Realm.TENANT), *scene.routes(Realm.OPERATOR)]:
        body = SOUND[route.at][0]
        if body is None or route.streams or route.takes is None:
            continue
        known = {field.encode_name for field in msgspec.structs.fields(route.takes)}
        caller = scene.mine.admin if route.realm is Realm.TENANT else scene.whole.house.operator
        for name in PROPERTIES.keys() - known:
            asked = request(route, scene.mine.names)
            stuffed = json.dumps({**json.loads(asked.body or b"{}"), name: PROPERTIES[name]}).encode()
            got = caller.call(asked.method, asked.path, body=stuffed, headers=asked.headers)
            assert problem(got) == (422, "unknown-member"), f"{route.at}: {name} -> {got.status}"
            tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "asked",
    [
        {"role": "operator"}, {"role": "owner"}, {"role": "Admin"}, {"role": ["admin"]},
        {"role": "reader", "scopes": ["key.issue"]}, {"role": "admin", "scopes": ["organisation.create"]},
        {"role": "admin", "scopes": ["claim.run"]}, {"role": "publishable", "scopes": ["payload.read"]},
        {"role": "admin", "scopes": ["*"]}, {"role": "admin", "scopes": []},
    ],
)  # fmt: skip
def test_api3_no_key_is_given_more_than_its_role(scene: Scene, asked: dict[str, object]) -> None:
    assert scene.mine.admin.post("/v1/keys", {"name": "x", **asked}).status == 422


def test_api3_nobody_gives_more_than_they_have(scene: Scene) -> None:
    narrow = scene.caller(scene.key(role="admin", scopes=["key.issue", "session.mint", "self.read"])["secret"])
    assert narrow.post("/v1/keys", {"name": "x", "role": "admin"}).code == "escalation"
    assert narrow.post("/v1/keys", {"name": "x", "role": "reader"}).code == "escalation"
    assert narrow.post("/v1/keys", {"name": "x", "role": "admin", "scopes": ["self.read"]}).status == 201
    assert narrow.post("/v1/keys", {"name": "x", "role": "admin", "scopes": ["payload.read"]}).code == "escalation"
    strong = scene.key(role="admin")
    assert narrow.post(f"/v1/keys/{strong['id']}/roll", {"overlap_seconds": 60}).code == "escalation"
    mint = {"subject": "u1", "permissions": ["payload.read"]}
    assert narrow.post("/v1/sessions", mint).code == "escalation"
    for never in ("key.issue", "session.mint"):
        assert narrow.post("/v1/sessions", {**mint, "permissions": [never]}).status == 403


CODE = ("/v1/transforms", "/v1/runs", "/v1/payloads/{payload_id}/outputs")


def test_api3_no_answer_shows_a_secret_a_second_time(scene: Scene) -> None:
    issued, again = scene.key(role="admin"), {"idempotency_key": "shown-once"}
    body = {"name": "once", "role": "reader"}
    first, second = (scene.mine.admin.post("/v1/keys", body, **again) for _ in range(2))
    assert (first.json()["id"], second.json()["secret"]) == (second.json()["id"], None)
    secrets = {issued["secret"], first.json()["secret"], session(scene)}
    for route in scene.routes(Realm.TENANT):
        if route.method != "GET":
            continue
        got = send(scene.mine.admin, route, scene.mine.names)
        text = got.body.decode("latin-1") + repr(dict(got.headers))
        assert not [one for one in secrets if one in text], route.at
        shown = (
            {"digest"} if route.path.startswith(CODE) else set()
        )  # of what a version's code is, which tells it apart
        assert not ({"secret", "digest", "sealed", "wrapped"} - shown) & names_in(got), route.at


def names_in(got: Got) -> set[str]:
    """Return every member's name of a JSON answer."""
    if got.headers.get("content-type") != "application/json":
        return set()
    waiting, found = [got.json()], set[str]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found |= one.keys()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


# ---------------------------------------------------------------- API4: resources, where they are a matter of who calls


def test_api4_a_caller_cannot_ask_for_more_than_the_limits(scene: Scene) -> None:
    for limit in ("201", "0", "-1", "1e9", "null", "50.5", ""):
        assert scene.mine.admin.get(f"/v1/keys?limit={limit}").status in {400, 422}, limit
    many = {"name": "x", "role": "reader", "scopes": ["self.read"] * 100_000}
    assert scene.mine.admin.post("/v1/keys", many).status in {413, 422}
    deep = b'{"name":"x","role":"reader","scopes":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert (
        scene.mine.admin.call("POST", "/v1/keys", body=deep, headers={"content-type": "application/json"}).status < 500
    )
    huge = scene.caller("A" * 60_000)
    assert huge.get("/v1/self").status == 401


def test_api4_another_key_of_the_organisation_is_no_way_round_its_limit(scene: Scene) -> None:
    limits = Limits(organisation=Rate(6, 0.001), key=Rate(4, 0.001))
    app = build_app(scene.whole.wired, replace(scene.whole.house.ports, limits=limits))
    one, two, token = scene.key()["secret"], scene.key()["secret"], session(scene, permissions=["self.read"])
    assert [Caller(app, one).get("/v1/self").status for _ in range(5)] == [200] * 4 + [429]
    assert [Caller(app, two).get("/v1/self").status for _ in range(3)] == [200] * 2 + [429]
    assert Caller(app, token).get("/v1/self").status == 429
    assert Caller(app, scene.theirs.admin.key).get("/v1/self").status == 200
    app.close()


# ---------------------------------------------------------------- API5: broken function level authorisation


def test_api5_the_operators_functions_are_the_operators(scene: Scene) -> None:
    callers = [scene.mine.admin, scene.caller(session(scene)), scene.caller()]
    for route in scene.routes(Realm.OPERATOR):
        answers = [send(caller, route, scene.mine.names).status for caller in callers]
        assert answers == [403, 403, 401], route.at
    for route in scene.routes(Realm.TENANT):
        if route.at != "GET /v1/self":
            assert send(scene.whole.house.operator, route, scene.mine.names).status == 403, route.at


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "Delete", "GETS", "QUERY"])
def test_api5_another_method_does_nothing(scene: Scene, method: str) -> None:
    for path in ("/v1/keys", f"/v1/keys/{scene.mine.names['key_id']}", "/v1/organisations"):
        for caller in (scene.caller(), scene.mine.admin):
            got = caller.call(method, path)
            assert got.status in {401, 405}, (path, got.status)


def test_api5_head_and_options_tell_a_stranger_nothing(scene: Scene) -> None:
    for route in scene.routes(Realm.TENANT):
        path = request(route, scene.mine.names).path
        head, options = scene.caller().call("HEAD", path), scene.caller().call("OPTIONS", path)
        assert head.status in {401, 405}, route.at
        assert (options.status, options.body) == (204, b""), route.at
        assert "access-control-allow-origin" not in options.headers


OVERRIDES = {
    "x_http_method_override": "DELETE", "x_http_method": "DELETE", "x_method_override": "DELETE",
    "x_original_url": "/v1/keys", "x_rewrite_url": "/v1/keys", "x_forwarded_path": "/v1/keys",
    "x_forwarded_uri": "/v1/keys",
    "x_forwarded_user": "operator", "x_remote_user": "operator", "remote_user": "operator", "x_user_role": "operator",
    "x_role": "admin", "x_permissions": "key.issue", "x_organisation_id": "org_x", "x_environment": "live",
    "heldtrue_tenant": "org_x", "heldtrue_subject": "operator", "heldtrue_role": "operator",
    "heldtrue_scopes": "key.issue",
    "x_forwarded_for": "127.0.0.1", "forwarded": "for=127.0.0.1", "x_real_ip": "127.0.0.1", "x_client_cert": "operator",
    "x_forwarded_client_cert": "Subject=operator", "x_internal": "1", "x_debug": "1",
}  # fmt: skip


@pytest.mark.parametrize("header", OVERRIDES)
def test_api5_no_header_changes_who_one_is_or_what_one_asks(scene: Scene, header: str) -> None:
    named = {header: OVERRIDES[header]}
    reader, target = scene.key()["secret"], scene.mine.names["key_id"]
    plain = scene.caller(reader).get("/v1/self").json()
    assert scene.caller(reader, **named).get("/v1/self").json() == plain
    assert scene.caller(None, **named).get("/v1/self").status == 401
    assert scene.caller(reader, **named).get("/v1/keys").status == 403
    assert scene.caller(reader, **named).get("/v1/organisations").status == 403
    scene.caller(scene.mine.admin.key, **named).get(f"/v1/payloads/{scene.mine.names['payload_id']}")
    keys = {key["id"]: key["state"] for key in scene.mine.admin.get("/v1/keys?limit=200").json()["data"]}
    assert keys[target] == "active"


@pytest.mark.parametrize(
    "path",
    [
        "/V1/keys", "/v1/Keys", "/v1/keys/", "//v1/keys", "/v1//keys", "/v1/./keys", "/v1/x/../keys", "/v1/keys;a=b",
        "/v1/keys%2f", "/v1%2fkeys", "/v1/keys%00", "/v1/keys%20", "/v1/keys.json", "/v1/keys%3flimit=1", "/v1/keys\\",
        "/healthz/../v1/keys", "/healthz/..;/v1/keys", "/docs/%2e%2e/v1/keys", "/assets/../v1/keys",
        "/assets/..%2fv1/keys", "/log/tile/../../v1/keys", "/%76%31/keys", "/v1/%6beys", "http://x/v1/keys", "v1/keys",
    ],
)  # fmt: skip
def test_api5_no_way_of_writing_a_path_goes_round_the_gate(scene: Scene, path: str) -> None:
    assert scene.caller().get(path).status in {400, 401, 404}
    reader = scene.caller(scene.key(role="sender")["secret"])
    assert reader.get(path).status in {400, 403, 404}


# ---------------------------------------------------------------- API8: what configuration could leave open


def test_api8_measurements_are_for_the_named_networks_whatever_a_header_says(scene: Scene) -> None:
    for headers in ({}, {"x_forwarded_for": "127.0.0.1"}, {"forwarded": "for=127.0.0.1"}, {"x_real_ip": "127.0.0.1"}):
        assert scene.caller(None, **headers).get("/metrics").status == 404
    assert scene.caller(scene.mine.admin.key).get("/metrics").status == 404


def test_api8_no_origin_may_read_with_anothers_credential(scene: Scene) -> None:
    for origin in ("https://attacker.example", "null", "https://log.example.test.attacker.example"):
        for caller in (scene.caller(None, origin=origin), scene.caller(scene.mine.admin.key, origin=origin)):
            for got in (caller.get("/v1/self"), caller.call("OPTIONS", "/v1/self"), caller.get("/openapi.json")):
                assert not [name for name in got.headers if name.startswith("access-control-")]


def test_api8_no_answer_to_a_stranger_names_what_we_are_made_of(scene: Scene) -> None:
    for method, path in (("GET", "/v1/keys"), ("GET", "/nowhere"), ("GET", "/v1/%00"), ("POST", "/v1/payloads")):
        got = scene.caller().call(method, path, headers={"authorization": "Bearer \x7f\xff"})
        text = (got.body.decode() + repr(got.headers)).lower()
        assert got.status in {400, 401, 404}
        assert not [
            word for word in ("traceback", "psycopg", "python", "granian", "site-packages", "postgres") if word in text
        ]


def test_api8_answers_about_an_organisation_are_kept_by_no_cache(scene: Scene) -> None:
    for route in scene.routes(Realm.TENANT):
        if route.method == "GET":
            for caller in (scene.mine.admin, scene.theirs.admin, scene.caller()):
                assert send(caller, route, scene.mine.names).headers["cache-control"] == "no-store", route.at


# ---------------------------------------------------------------- API9: what inventory could forget


@pytest.mark.parametrize(
    "path",
    [
        "/v0/keys", "/v2/keys", "/api/keys", "/api/v1/keys", "/beta/keys", "/internal/keys", "/admin", "/debug",
        "/console",
        "/graphql", "/swagger", "/swagger.json", "/redoc", "/openapi.yaml", "/v1/openapi.json", "/actuator/env",
        "/.env",
        "/.git/config", "/server-status", "/v1", "/v1/", "/v1/debug", "/v1/admin", "/v1/users", "/v1/organisations/all",
    ],
)  # fmt: skip
def test_api9_there_is_no_forgotten_way_in(scene: Scene, path: str) -> None:
    for caller in (scene.caller(), scene.mine.admin, scene.whole.house.operator):
        assert caller.get(path).status == 404


def test_api9_the_reference_says_of_every_operation_who_may_call_it(scene: Scene) -> None:
    paths = scene.caller().get("/openapi.json").json()["paths"]
    said = {(method.upper(), path): one for path, methods in paths.items() for method, one in methods.items()}
    assert len(said) == len(scene.whole.table)
    for route in scene.whole.table:
        operation = said[route.method, route.path.replace(":path}", "}")]
        assert operation["security"] == ([{"key": []}] if needs_key(route) else []), route.at
        assert ("401" in operation["responses"]) is needs_key(route), route.at
