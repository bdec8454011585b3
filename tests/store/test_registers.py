"""Registers over a real database: versions that nobody takes back, each an entry in the log; private ones sealed."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from house import House, build_house

from heldtrue.capabilities.access.routes import ROUTES as ACCESS
from heldtrue.capabilities.ledger.model import instant, parse_entry
from heldtrue.capabilities.registers.model import Change, Kind, table
from heldtrue.capabilities.registers.routes import routes
from heldtrue.capabilities.tenants.routes import ROUTES as TENANTS
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import ConflictError


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A document."""

    name: str
    seen_at: datetime | None = None
    count: int = 0


class ThirteenError(ConflictError):
    """Thirteen is refused by the guard of these things; take another number."""

    code = "thirteen"


def _not_thirteen(change: Change[Thing]) -> None:
    if change.document is not None and change.document.count == 13:
        raise ThirteenError("Not thirteen.", advice="Take another number.")


OPEN = Kind(name="things", title="Things", type=Thing, public=True, guard=_not_thirteen)
SHUT = Kind(name="secrets", title="Secrets", type=Thing, public=False)
KINDS = table([OPEN, SHUT])


@pytest.fixture(scope="module")
def house(module_database: Database) -> Generator[House]:
    built = build_house(module_database, [*TENANTS, *ACCESS, *routes(KINDS)])
    yield built
    built.app.close()


def logged(house: House) -> list[dict[str, Any]]:
    with house.database.system() as tx:
        found = tx.value("SELECT array_agg(entry ORDER BY leaf_id) FROM heldtrue.log_pending")
    return [parse_entry(bytes(one)) for one in found]


def put(house: House, register: str, item: str, **document: Any) -> Any:
    body = json.dumps({"document": document}).encode()
    headers = {"content-type": "application/json"}
    return house.operator.call("PUT", f"/v1/registers/{register}/{item}", body=body, headers=headers)


def test_each_version_is_an_entry_in_the_log(house: House) -> None:
    first = put(house, "things", "one", name="A", seen_at="2026-11-22T12:00:00+01:00")
    assert first.status == 200, first.body
    second = put(house, "things", "one", name="B").json()
    assert (first.json()["version"], second["version"]) == (1, 2)
    entries = [one for one in logged(house) if one["kind"] == "register" and one["item"] == "one"]
    assert [one["document"]["name"] for one in entries] == ["A", "B"]
    assert entries[0] == {
        "v": 1, "kind": "register", "register": "things", "item": "one", "version": 1, "withdrawn": None,
        "document": {"name": "A", "seen_at": "2026-11-22T11:00:00.000Z", "count": 0}, "at": entries[0]["at"],
    }  # fmt: skip


def test_what_would_change_nothing_is_not_recorded(house: House) -> None:
    made = put(house, "things", "same", name="A").json()
    assert put(house, "things", "same", name="A", count=0).json() == made
    history = house.operator.get("/v1/registers/things/same/history").json()["data"]
    assert len(history) == 1


def test_a_withdrawal_is_a_version_too_and_what_comes_back_goes_on_counting(house: House) -> None:
    put(house, "things", "gone", name="A")
    gone = house.operator.delete("/v1/registers/things/gone?reason=sold").json()
    assert (gone["version"], gone["withdrawn"]) == (2, "sold")
    assert house.operator.get("/v1/registers/things/gone").status == 404
    assert house.operator.delete("/v1/registers/things/gone?reason=sold").json()["type"].endswith("nothing-to-withdraw")
    assert put(house, "things", "gone", name="A").json()["version"] == 3
    assert [one for one in logged(house) if one.get("item") == "gone"][1]["withdrawn"] == "sold"


def test_a_register_is_read_as_it_stood(house: House) -> None:
    put(house, "things", "then", name="old")
    before = instant(house.clock.at)
    house.clock.at += timedelta(hours=1)
    put(house, "things", "then", name="new")
    put(house, "things", "later", name="new")

    def named(query: str) -> dict[str, str]:
        found = house.operator.get(f"/v1/registers/things{query}").json()["data"]
        return {one["item"]: one["document"]["name"] for one in found if one["item"] in {"then", "later"}}

    assert named("") == {"then": "new", "later": "new"}
    assert named(f"?as_of={before}") == {"then": "old"}


def test_what_a_guard_refuses_leaves_nothing(house: House) -> None:
    refused = put(house, "things", "unlucky", name="A", count=13)
    assert (refused.status, refused.json()["advice"]) == (409, "Take another number.")
    assert house.operator.get("/v1/registers/things/unlucky/history").status == 404
    assert not [one for one in logged(house) if one.get("item") == "unlucky"]


@pytest.mark.parametrize(
    ("item", "document", "status"),
    [
        ("one", {"name": 5}, 422),
        ("one", {"name": "A", "more": 1}, 422),
        ("one", {}, 422),
        ("One", {"name": "A"}, 422),
        ("-one", {"name": "A"}, 422),
    ],
    ids=["type", "unknown-member", "missing-member", "capital", "hyphen-first"],
)
def test_a_document_or_name_that_does_not_fit_is_refused(
    house: House, item: str, document: dict[str, Any], status: int
) -> None:
    got = put(house, "things", item, **document)
    assert got.status == status, got.body
    assert put(house, "nothings", "one", name="A").status == 404


def test_an_import_is_all_or_nothing_and_a_dry_run_is_nothing(house: House) -> None:
    good = {"register": "things", "item": "imported", "document": {"name": "A"}}
    bad = {"register": "things", "item": "unlucky", "document": {"name": "A", "count": 13}}
    tried = house.operator.post("/v1/registers", {"entries": [good, bad], "dry_run": True}).json()
    assert [(one["outcome"], one["refusal"]) for one in tried["data"]] == [
        ("new", None),
        ("refused", "Not thirteen. Take another number."),
    ]
    refused = house.operator.post("/v1/registers", {"entries": [good, bad]})
    assert refused.status == 422
    assert "things/unlucky: Not thirteen" in refused.json()["detail"]
    assert house.operator.get("/v1/registers/things/imported/history").status == 404
    done = house.operator.post("/v1/registers", {"entries": [good]}).json()
    assert (done["recorded"], done["data"][0]["outcome"]) == (True, "new")
    again = house.operator.post("/v1/registers", {"entries": [good]}).json()
    assert again["data"][0]["outcome"] == "unchanged"
    twice = house.operator.post("/v1/registers", {"entries": [good, good]})
    assert twice.json()["type"].endswith("import-refused")


def test_a_private_document_is_sealed_and_the_log_has_only_its_commitment(
    house: House, module_database: Database
) -> None:
    made = put(house, "secrets", "one", name="nobody reads this").json()
    assert house.operator.get("/v1/registers/secrets/one").json()["document"]["name"] == "nobody reads this"
    with module_database.system() as tx:
        sealed = bytes(tx.value("SELECT document_sealed FROM heldtrue.register_sealed WHERE item = 'one'"))
        public = tx.value("SELECT count(*) FROM heldtrue.register_entries WHERE register = 'secrets'")
        leaf = made["leaf_id"].removeprefix("leaf_")
        entry = parse_entry(
            bytes(tx.value("SELECT entry FROM heldtrue.log_pending WHERE replace(leaf_id::text, '-', '') = %s", [leaf]))
        )
    assert (b"nobody" in sealed, public, sorted(entry)) == (False, 0, ["c", "kind", "v"])
    assert not any(one.get("register") == "secrets" for one in logged(house))


def test_nobody_changes_or_deletes_a_version(house: House, module_database: Database) -> None:
    put(house, "things", "kept", name="A")
    for statement in ("UPDATE heldtrue.register_entries SET withdrawn = 'x'", "DELETE FROM heldtrue.register_entries"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), module_database.system() as tx:
            tx.execute(statement)  # pyright: ignore[reportArgumentType]


def test_the_tenant_role_sees_public_registers_and_nothing_of_private_ones(house: House, make_tenant: Any) -> None:
    put(house, "secrets", "hidden", name="A")
    put(house, "things", "seen", name="A")
    tenant = make_tenant(house.database)
    with house.database.tenant(tenant, "live") as tx:
        assert tx.value("SELECT count(*) FROM heldtrue.register_entries WHERE register = 'things'") > 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege), house.database.tenant(tenant, "live") as tx:
        tx.value("SELECT count(*) FROM heldtrue.register_sealed")


def test_registers_are_listed_with_their_schemas(house: House) -> None:
    found = {one["register"]: one for one in house.operator.get("/v1/registers").json()["data"]}
    assert (found["things"]["public"], found["secrets"]["public"]) == (True, False)
    assert "name" in str(found["things"]["schema"])
