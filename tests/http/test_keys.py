"""API keys from outside: issued once, listed without secrets, rolled with an overlap, dead when revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from house import House, actor_of

from heldtrue.capabilities.access.bootstrap import bootstrap_operator, renew_operator
from heldtrue.crypto import tokens


def test_a_key_is_shown_once_and_never_listed(house: House) -> None:
    admin = house.organisation()
    issued = admin.post("/v1/keys", {"name": "billing", "role": "sender"})
    assert issued.status == 201
    secret = issued.json()["secret"]
    assert tokens.parse(secret).environment == "live"
    listed = admin.get("/v1/keys")
    assert secret not in listed.body.decode()
    assert [one["name"] for one in listed.json()["data"]] == ["billing", "first"]
    assert all("secret" not in one and "digest" not in one for one in listed.json()["data"])
    assert listed.json()["data"][0]["last4"] == secret[-4:]


def test_a_revoked_key_dies_at_once(house: House) -> None:
    admin = house.organisation()
    issued = admin.post("/v1/keys", {"name": "x", "role": "reader"}).json()
    reader = house.caller(issued["secret"])
    assert reader.get("/v1/self").status == 200
    revoked = admin.delete(f"/v1/keys/{issued['id']}")
    assert revoked.json()["state"] == "revoked"
    refused = reader.get("/v1/self")
    assert (refused.status, refused.code) == (401, "key-revoked")
    again = admin.delete(f"/v1/keys/{issued['id']}")
    assert again.json()["revoked_at"] == revoked.json()["revoked_at"]


def test_a_rolled_key_works_through_the_overlap_only(house: House) -> None:
    admin = house.organisation()
    issued = admin.post("/v1/keys", {"name": "x", "role": "reader"}).json()
    rolled = admin.post(f"/v1/keys/{issued['id']}/roll", {"overlap_seconds": 60})
    assert rolled.status == 201, rolled.body
    old, new = house.caller(issued["secret"]), house.caller(rolled.json()["secret"])
    assert old.get("/v1/self").status == new.get("/v1/self").status == 200
    assert admin.post(f"/v1/keys/{issued['id']}/roll", {}).code == "roll-under-way"
    assert admin.post(f"/v1/keys/{rolled.json()['id']}/roll", {}).code == "roll-under-way"
    house.clock.at += timedelta(seconds=61)
    assert old.get("/v1/self").code == "key-expired"
    assert new.get("/v1/self").status == 200
    assert admin.post(f"/v1/keys/{rolled.json()['id']}/roll", {}).status == 201


def test_a_key_gives_nobody_more_than_it_has(house: House) -> None:
    admin = house.organisation()
    asked = {"name": "hr", "role": "admin", "scopes": ["key.issue", "self.read"]}
    narrow = house.caller(admin.post("/v1/keys", asked).json()["secret"])
    assert narrow.post("/v1/keys", {"name": "y", "role": "admin"}).code == "escalation"
    assert narrow.post("/v1/keys", {"name": "y", "role": "admin", "scopes": ["self.read"]}).status == 201
    wide = admin.get("/v1/keys").json()["data"][-1]["id"]
    assert narrow.post(f"/v1/keys/{wide}/roll", {}).code == "escalation"


@pytest.mark.parametrize("role", ["operator", "root", ""])
def test_no_customer_gets_another_role(house: House, role: str) -> None:
    assert house.organisation().post("/v1/keys", {"name": "x", "role": role}).status == 422


def test_a_publishable_key_may_only_send(house: House) -> None:
    admin = house.organisation()
    issued = admin.post("/v1/keys", {"name": "site", "role": "publishable"}).json()
    assert issued["secret"].startswith("ht_pk_live_")
    site = house.caller(issued["secret"])
    for target in ("/v1/self", "/v1/keys", "/v1/organisations"):
        assert site.get(target).code == "missing-permission"


def test_a_key_belongs_to_one_environment(house: House) -> None:
    admin = house.organisation()
    organisation = admin.get("/v1/self").json()["organisation_id"]
    made = house.operator.post(f"/v1/organisations/{organisation}/environments", {"environment": "test"})
    assert made.status == 201, made.body
    tester = house.caller(house.issue(organisation, "test"))
    assert [one["environment"] for one in tester.get("/v1/keys").json()["data"]] == ["test"]
    assert [one["environment"] for one in admin.get("/v1/keys").json()["data"]] == ["live"]
    live = admin.get("/v1/keys").json()["data"][0]["id"]
    assert tester.delete(f"/v1/keys/{live}").code == "key-not-found"


def test_the_operator_cannot_read_an_organisations_data(house: House) -> None:
    house.organisation()
    for target in ("/v1/keys", "/v1/payloads", "/v1/audit"):
        assert house.operator.get(target).status in {403, 404}
    assert house.operator.post("/v1/keys", {"name": "x", "role": "admin"}).code == "missing-permission"


def test_a_customer_cannot_reach_the_operators_registers(house: House) -> None:
    admin = house.organisation()
    organisation = admin.get("/v1/self").json()["organisation_id"]
    assert admin.get("/v1/organisations").status == 403
    assert admin.post("/v1/organisations", {"name": "x"}).status == 403
    assert admin.post(f"/v1/organisations/{organisation}/keys", {"name": "x"}).status == 403


def test_what_is_not_there_is_named(house: House) -> None:
    nobody = "org_" + "0" * 32
    assert house.operator.post(f"/v1/organisations/{nobody}/keys", {"name": "x"}).code == "unknown-organisation"
    made = house.operator.post("/v1/organisations", {"name": "x"}).json()["id"]
    asked = {"name": "x", "environment": "prod"}
    assert house.operator.post(f"/v1/organisations/{made}/keys", asked).code == "unknown-environment"
    again = house.operator.post(f"/v1/organisations/{made}/environments", {"environment": "live"})
    assert again.code == "environment-exists"
    taken = house.operator.post("/v1/organisations", {"name": "x", "environments": ["operator"]})
    assert taken.code == "invalid-value"
    assert house.organisation().delete("/v1/keys/nonsense").code == "malformed-id"


def test_names_are_sealed_and_secrets_are_not_stored(house: House) -> None:
    admin = house.organisation("CanaryCorp")
    secret = admin.post("/v1/keys", {"name": "CanaryKey", "role": "sender"}).json()["secret"]
    with house.database.system() as tx:
        names = tx.value("SELECT string_agg(encode(name_sealed, 'escape'), ' ') FROM heldtrue.organisations")
    assert "Canary" not in names
    actor = actor_of(house.ports, admin)
    with house.database.tenant(actor.tenant, "live") as tx:
        rows = tx.value("SELECT string_agg(k::text, ' ') FROM heldtrue.api_keys k")
    assert secret not in rows
    assert secret[-49:-6] not in rows
    assert b"CanaryKey".hex() not in rows


def test_pages_of_keys_follow_one_another(house: House) -> None:
    admin = house.organisation()
    for number in range(4):
        admin.post("/v1/keys", {"name": f"n{number}", "role": "sender"})
    seen: list[str] = []
    target: str | None = "/v1/keys?limit=2"
    while target:
        page = admin.get(target).json()
        assert len(page["data"]) <= 2
        seen += [one["name"] for one in page["data"]]
        target = f"/v1/keys?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == ["n3", "n2", "n1", "n0", "first"]
    assert admin.get("/v1/keys?cursor=AAAA").code == "malformed-cursor"
    assert admin.get("/v1/keys?limit=0").code == "invalid-value"


def test_there_is_one_operator(house: House) -> None:
    assert bootstrap_operator(house.ports) is None
    more = renew_operator(house.ports)
    assert house.caller(more.reveal()).get("/v1/organisations").status == 200


def test_a_crash_before_the_commit_leaves_no_new_credential(house: House) -> None:
    before = len(house.entries(house.operator))
    kept: list[str] = []

    def crash(secret: object) -> None:
        kept.append(str(secret))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        renew_operator(house.ports, keep=crash)
    assert kept == ["<secret>"]
    assert len(house.entries(house.operator)) == before
