"""Journey 1: what a request goes through, from outside."""

from __future__ import annotations

from house import House


def test_the_operator_founds_an_organisation_and_issues_its_first_key(fresh_house: House) -> None:
    house = fresh_house
    made = house.operator.post("/v1/organisations", {"name": "Ledgerline"})
    assert made.status == 201
    assert made.json()["environments"] == ["live"]
    assert made.json()["created_at"].endswith("Z")
    key = house.operator.post(f"/v1/organisations/{made.json()['id']}/keys", {"name": "first", "role": "admin"})
    assert key.status == 201
    me = house.caller(key.json()["secret"]).get("/v1/self")
    assert me.status == 200, me.body
    assert me.json()["organisation_id"] == made.json()["id"]
    assert me.json()["environment"] == "live"
    listed = house.operator.get("/v1/organisations")
    assert [one["name"] for one in listed.json()["data"]] == ["Ledgerline", "Operator"]
