"""Reports of leaked keys: believed when a reporter that the operator named signed the very bytes; harmless again."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from asgi import Caller, Got
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from house import House, build_house

from heldtrue.capabilities.access.leaks import Policy, Reporter, routes
from heldtrue.crypto import tokens
from heldtrue.crypto.ecdsa import P256Key
from heldtrue.db.tx import Database

KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("scanner", "gossip", "stranger")}
POLICIES: dict[str, Policy] = {"scanner": "revoke", "gossip": "notify"}
URL = "https://code.example/acme/app/blob/0123/config.py#L7"


def public(name: str) -> P256Key:
    pem = KEYS[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return P256Key.parse(pem)


@pytest.fixture(scope="module")
def house(module_database: Database) -> Generator[House]:
    built = build_house(module_database)
    reporters = [Reporter(name, f"id-of-{name}", public(name), policy) for name, policy in POLICIES.items()]
    served = built.served(*routes(reporters))
    yield served
    served.app.close()
    built.app.close()


def signed(body: bytes, by: str, as_: str | None = None) -> dict[str, str]:
    signature = KEYS[by].sign(body, ec.ECDSA(SHA256()))
    return {
        "content-type": "application/json",
        "Github-Public-Key-Identifier": f"id-of-{as_ or by}",
        "Github-Public-Key-Signature": base64.b64encode(signature).decode(),
    }


def post(house: House, body: bytes, headers: Mapping[str, str]) -> Got:
    return house.caller().call("POST", "/v1/leaks", body=body, headers=headers)


def report(house: House, *found: str, by: str = "scanner", **more: Any) -> list[dict[str, str]]:
    body = json.dumps(
        [{"token": token, "type": "heldtrue_key", "url": URL, "source": "content", **more} for token in found]
    )
    got = post(house, body.encode(), signed(body.encode(), by))
    assert got.status == 200, got.body
    return got.json()


def issued(admin: Caller, role: str = "reader") -> dict[str, Any]:
    return admin.post("/v1/keys", {"name": "leaky", "role": role}).json()


def leaks(house: House, admin: Caller) -> list[dict[str, Any]]:
    return [one for one in house.entries(admin) if one["event"] == "key.leaked"]


def test_a_reported_secret_key_is_revoked_and_its_owner_is_told_where_it_was(house: House) -> None:
    admin = house.organisation()
    made = issued(admin)
    [judged] = report(house, made["secret"])
    assert judged == {
        "token_hash": base64.b64encode(hashlib.sha256(made["secret"].encode()).digest()).decode(),
        "token_type": "heldtrue_key",
        "label": "true_positive",
    }
    assert house.caller(made["secret"]).get("/v1/self").code == "key-revoked"
    shown = admin.get(f"/v1/keys/{made['id']}").json()
    assert (shown["state"], shown["leaked_at"] is not None) == ("revoked", True)
    [entry] = leaks(house, admin)
    assert (entry["subject"], entry["actor"]["kind"]) == (made["id"], "reporter")
    assert entry["detail"] == {"reporter": "scanner", "url": URL, "type": "sk", "state": "revoked", "revoked": True}


def test_a_reporter_that_only_notifies_leaves_the_key_alive(house: House) -> None:
    admin = house.organisation()
    made = issued(admin)
    report(house, made["secret"], by="gossip")
    assert house.caller(made["secret"]).get("/v1/self").status == 200
    shown = admin.get(f"/v1/keys/{made['id']}").json()
    assert (shown["state"], shown["leaked_at"] is not None) == ("active", True)
    report(house, made["secret"])
    assert house.caller(made["secret"]).get("/v1/self").code == "key-revoked"
    assert [entry["detail"]["revoked"] for entry in leaks(house, admin)] == [False, True]


def test_a_publishable_key_is_never_revoked_by_a_report(house: House) -> None:
    admin = house.organisation()
    made = issued(admin, "publishable")
    assert report(house, made["secret"])[0]["label"] == "true_positive"
    assert admin.get(f"/v1/keys/{made['id']}").json()["state"] == "active"
    assert leaks(house, admin)[0]["detail"]["type"] == "pk"


def test_the_same_report_again_changes_nothing_and_is_answered_alike(house: House) -> None:
    admin = house.organisation()
    made = issued(admin)
    first = report(house, made["secret"], made["secret"])
    before = admin.get(f"/v1/keys/{made['id']}").body
    assert report(house, made["secret"], made["secret"]) == first
    assert admin.get(f"/v1/keys/{made['id']}").body == before
    assert len(leaks(house, admin)) == 1


def test_what_is_none_of_our_keys_is_a_false_alarm(house: House) -> None:
    stranger = tokens.mint("sk", "live", secrets.token_bytes).reveal()
    found = ["", "hunter2", stranger, stranger[:-1], f"{stranger} "]
    assert {one["label"] for one in report(house, *found)} == {"false_positive"}


def test_one_report_may_be_about_several_organisations(house: House) -> None:
    admins = [house.organisation() for _ in range(3)]
    made = [issued(admin) for admin in admins]
    judged = report(house, *(one["secret"] for one in made), "hunter2")
    assert [one["label"] for one in judged] == ["true_positive"] * 3 + ["false_positive"]
    for admin, one in zip(admins, made, strict=True):
        [entry] = leaks(house, admin)
        assert entry["subject"] == one["id"]
        assert not any(other["id"] in json.dumps(entry) for other in made if other is not one)


def test_nobody_but_a_named_reporter_is_believed_and_all_others_hear_the_same(house: House) -> None:
    admin = house.organisation()
    made = issued(admin)
    body = json.dumps([{"token": made["secret"], "type": "heldtrue_key", "url": URL}]).encode()
    good = signed(body, "scanner")
    name, signature = "Github-Public-Key-Identifier", "Github-Public-Key-Signature"
    other = json.dumps([{"token": "hunter2", "type": "heldtrue_key"}]).encode()
    attempts = {
        "nothing": {},
        "no signature": {name: good[name]},
        "no name": {signature: good[signature]},
        "unknown reporter": signed(body, "stranger"),
        "another's name": signed(body, "stranger", as_="scanner"),
        "a reporter under another reporter's name": signed(body, "gossip", as_="scanner"),
        "a signature of something else": {**good, signature: signed(other, "scanner")[signature]},
        "not base64": {**good, signature: "####"},
        "loose base64": {**good, signature: good[signature][:-4] + "\n" + good[signature][-4:]},
        "an empty signature": {**good, signature: ""},
        "an API key instead": {"authorization": f"Bearer {admin.key}"},
    }
    answers = {
        what: post(house, body, {"content-type": "application/json", **headers}) for what, headers in attempts.items()
    }
    answers["altered on the way"] = post(house, body.replace(b"heldtrue_key", b"heldtrue_kex"), good)
    answers["a byte more"] = post(house, body + b" ", good)
    for what, got in answers.items():
        assert (got.status, got.code) == (403, "unverified-report"), what
        assert got.json()["detail"] == answers["nothing"].json()["detail"], what
    assert house.caller(made["secret"]).get("/v1/self").status == 200
    assert leaks(house, admin) == []
    assert post(house, body, good).status == 200


UNREADABLE = {
    "empty": b"",
    "object": b"{}",
    "nothing": b"[]",
    "number": b"[1]",
    "no type": b'[{"token":"a"}]',
    "token a number": b'[{"token":1,"type":"t"}]',
    "token twice": b'[{"token":"a","token":"b","type":"t"}]',
    "token too long": b'[{"token":"' + b"a" * 3000 + b'","type":"t"}]',
    "too many": b"[" + b",".join([b'{"token":"a","type":"t"}'] * 1001) + b"]",
    "no text": b"\xff",
    "too deep": b"[" * 5000,
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_report_that_cannot_be_read_is_refused_whole(house: House, body: bytes) -> None:
    got = post(house, body, signed(body, "scanner"))
    assert got.status in {400, 422}, got.body


def test_a_report_that_is_too_large_is_refused_before_it_is_read_to_the_end(house: House) -> None:
    body = b"[" + b" " * (house.ports.body_limit + 1) + b"]"
    assert post(house, body, signed(body, "scanner")).status == 413


def test_an_address_is_kept_without_what_could_mislead_a_reader(house: House) -> None:
    admin = house.organisation()
    made = issued(admin)
    report(house, made["secret"], url="https://code.example/\u202egnp.\r\nx y\x00é")
    [entry] = leaks(house, admin)
    assert entry["detail"]["url"] == "https://code.example/?gnp.??x?y??"


def test_no_reported_text_reaches_the_log_of_the_process(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    made = issued(house.organisation())
    stranger = tokens.mint("sk", "live", secrets.token_bytes).reveal()
    report(house, made["secret"], stranger)
    said = "".join(capfd.readouterr())
    assert made["secret"] not in said
    assert stranger not in said
