"""An action may make its answer stricter; it touches neither identity nor caching."""

from __future__ import annotations

from heldtrue.http.headers import complete
from heldtrue.http.route import CacheClass

OURS = [("request-id", "req_1")]


def test_an_action_can_make_its_answer_stricter() -> None:
    got = dict(complete("text/html", CacheClass.PRIVATE, OURS, [("content-security-policy", "sandbox"), ("x-a", "b")]))
    assert got["content-security-policy"] == "sandbox"
    assert got["x-a"] == "b"
    assert got["x-content-type-options"] == "nosniff"


def test_an_action_touches_neither_identity_nor_caching() -> None:
    given = [("request-id", "req_2"), ("cache-control", "public"), ("content-length", "0"), ("content-type", "x/y")]
    got = complete("application/json", CacheClass.PRIVATE, OURS, given)
    assert dict(got)["request-id"] == "req_1"
    assert dict(got)["cache-control"] == "no-store"
    assert len({name for name, _ in got}) == len(got)
    assert not {"content-length", "content-type"} & {name for name, _ in got}


def test_only_public_answers_may_be_used_by_other_sites() -> None:
    assert dict(complete("x/y", CacheClass.PRIVATE, [], []))["cross-origin-resource-policy"] == "same-origin"
    assert dict(complete("x/y", CacheClass.PAGE, [], []))["cross-origin-resource-policy"] == "cross-origin"
