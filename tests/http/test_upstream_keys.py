"""Upstream keys: made, rolled with an overlap in which both stamp, destroyed; the operator's alone, and shown once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from house import House, build_house

from heldtrue.capabilities.edge import upstreams
from heldtrue.capabilities.edge.identity import UpstreamKey
from heldtrue.capabilities.edge.upstreams import StampKeys
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import HeldtrueError


@pytest.fixture
def house(database: Database) -> House:
    house = build_house(database)
    return house.served(*upstreams.routes(house.ports.platform))


def keys_of(house: House, platform: PlatformKey | None = None) -> StampKeys:
    keys = StampKeys(house.database, platform or house.ports.platform, "default", house.clock)
    keys.refresh()
    return keys


def make(house: House, overlap: int = 3600) -> UpstreamKey:
    made = house.operator.post("/v1/upstream-keys", {"upstream": "default", "overlap_seconds": overlap})
    assert made.status == 201, made.body
    key = UpstreamKey.parse(made.json()["secret"])
    assert str(key.id) == made.json()["id"]
    return key


def states(house: House) -> dict[str, str]:
    listed = house.operator.get("/v1/upstream-keys").json()["data"]
    assert not [one for one in listed if "secret" in one]
    return {one["id"]: one["state"] for one in listed}


def test_while_a_key_is_rolled_both_stamp_and_then_only_the_new_one(house: House) -> None:
    assert not keys_of(house)()
    first = make(house)
    assert [key.material for key in keys_of(house)()] == [first.material]
    second = make(house)
    assert [key.material for key in keys_of(house)()] == [second.material, first.material]
    assert states(house) == {str(first.id): "deactivated", str(second.id): "active"}
    third = house.operator.post("/v1/upstream-keys", {"upstream": "default"})
    assert (third.status, third.code) == (409, "upstream-roll-under-way")
    house.clock.at += timedelta(hours=1)
    assert [key.id for key in keys_of(house)()] == [second.id]
    fourth = make(house, overlap=0)
    assert [key.id for key in keys_of(house)()] == [fourth.id]
    assert states(house) == {str(first.id): "destroyed", str(second.id): "destroyed", str(fourth.id): "active"}


def test_a_destroyed_key_is_gone_for_good(house: House) -> None:
    key = make(house)
    gone = house.operator.delete(f"/v1/upstream-keys/{key.id}")
    assert gone.json()["state"] == "destroyed"
    assert not keys_of(house)()
    with house.database.system() as tx:
        assert tx.value("SELECT count(*) FROM keystore.upstream_keys WHERE wrapped IS NOT NULL") == 0
    assert house.operator.delete(f"/v1/upstream-keys/{key.id}").status == 200
    missing = house.operator.delete("/v1/upstream-keys/ck_" + "0" * 32)
    assert (missing.status, missing.code) == (404, "upstream-key-not-found")


def test_a_key_is_kept_wrapped_and_opens_under_the_platform_key_only(house: House) -> None:
    key = make(house)
    with house.database.system() as tx:
        wrapped = tx.value("SELECT wrapped FROM keystore.upstream_keys")
    assert key.material.reveal() not in wrapped
    other = PlatformKey(house.ports.platform.id, key.material)
    with pytest.raises(HeldtrueError):
        keys_of(house, other)


def test_no_organisation_may_touch_them(house: House) -> None:
    caller = house.organisation()
    app = house.caller(caller.key)
    assert app.post("/v1/upstream-keys", {"upstream": "default"}).status == 403
    assert app.get("/v1/upstream-keys").status == 403


def test_keys_known_stamp_on_when_they_cannot_be_read(house: House) -> None:
    key = make(house)
    keys = keys_of(house)
    house.database.close()
    with pytest.raises(HeldtrueError):
        keys.refresh()
    assert [one.id for one in keys()] == [key.id]
