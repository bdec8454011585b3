"""Session tokens from outside: minted by a secret key, verified by anybody's library, refused once they are revoked."""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from asgi import Caller, Got
from joserfc import jwt
from joserfc.jwk import KeySet
from whole import ORIGIN, Whole, open_whole

from heldtrue.capabilities.access.sessions import issuer_of
from heldtrue.capabilities.keystore.actions import Signers, rotate_due
from heldtrue.capabilities.keystore.model import ANNOUNCED, SESSION_TERM
from heldtrue.crypto.jws import decode_part
from heldtrue.db.roles import at_database

ISSUER = issuer_of(ORIGIN)


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    name = server.create()
    with open_whole(at_database(server.roles, name), tmp_path_factory.mktemp("sessions")) as opened:
        yield opened
    server.drop(name)


def minted(caller: Caller, **asked: Any) -> dict[str, Any]:
    got = caller.post("/v1/sessions", {"subject": "user-7", **asked})
    assert got.status == 200, got.body
    return got.json()


def said_in(token: str) -> dict[str, Any]:
    return json.loads(decode_part(token.split(".")[1]))


def test_a_token_says_who_may_do_what_and_until_when(whole: Whole) -> None:
    admin = whole.house.organisation()
    got = minted(admin, permissions=["self.read", "receipt.read"], grants=["orders.read"], ttl_seconds=60)
    said = said_in(got["token"])
    me = admin.get("/v1/self").json()
    assert said == {
        "iss": ISSUER, "aud": ISSUER, "sub": "user-7", "sid": got["id"], "org": me["organisation_id"], "env": "live",
        "key": me["id"], "perms": ["receipt.read", "self.read"], "grants": ["orders.read"], "gen": 0,
        "iat": said["iat"], "exp": said["iat"] + 60,
    }  # fmt: skip
    header = json.loads(decode_part(got["token"].split(".")[0]))
    published = whole.house.caller().get("/.well-known/jwks.json")
    assert header == {"alg": "Ed25519", "typ": "JWT", "kid": published.json()["keys"][0]["kid"]}
    assert published.headers["cache-control"] == "public, max-age=5, must-revalidate"
    assert said_in(minted(admin)["token"])["exp"] - said_in(minted(admin)["token"])["iat"] in {299, 300, 301}


def test_a_public_library_accepts_it_by_the_published_keys(whole: Whole) -> None:
    token = minted(whole.house.organisation())["token"]
    keys = KeySet.import_key_set(whole.house.caller().get("/.well-known/jwks.json").json())
    decoded = jwt.decode(token, keys, algorithms=["Ed25519"])
    rules = jwt.JWTClaimsRegistry(
        now=int(whole.house.clock.at.timestamp()),
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": ISSUER},
    )
    rules.validate(decoded.claims)
    assert decoded.claims["sub"] == "user-7"


def test_a_token_does_what_it_was_given_and_nothing_more(whole: Whole) -> None:
    admin = whole.house.organisation()
    session = whole.house.caller(minted(admin, permissions=["self.read", "receipt.read"])["token"])
    assert session.get("/v1/self").json()["permissions"] == ["receipt.read", "self.read"]
    assert session.get("/v1/receipts").status == 200
    for method, path in (("GET", "/v1/payloads"), ("GET", "/v1/keys"), ("POST", "/v1/sessions")):
        assert session.call(method, path).code == "missing-permission"


def test_a_token_tries_a_transform_on_a_sample_if_it_may_and_nothing_is_kept(whole: Whole) -> None:
    admin = whole.house.organisation()
    code = "def transform(payload, context): return payload"
    made = admin.post("/v1/transforms", {"name": "tried", "language": "python", "code": code}).json()["id"]

    def tried(*permissions: str) -> Got:
        session = whole.house.caller(minted(admin, permissions=["self.read", "transform.read", *permissions])["token"])
        path = f"/v1/transforms/{made}/test?version=1&config=%7B%7D&name=a.csv"
        return session.call("POST", path, body=b"a,b\n", headers={"content-type": "text/csv"})

    assert tried().code == "missing-permission"
    got = tried("transform.write")
    assert (got.status, got.json()["outcome"], got.json()["outputs"]) == (200, "ok", [4])
    assert admin.get("/v1/payloads").json()["data"] == []
    assert [one["event"] for one in whole.house.entries(admin)].count("transform.tested") == 1


def test_a_token_ends_by_itself(whole: Whole) -> None:
    admin = whole.house.organisation()
    session = whole.house.caller(minted(admin, permissions=["self.read"], ttl_seconds=900)["token"])
    assert session.get("/v1/self").status == 200
    whole.house.clock.at += timedelta(seconds=901)
    refused = session.get("/v1/self")
    assert (refused.status, refused.code) == (401, "session-expired")


def test_revoking_ends_every_token_of_the_environment_and_no_other(whole: Whole) -> None:
    admin, other = whole.house.organisation(), whole.house.organisation()
    mine = [whole.house.caller(minted(admin, permissions=["self.read"])["token"]) for _ in range(2)]
    theirs = whole.house.caller(minted(other, permissions=["self.read"])["token"])
    assert {caller.get("/v1/self").status for caller in (*mine, theirs)} == {200}
    revoked = admin.delete("/v1/sessions").json()
    assert revoked["generation"] == 1
    assert {caller.get("/v1/self").code for caller in mine} == {"session-revoked"}
    assert theirs.get("/v1/self").status == 200
    again = whole.house.caller(minted(admin, permissions=["self.read"])["token"])
    assert again.get("/v1/self").status == 200
    assert admin.delete("/v1/sessions").json()["generation"] == 2
    assert again.get("/v1/self").code == "session-revoked"


def test_a_token_ends_with_the_key_that_minted_it(whole: Whole) -> None:
    admin = whole.house.organisation()
    soon = whole.house.clock.at + timedelta(seconds=30)
    asked = {"name": "m", "role": "admin", "expires_at": soon.isoformat()}
    issued = admin.post("/v1/keys", asked).json()
    minter = whole.house.caller(issued["secret"])
    assert said_in(minted(minter)["token"])["exp"] == int(soon.timestamp())
    session = whole.house.caller(minted(minter, permissions=["self.read"])["token"])
    assert session.get("/v1/self").status == 200
    admin.delete(f"/v1/keys/{issued['id']}")
    assert session.get("/v1/self").code == "key-revoked"


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"subject": ""}, 422, "invalid-value"),
        ({"subject": "two words"}, 422, "invalid-value"),
        ({"subject": "u" * 201}, 422, "invalid-value"),
        ({"ttl_seconds": 901}, 422, "invalid-value"),
        ({"ttl_seconds": 0}, 422, "invalid-value"),
        ({"grants": ["Orders"]}, 422, "invalid-value"),
        ({"grants": ["a", "a"]}, 422, "malformed-grant"),
        ({"permissions": ["key.issue"]}, 403, "not-in-session"),
        ({"permissions": ["session.mint"]}, 403, "not-in-session"),
        ({"permissions": ["organisation.read"]}, 403, "escalation"),
        ({"audience": "two words"}, 422, "invalid-value"),
        ({"more": 1}, 422, "unknown-member"),
    ],
)
def test_what_cannot_be_minted(whole: Whole, asked: dict[str, Any], status: int, code: str) -> None:
    got = whole.house.organisation().post("/v1/sessions", {"subject": "user-7", **asked})
    assert (got.status, got.code) == (status, code)


def test_only_who_may_mints_and_only_what_it_has(whole: Whole) -> None:
    admin = whole.house.organisation()
    for role in ("sender", "reader", "publishable"):
        made = admin.post("/v1/keys", {"name": role, "role": role}).json()
        caller = whole.house.caller(made["secret"])
        assert caller.post("/v1/sessions", {"subject": "u"}).code == "missing-permission"
        assert caller.delete("/v1/sessions").code == "missing-permission"
    asked = {"name": "m", "role": "admin", "scopes": ["session.mint", "self.read"], "grants": ["orders.read"]}
    narrow = whole.house.caller(admin.post("/v1/keys", asked).json()["secret"])
    assert minted(narrow, permissions=["self.read"], grants=["orders.read"])["grants"] == ["orders.read"]
    assert narrow.post("/v1/sessions", {"subject": "u", "grants": ["billing"]}).code == "grant-escalation"
    assert narrow.post("/v1/sessions", {"subject": "u", "permissions": ["receipt.read"]}).code == "escalation"


def test_a_token_for_somebody_else_is_refused_here(whole: Whole) -> None:
    admin = whole.house.organisation()
    token = minted(admin, permissions=["self.read"], audience="https://shop.example")["token"]
    assert said_in(token)["aud"] == "https://shop.example"
    assert whole.house.caller(token).get("/v1/self").code == "foreign-session"


def test_the_token_and_its_subject_are_in_no_answer_and_no_entry_but_the_first(whole: Whole) -> None:
    admin = whole.house.organisation()
    subject = f"user-{secrets.token_hex(8)}"
    got = minted(admin, subject=subject)
    [entry] = [one for one in whole.house.entries(admin) if one["event"] == "session.minted"]
    assert entry["subject"] == got["id"]
    assert subject not in json.dumps(entry)
    assert got["token"].split(".")[2] not in json.dumps(whole.house.entries(admin))


def test_tokens_live_on_through_a_rotation_be_it_due_or_the_operators(whole: Whole) -> None:
    admin, parts, house = whole.house.organisation(), whole.parts, whole.house
    platform = parts.ground.home.platform

    def published() -> list[str]:
        return [key["kid"] for key in house.caller().get("/.well-known/jwks.json").json()["keys"]]

    def rotate() -> list[str]:
        with parts.database.system() as tx:
            return [f"{one.purpose} {one.state}" for one in rotate_due(tx, platform, house.clock.now(), parts.entropy)]

    [first] = published()
    with parts.database.system() as tx:
        born = Signers(platform).active(tx, "session", house.clock.now())
    assert str(born.id) == first
    house.clock.at += SESSION_TERM - timedelta(hours=23)
    assert "session pre-activation" in rotate()
    second, _ = published()
    assert rotate() == []
    assert json.loads(decode_part(minted(admin)["token"].split(".")[0]))["kid"] == first
    house.clock.at += ANNOUNCED - timedelta(minutes=10)
    before = house.caller(minted(admin, permissions=["self.read"], ttl_seconds=900)["token"])
    house.clock.at += timedelta(minutes=11)
    assert rotate() == ["session active"]
    after = house.caller(minted(admin, permissions=["self.read"])["token"])
    assert json.loads(decode_part(after.key.split(".")[0]))["kid"] == second if after.key else False
    assert before.get("/v1/self").status == after.get("/v1/self").status == 200
    assert set(published()) == {first, second}
    house.clock.at += timedelta(minutes=20)
    assert published() == [second]
    assert before.get("/v1/self").status == 401
    rolled = house.operator.post("/v1/session-keys/roll")
    assert (rolled.status, rolled.json()["state"]) == (200, "pre-activation"), rolled.body
    assert house.operator.post("/v1/session-keys/roll").json() == rolled.json(), "asked again it is the same one"
    assert admin.post("/v1/session-keys/roll").status == 403
    third = rolled.json()["id"]
    assert set(published()) == {second, third}
    house.clock.at += ANNOUNCED - timedelta(minutes=1)
    before = house.caller(minted(admin, permissions=["self.read"], ttl_seconds=900)["token"])
    assert rotate() == []
    house.clock.at += timedelta(minutes=1)
    assert rotate() == ["session active"]
    assert json.loads(decode_part(minted(admin)["token"].split(".")[0]))["kid"] == third
    assert before.get("/v1/self").status == 200
    assert set(published()) == {second, third}
    house.clock.at += timedelta(minutes=20)
    assert published() == [third]
