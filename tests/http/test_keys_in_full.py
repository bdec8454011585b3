"""What a key is bound to, from outside: scope names, origins, addresses, its last use, and the year after."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from house import House, tenant_of

from heldtrue.capabilities.access.model import ROTATION
from heldtrue.capabilities.access.reminders import Reminder
from heldtrue.kernel.ids import KeyId

BOUND = {
    "grants": ["orders.write", "orders.read"],
    "origins": ["https://*.Example.com", "https://app.example.com:443"],
    "addresses": ["192.0.2.7", "10.0.0.0/8"],
}
KEPT = {
    "grants": ["orders.read", "orders.write"],
    "origins": ["https://*.example.com", "https://app.example.com"],
    "addresses": ["10.0.0.0/8", "192.0.2.7/32"],
}


def bindings(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in KEPT}


def test_what_a_key_is_bound_to_is_shown_wherever_the_key_is(house: House) -> None:
    admin = house.organisation()
    issued = admin.post("/v1/keys", {"name": "shop", "role": "reader", **BOUND}).json()
    shown = admin.get(f"/v1/keys/{issued['id']}").json()
    listed = admin.get("/v1/keys").json()["data"][0]
    assert bindings(issued) == bindings(shown) == bindings(listed) == KEPT
    assert "secret" not in shown
    rolled = admin.post(f"/v1/keys/{issued['id']}/roll", {"overlap_seconds": 0}).json()
    assert bindings(rolled) == KEPT


def test_the_operator_binds_a_key_too(house: House) -> None:
    admin = house.organisation()
    organisation = admin.get("/v1/self").json()["organisation_id"]
    body = {"name": "first", "environment": "live", "role": "reader", **BOUND}
    made = house.operator.post(f"/v1/organisations/{organisation}/keys", body).json()
    assert bindings(made) == KEPT


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"grants": ["Orders"]}, "invalid-value"),
        ({"grants": ["orders", "orders"]}, "malformed-grant"),
        ({"grants": [f"g{n}" for n in range(65)]}, "invalid-value"),
        ({"origins": ["https://*.com"]}, "malformed-origin"),
        ({"origins": ["http://app.example.com"]}, "malformed-origin"),
        ({"origins": ["https://app.example.com/path"]}, "malformed-origin"),
        ({"addresses": ["192.0.2.7/24"]}, "malformed-network"),
        ({"addresses": ["localhost"]}, "malformed-network"),
    ],
)
def test_a_key_is_bound_to_nothing_that_means_nothing(house: House, asked: dict[str, Any], code: str) -> None:
    got = house.organisation().post("/v1/keys", {"name": "x", "role": "reader", **asked})
    assert (got.status, got.code) == (422, code)


def test_a_key_hands_out_no_scope_name_that_it_does_not_have(house: House) -> None:
    admin = house.organisation()
    asked = {"name": "m", "role": "admin", "scopes": ["key.issue", "self.read"], "grants": ["orders.read"]}
    narrow = house.caller(admin.post("/v1/keys", asked).json()["secret"])
    wanted = {"name": "n", "role": "admin", "scopes": ["self.read"]}
    assert narrow.post("/v1/keys", {**wanted, "grants": ["billing"]}).code == "grant-escalation"
    assert narrow.post("/v1/keys", {**wanted, "grants": ["orders.read"]}).status == 201
    rich = admin.post("/v1/keys", {**wanted, "grants": ["billing"]}).json()
    assert narrow.post(f"/v1/keys/{rich['id']}/roll", {}).code == "grant-escalation"


def test_a_key_of_another_organisation_or_environment_is_not_shown(house: House) -> None:
    admin, other = house.organisation(), house.organisation()
    issued = admin.post("/v1/keys", {"name": "x", "role": "reader"}).json()
    assert other.get(f"/v1/keys/{issued['id']}").code == "key-not-found"
    assert admin.get(f"/v1/keys/{KeyId.new(house.clock.now(), house.ports.entropy)}").code == "key-not-found"


def test_the_last_use_is_shown_once_it_was_noted(house: House) -> None:
    admin = house.organisation()
    issued = admin.post("/v1/keys", {"name": "x", "role": "reader"}).json()
    assert issued["last_used_at"] is None
    with house.database.system() as tx:
        tx.execute(
            "INSERT INTO heldtrue.key_uses VALUES (%s, 'live', %s, %s)",
            [tenant_of(house, admin).value, KeyId.parse(issued["id"]).value, house.clock.at],
        )
    assert admin.get(f"/v1/keys/{issued['id']}").json()["last_used_at"] is not None


def reminder(house: House) -> Reminder:
    ports = house.ports
    return Reminder(ports.database, ports.platform, ports.key_cache, ports.entropy)


def test_the_holder_of_a_year_old_key_is_reminded_once_a_year(fresh_house: House) -> None:
    house = fresh_house
    admin = house.organisation()
    old = admin.post("/v1/keys", {"name": "old", "role": "reader"}).json()
    ended = admin.post("/v1/keys", {"name": "ended", "role": "reader"}).json()
    admin.delete(f"/v1/keys/{ended['id']}")
    rolled = admin.post("/v1/keys", {"name": "rolled", "role": "reader"}).json()

    def told() -> list[str]:
        return [one["subject"] for one in house.entries(admin) if one["event"] == "key.rotation-due"]

    assert reminder(house).remind(house.clock.now()) == 0
    house.clock.at += ROTATION - timedelta(days=1)
    admin.post(f"/v1/keys/{rolled['id']}/roll", {"overlap_seconds": 7 * 86400})
    house.clock.at += timedelta(days=1)
    assert admin.get(f"/v1/keys/{old['id']}").json()["rotation_due"]
    first = admin.get("/v1/self").json()["id"]
    assert reminder(house).remind(house.clock.now()) == 3  # old, the first key, and the operator's own
    assert sorted(told()) == sorted([first, old["id"]])
    assert reminder(house).remind(house.clock.now()) == 0
    house.clock.at += ROTATION - timedelta(days=1)
    assert reminder(house).remind(house.clock.now()) == 1  # the successor of the rolled one
    house.clock.at += timedelta(days=1)
    assert reminder(house).remind(house.clock.now()) == 3
    assert told().count(old["id"]) == 2


def test_reminders_go_through_batches(fresh_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = fresh_house
    admin = house.organisation()
    for number in range(5):
        admin.post("/v1/keys", {"name": f"key {number}", "role": "reader"})
    monkeypatch.setattr("heldtrue.capabilities.access.reminders.BATCH", 2)
    house.clock.at += ROTATION + timedelta(days=1)
    assert reminder(house).remind(house.clock.now()) == 7
    assert reminder(house).remind(house.clock.now()) == 0


def test_a_bound_or_ending_key_makes_none_that_is_freer(house: House) -> None:
    admin = house.organisation()
    end = house.clock.now() + timedelta(days=1)
    asked = {"name": "bound", "role": "admin", "addresses": ["192.0.2.0/24"], "expires_at": end.isoformat()}
    bound = house.caller(admin.post("/v1/keys", asked).json()["secret"])
    bound.client = "192.0.2.9"
    body = {"name": "x", "role": "admin"}
    assert bound.post("/v1/keys", body).code == "looser-key"
    inside = {**body, "addresses": ["192.0.2.0/25"]}
    late = {**inside, "expires_at": (end + timedelta(seconds=1)).isoformat()}
    assert bound.post("/v1/keys", late).code == "outlives-issuer"
    made = bound.post("/v1/keys", inside).json()
    assert made["expires_at"] == admin.get("/v1/keys").json()["data"][1]["expires_at"]
    free = admin.post("/v1/keys", body).json()
    assert bound.post(f"/v1/keys/{free['id']}/roll", {"overlap_seconds": 0}).code == "looser-key"
