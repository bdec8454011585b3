"""Which rule a request falls under: the most specific one, and none where the path could be read in two ways."""

from __future__ import annotations

import pytest

from heldtrue.capabilities.edge.model import RouteRule
from heldtrue.capabilities.edge.rules import REMEMBERED, RouteRuleError, Rules, segments_of
from heldtrue.http.router import AmbiguousTargetError


def rule(match: str) -> RouteRule:
    methods, _, pattern = match.rpartition(" ")
    return RouteRule(frozenset(methods.split(",")) if methods else frozenset(), pattern)


def chosen(rules: list[str], method: str, target: str) -> str | None:
    found = Rules([rule(one) for one in rules]).of(method, target.encode())
    return None if found is None else " ".join([",".join(sorted(found.methods)), found.pattern]).strip()


TABLE = ["/**", "/v1/orders", "GET /v1/orders/*", "/v1/orders/*", "/v1/orders/export", "POST /v1/*/items/**", "/v1/*/a"]


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/", "/**"),
        ("GET", "/other", "/**"),
        ("GET", "/v1/orders", "/v1/orders"),
        ("GET", "/v1/orders?x=/v1/orders/7", "/v1/orders"),
        ("GET", "/v1/orders/", "/v1/orders"),
        ("GET", "/v1/orders/7", "GET /v1/orders/*"),
        ("HEAD", "/v1/orders/7", "GET /v1/orders/*"),
        ("DELETE", "/v1/orders/7", "/v1/orders/*"),
        ("DELETE", "/v1/%6frders/7", "/v1/orders/*"),
        ("GET", "/v1/orders/export", "/v1/orders/export"),
        ("GET", "/v1/orders/7/x", "/**"),
        ("POST", "/v1/orders/items", "/v1/orders/*"),
        ("POST", "/v1/users/items", "POST /v1/*/items/**"),
        ("POST", "/v1/orders/items/7/8", "POST /v1/*/items/**"),
        ("GET", "/v1/orders/items", "GET /v1/orders/*"),
        ("GET", "/v1/users/a", "/v1/*/a"),
        ("GET", "/v1/orders/a", "GET /v1/orders/*"),
        ("get", "/v1/orders/7", "/v1/orders/*"),
    ],
)
def test_the_most_specific_rule_wins(method: str, target: str, expected: str) -> None:
    assert chosen(TABLE, method, target) == expected
    assert chosen(TABLE[::-1], method, target) == expected


def test_what_no_rule_is_for_has_none() -> None:
    assert chosen(["GET /v1/orders"], "POST", "/v1/orders") is None
    assert chosen(["/v1/orders/*"], "GET", "/v1/orders") is None
    assert chosen([], "GET", "/") is None
    assert chosen(["/"], "GET", "/") == "/"


def test_any_rest_may_be_none() -> None:
    assert chosen(["/v1/**"], "GET", "/v1") == "/v1/**"


AMBIGUOUS = [
    "/v1/a%2fb", "/v1/%2e%2e/b", "/v1/../b", "/v1/./b", "/..", "/v1/.", "/v1//b", "//v1", "/v1/b;x=1", "/v1\\b",
    "/v1/%5cb", "/v1/%00", "/v1/%0ab", "/v1/%c3%28", "/v1/ö", "/v1/a b", "/v1/a#b", "/v1?x=ö", "/v1?x=a b", "/v1?a#b",
    "*", "", "v1", "http://example.com/v1", "/v1/\x7f", "/v1/%7f",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(AMBIGUOUS)))
def test_a_target_that_others_may_read_in_another_way_is_refused(number: int) -> None:
    with pytest.raises(AmbiguousTargetError):
        segments_of(AMBIGUOUS[number].encode())


@pytest.mark.parametrize("target", ["/v1/a.b", "/v1/.well-known/x", "/v1/...", "/a?b=%2f..;//", "/a?", "/a%20b?c"])
def test_a_plain_target_is_read_as_it_is(target: str) -> None:
    segments_of(target.encode())


def test_an_encoded_letter_is_the_letter() -> None:
    assert segments_of(b"/v1/%6Frders/%C3%B6") == ["v1", "orders", "ö"]
    assert segments_of(b"/v1/100%25") == ["v1", "100%"]


@pytest.mark.parametrize("match", ["v1", "", "/v1/**/x", "/v1/a*", "/v1 /b", "//v1", "/v1//x"])
def test_what_is_no_pattern_is_refused(match: str) -> None:
    with pytest.raises(RouteRuleError):
        Rules([RouteRule(frozenset(), match)])


@pytest.mark.parametrize("rules", [["/a", "/a"], ["GET /a", "GET,POST /a"], ["/a/**", "/a/**"], ["/a", "/a/"]])
def test_two_rules_for_the_same_are_refused(rules: list[str]) -> None:
    with pytest.raises(RouteRuleError):
        Rules([rule(one) for one in rules])


def test_what_is_remembered_of_targets_is_bounded() -> None:
    rules = Rules([rule("/v1/*")])
    for number in range(REMEMBERED + 10):
        assert rules.of("GET", f"/v1/{number}".encode()) is not None
    assert len(rules._known) <= REMEMBERED
