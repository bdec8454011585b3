"""The client's address: from our own proxies' word, from the right, and from nobody else's."""

from __future__ import annotations

import pytest

from heldtrue.capabilities.edge.forwarded import AmbiguousForwardingError, Forwarding, TrustedProxies
from heldtrue.kernel.errors import SettingsError

TRUSTED = TrustedProxies.parse(["10.0.0.0/8", "fd00::/8", "unix"])


def client(peer: str = "10.0.0.1", *, xff: list[str] | None = None, forwarded: list[str] | None = None,
           real: list[str] | None = None) -> str:  # fmt: skip
    return TRUSTED.client(peer, Forwarding(xff or (), forwarded or (), real or ()))


@pytest.mark.parametrize(
    ("hops", "address"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9, 10.2.2.2"], "203.0.113.9"),
        (["junk, 203.0.113.9"], "203.0.113.9"),
        (["10.9.9.9, 203.0.113.9, fd00::1, 10.1.1.1"], "203.0.113.9"),
        (["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
    ],
)
def test_the_rightmost_foreign_hop_is_the_client(hops: list[str], address: str) -> None:
    assert client(xff=hops) == address
    assert client("", xff=hops) == address


def test_who_is_not_trusted_is_the_client_itself() -> None:
    assert client("203.0.113.1", xff=["1.2.3.4"], real=["1.2.3.4"], forwarded=["for=1.2.3.4"]) == "203.0.113.1"
    assert TrustedProxies.parse(["10.0.0.0/8"]).client("", Forwarding(["1.2.3.4"])) == ""
    assert client("::ffff:203.0.113.1", xff=["1.2.3.4"]) == "203.0.113.1"


def test_a_trusted_proxy_that_says_nothing_leaves_the_client_unknown() -> None:
    assert client() == ""


@pytest.mark.parametrize(
    ("element", "address"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ('For="[2001:db8::1]:47011"; proto=https', "2001:db8::1"),
        ('for="1.2.3.4, for=5.6.7.8", for=203.0.113.9', "203.0.113.9"),
        ("for=1.2.3.4;by=10.0.0.1, by=x;for=203.0.113.9", "203.0.113.9"),
    ],
)
def test_forwarded_is_read_by_its_own_grammar(element: str, address: str) -> None:
    assert client(forwarded=[element]) == address


@pytest.mark.parametrize(
    "said",
    [
        {"xff": ["203.0.113.9, junk"]},
        {"xff": [""]},
        {"xff": ["203.0.113.9,"]},
        {"xff": ["fe80::1%eth0"]},
        {"xff": [",".join(["10.0.0.1"] * 33)]},
        {"forwarded": ["for=unknown"]},
        {"forwarded": ["for=_hidden"]},
        {"forwarded": ["for=1.2.3.4;for=203.0.113.9"]},
        {"forwarded": ["proto=https"]},
        {"real": ["203.0.113.9", "1.2.3.4"]},
        {"real": ["203.0.113.9, 1.2.3.4"]},
        {"xff": ["203.0.113.9"], "real": ["1.2.3.4"]},
        {"xff": ["203.0.113.9"], "forwarded": ["for=1.2.3.4"]},
    ],
    ids=str,
)
def test_what_names_nobody_or_two_is_refused(said: dict[str, list[str]]) -> None:
    with pytest.raises(AmbiguousForwardingError):
        client(**said)


def test_headers_that_agree_may_stand_together() -> None:
    assert client(xff=["9.9.9.9, 203.0.113.9"], forwarded=["for=203.0.113.9"], real=["203.0.113.9"]) == "203.0.113.9"


@pytest.mark.parametrize("entries", [[], ["0.0.0.0/0"], ["::/0"], ["proxy.example"], ["10.0.0.1/8"]], ids=str)
def test_a_list_that_names_nobody_or_everybody_is_refused(entries: list[str]) -> None:
    with pytest.raises(SettingsError):
        TrustedProxies.parse(entries)


def test_what_is_remembered_of_clients_is_bounded_and_never_mixed_up() -> None:
    proxies = TrustedProxies.parse(["10.0.0.1/32"])
    for number in range(3 * 4096):
        named = f"203.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        assert proxies.client("10.0.0.1", Forwarding(x_forwarded_for=[named])) == named
        assert proxies.client("10.0.0.2", Forwarding(x_forwarded_for=[named])) == "10.0.0.2"
    assert len(proxies._told) <= 4096
    both = Forwarding(x_forwarded_for=["203.0.113.1"], x_real_ip=["203.0.113.1"])
    apart = Forwarding(x_forwarded_for=["203.0.113.1"], forwarded=["for=203.0.113.2"])
    assert proxies.client("10.0.0.1", both) == "203.0.113.1"
    for _ in range(2):
        with pytest.raises(AmbiguousForwardingError):
            proxies.client("10.0.0.1", apart)
