"""A path leads to one route, and what two servers could read differently leads nowhere."""

from __future__ import annotations

import pytest

from heldtrue.http.problems import UnknownRouteError
from heldtrue.http.route import Route
from heldtrue.http.router import AmbiguousTargetError, Router


def route(at: str) -> Route:
    return Route(at=at, action=print, summary="")


ROUTER = Router(
    [
        route("GET /v1/things/{thing_id}"),
        route("GET /v1/things/newest"),
        route("POST /v1/things"),
        route("GET /log/tile/{path:path}"),
    ]
)


def test_a_plain_path_goes_before_one_with_parameters() -> None:
    assert ROUTER.find(b"/v1/things/newest", "/v1/things/newest").path == {}
    assert ROUTER.find(b"/v1/things/x", "/v1/things/x").path == {"thing_id": "x"}


def test_a_path_parameter_spans_slashes_only_where_it_says_so() -> None:
    assert ROUTER.find(b"/", "/log/tile/0/x001/234").path == {"path": "0/x001/234"}
    with pytest.raises(UnknownRouteError):
        ROUTER.find(b"/v1/things/x/y", "/v1/things/x/y")


def test_allow_names_every_method() -> None:
    assert ROUTER.find(b"/", "/v1/things/x").allow == "GET, HEAD, OPTIONS"
    assert ROUTER.find(b"/", "/v1/things").allow == "OPTIONS, POST"


@pytest.mark.parametrize(
    "raw",
    [
        b"/v1/../x",
        b"/v1/./x",
        b"//v1",
        b"/v1%2fthings",
        b"/v1;a=b",
        b"/v1/%2e%2E/x",
        b"/v1\\x",
        b"/x%00",
        b"/v1/..",
        b"/v1/%252e%252e/x",
        b"/v1%25252Fx",
        b"/v1%255cx",
    ],
)
def test_an_ambiguous_target_is_refused(raw: bytes) -> None:
    with pytest.raises(AmbiguousTargetError):
        ROUTER.find(raw, "/v1/things")


def test_two_routes_at_one_place_are_refused() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Router([route("GET /x"), route("GET /x")])
