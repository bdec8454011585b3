"""An answer is judged by its status and by its content: what gives it away, and what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from heldtrue.capabilities.probe import inventory
from heldtrue.capabilities.probe.inventory import ApiRoute
from heldtrue.capabilities.probe.judge import Reply, alike, baseline, discloses
from heldtrue.capabilities.probe.model import Check, Ended, Outcome, ProbeInputError, outcome
from heldtrue.capabilities.probe.values import Owner, Value, absent, point, target
from heldtrue.capabilities.probe.wallet import altered, unsigned

OUTSIDE = '{"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": [{"$ref": "https://elsewhere.example/p"}]}}}}'
MINE = {"id": "ord_alder_1", "customer": "Harbour Lamps", "state": "open", "made_at": "2026-11-20T12:00:00Z"}
THEIRS = {"id": "ord_birch_1", "customer": "Quiet Looms", "state": "open", "made_at": "2026-11-21T12:00:00Z"}


def reply(body: Any, status: int = 200) -> Reply:
    return Reply(status, "application/json", json.dumps(body).encode())


OWNER = baseline(reply(MINE), reply(THEIRS), ["Alder Freight", "ord_alder_1"], "/v1/orders/ord_alder_1")


@pytest.mark.parametrize(
    ("answer", "tells"),
    [
        (MINE, True),
        ({"data": {"x": "of Alder Freight"}}, True),
        ({"customer": "Harbour Lamps"}, True),
        ({"error": "there is no such order: ord_alder_1"}, False),  # the request's own words
        ({"error": "open", "made_at": "2026-11-20T12:00:00Z"}, False),  # moments and words that b has, too
        (THEIRS, False),
        ({"data": []}, False),
    ],
    ids=["all", "mark", "value", "echo", "moment", "own", "empty"],
)
def test_only_what_is_the_owners_alone_gives_it_away(answer: Any, tells: bool) -> None:
    assert (discloses(reply(answer), OWNER) is not None) is tells


@pytest.mark.parametrize(
    ("answer", "same"),
    [({**MINE, "state": "closed"}, True), ({"error": "sign in"}, False), ({"data": []}, False)],
    ids=["same", "error", "empty"],
)
def test_an_error_page_or_an_empty_list_is_not_like_the_owners_answer(answer: Any, same: bool) -> None:
    assert alike(reply(answer), reply(MINE)) is same


def test_a_run_holds_only_when_it_ended_and_judged_something() -> None:
    assert outcome(Ended.COMPLETE, 3, 0) is Outcome.HELD
    assert outcome(Ended.COMPLETE, 0, 0) is Outcome.INCOMPLETE
    assert outcome(Ended.BUDGET, 3, 0) is Outcome.INCOMPLETE
    assert outcome(Ended.TROUBLE, 0, 1) is Outcome.BROKEN


def test_paths_are_bent_and_filled() -> None:
    route = ApiRoute("GET", "/v1/orders/{order_id}", (("kind", "x"),))
    values = {"order_id": Value("a/1", "b 1"), "kind": Value("k", "k")}
    assert target(route, values, Owner.A) == "/v1/orders/a%2F1?kind=k"
    assert target(route, values, Owner.B, Check.CASE) == "/V1/ORDERS/b%201?kind=k"
    assert target(route, values, Owner.A, Check.ENCODED) == "/v1/%6Frders/a%2F1?kind=k"
    assert target(route, values, Owner.A, Check.DOUBLE) == "//v1/orders/a%2F1?kind=k"
    assert target(route, values, Owner.A, Check.SEMICOLON) == "/v1/orders/a%2F1;a=b?kind=k"


def test_credentials_are_spoilt_but_keep_their_form() -> None:
    assert len(altered("key_0123456789")) == 14
    assert altered("key_0123456789") != "key_0123456789"
    token = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl"
    assert altered(token).rpartition(".")[0] == token.rpartition(".")[0]
    assert unsigned(token) == "eyJhbGciOiAibm9uZSIsICJ0eXAiOiAiSldUIn0.eyJhIjoxfQ."
    assert unsigned("no.token") is None
    assert absent("ord_1a2b3c4d") != "ord_1a2b3c4d"
    assert point({"data": [{"a/b": 7}]}, "/data/0/a~1b") == "7"


def test_routes_are_read_from_openapi_and_from_lists() -> None:
    document = {
        "openapi": "3.0.3",
        "security": [{"key": []}],
        "paths": {
            "/a/{id}": {
                "parameters": [{"$ref": "#/components/parameters/id"}],
                "get": {"parameters": [{"name": "q", "in": "query", "required": True, "schema": {"default": 3}}]},
                "post": {"security": [], "requestBody": {"content": {"application/json": {"example": {"x": 1}}}}},
            }
        },
        "components": {"parameters": {"id": {"name": "id", "in": "path", "example": "seven"}}},
    }
    get, post = inventory.read(json.dumps(document))
    assert (get.at, get.query, get.examples, get.public) == ("GET /a/{id}", (("q", "3"),), (("id", "seven"),), False)
    assert (post.at, post.public, post.body) == ("POST /a/{id}", True, '{"x": 1}')
    assert [one.at for one in inventory.read("# all\nPOST /b\nGET /a # first\n")] == ["GET /a", "POST /b"]


@pytest.mark.parametrize(
    "text",
    ["", "openapi: 3.1.0\n", '{"swagger": "2.0"}', "get /a", OUTSIDE],
    ids=["empty", "yaml", "old", "letters", "outside"],
)
def test_what_is_no_list_of_routes_is_refused(text: str) -> None:
    with pytest.raises(ProbeInputError):
        inventory.read(text)
