"""GCRA lets through what it promises, not one more, and tells the caller so."""

from __future__ import annotations

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.http.limits import Gcra, Rate, headers_of, source_of


class Hand:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_burst_is_admitted_and_not_one_more() -> None:
    hand = Hand()
    gcra = Gcra("key", Rate(5, 1), hand)
    assert [gcra.take("a").admitted for _ in range(6)] == [True] * 5 + [False]


def test_a_refused_one_is_told_when_to_come_back_and_is_admitted_then() -> None:
    hand = Hand()
    gcra = Gcra("key", Rate(2, 4), hand)
    gcra.take("a")
    gcra.take("a")
    refused = gcra.take("a")
    assert not refused.admitted
    hand.at += refused.retry_after - 0.001
    assert not gcra.take("a").admitted
    hand.at += 0.001
    assert gcra.take("a").admitted


def test_one_bucket_does_not_touch_another() -> None:
    gcra = Gcra("key", Rate(1, 1), Hand())
    assert gcra.take("a").admitted
    assert not gcra.take("a").admitted
    assert gcra.take("b").admitted


def test_looking_costs_nothing() -> None:
    gcra = Gcra("key", Rate(1, 1), Hand())
    assert all(gcra.look("a").admitted for _ in range(10))
    assert gcra.take("a").admitted
    assert not gcra.look("a").admitted


def test_a_full_table_limits_newcomers_together_instead_of_letting_them_in() -> None:
    hand = Hand()
    gcra = Gcra("source", Rate(2, 1), hand, buckets=3)
    for name in "abc":
        gcra.take(name)
    assert [gcra.take(f"new-{n}").admitted for n in range(4)] == [True, True, False, False]
    assert gcra.take("a").admitted


def test_a_full_table_forgets_buckets_that_are_full_again() -> None:
    hand = Hand()
    gcra = Gcra("source", Rate(1, 1), hand, buckets=3)
    for name in "abc":
        gcra.take(name)
    hand.at += 2
    assert [gcra.take(f"new-{n}").admitted for n in range(3)] == [True] * 3


@given(st.integers(1, 50), st.floats(0.1, 200), st.lists(st.floats(0, 3), min_size=1, max_size=150))
def test_never_more_than_burst_and_rate_in_any_window(burst: int, per_second: float, waits: list[float]) -> None:
    hand = Hand()
    gcra = Gcra("key", Rate(burst, per_second), hand)
    admitted: list[float] = []
    for wait in waits:
        hand.at += wait
        standing = gcra.take("a")
        if standing.admitted:
            admitted.append(hand.at)
        assert 0 <= standing.remaining <= burst
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            assert last - first + 1 <= burst + (admitted[last] - admitted[first]) * per_second + 1e-6


def test_the_headers_are_structured_fields() -> None:
    gcra = Gcra("organisation", Rate(200, 100), Hand())
    policy, limit = headers_of([gcra.take("a")])
    assert policy == ("ratelimit-policy", '"organisation";q=200;w=2')
    assert limit == ("ratelimit", '"organisation";r=199;t=1')
    http_sf.parse(limit[1].encode(), tltype="list")


@pytest.mark.parametrize(
    ("client", "bucket"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (None, "local"),
        (("", 0), "local"),
    ],
)
def test_a_source_is_an_address_or_a_subscribers_prefix(client: object, bucket: str) -> None:
    assert source_of(client) == bucket


def test_a_rate_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Rate(0, 1)
