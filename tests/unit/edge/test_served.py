"""What is written of served requests is canonical, whatever text a caller chose, and lists each once."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import msgspec
import pytest

from heldtrue.capabilities.edge import served
from heldtrue.capabilities.edge.served import Served, by_place, documents
from heldtrue.crypto.canonical import canonicalize
from heldtrue.kernel.ids import KeyId, TenantId

NOW = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
TENANTS = [TenantId.new(NOW, secrets.token_bytes) for _ in range(3)]
KEY = KeyId.new(NOW, secrets.token_bytes)


def a_request(
    number: int, path: str = "/v1/orders", tenant: TenantId = TENANTS[0], environment: str = "live"
) -> Served:
    return Served(
        tenant, environment, KEY, str(KEY), None, f"req_{number:032x}", NOW, "GET", path, None, "allowed", "edge"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('/"requests":[]', id="the-very-place"),
        pytest.param('/\x00\x1f\x7f\\"\t\r\n\u2028', id="controls"),
        pytest.param("/ä€😀", id="beyond-ascii"),
        pytest.param("/\ud800", id="half-a-pair"),
        pytest.param("/" + "é" * 600, id="long"),
    ],
)
def test_a_document_is_canonical_whatever_it_lists(text: str) -> None:
    one = a_request(1, text)._replace(subject=text, method=text, session=text)
    (written,) = documents((TENANTS[0], "live"), [one, a_request(2)], NOW)
    read = msgspec.json.decode(written)
    assert canonicalize(read) == written
    assert read["detail"]["count"] == 2
    assert [request["request"][-1] for request in read["detail"]["requests"]] == ["1", "2"]


def test_an_environment_cannot_take_the_place_of_the_list() -> None:
    (written,) = documents((TENANTS[0], '"requests":[]'), [a_request(1)], NOW)
    read = msgspec.json.decode(written)
    assert canonicalize(read) == written
    assert len(read["detail"]["requests"]) == 1


def test_what_is_too_much_for_one_document_makes_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "DOCUMENT_LIMIT", 2000)
    many = list(documents((TENANTS[0], "live"), [a_request(number) for number in range(20)], NOW))
    assert len(many) > 1
    assert all(len(written) <= 2000 for written in many)
    listed = [request["request"] for written in many for request in msgspec.json.decode(written)["detail"]["requests"]]
    assert listed == [f"req_{number:032x}" for number in range(20)]


def test_each_organisations_environment_is_apart_and_in_order() -> None:
    twin = TenantId(TENANTS[0].value)
    given = [
        a_request(0), a_request(1, tenant=TENANTS[1]), a_request(2, tenant=twin), a_request(3, environment="test"),
        a_request(4),
    ]  # fmt: skip
    found = by_place(given)
    assert {place: [int(one.request[-1]) for one in many] for place, many in found.items()} == {
        (TENANTS[0], "live"): [0, 2, 4],
        (TENANTS[1], "live"): [1],
        (TENANTS[0], "test"): [3],
    }
