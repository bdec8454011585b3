"""Which addresses a delivery may connect to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.deliveries.addresses import BLOCKED, AllowList, judge, parse_address
from heldtrue.capabilities.deliveries.model import EndpointUrlError, check_url
from heldtrue.kernel.errors import BadInputError, SettingsError

NOBODY = AllowList()


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "168.63.129.16", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1",
        "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1",
        "2001:2::1", "2001:db8::1", "2001:10::1", "2001:20::1", "2002:a00:1::1", "2002:808:808::1", "3fff::1",
        "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "4000::1",
        "8000::1", "1::1", "192.0.0.192", "192.0.0.170", "192.31.196.1", "192.52.193.1", "192.175.48.1",
        "100:0:0:1::1", "2620:4f:8000::1", "3ffe::1", "::ffff:169.254.169.254",
    ],
)  # fmt: skip
def test_inner_and_special_addresses_are_refused(text: str) -> None:
    assert not judge(ipaddress.ip_address(text), NOBODY).permitted


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"],
)
def test_public_addresses_are_permitted(text: str) -> None:
    assert judge(ipaddress.ip_address(text), NOBODY).permitted


@given(st.ip_addresses())
def test_nothing_that_python_itself_calls_not_global_is_permitted(address: ipaddress.IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert not judge(address, NOBODY).permitted


@pytest.mark.parametrize("network", [text for text, _ in BLOCKED])
def test_the_first_and_last_address_of_each_network_are_refused(network: str) -> None:
    found = ipaddress.ip_network(network)
    assert not judge(found[0], NOBODY).permitted
    assert not judge(found[-1], NOBODY).permitted


def test_the_allow_list_opens_what_it_names_and_nothing_else() -> None:
    allow = AllowList.parse(["127.0.0.0/8", "fd00:1::/32"])
    verdict = judge(ipaddress.ip_address("127.0.0.1"), allow)
    assert (verdict.permitted, verdict.listed) == (True, True)
    assert judge(ipaddress.ip_address("::ffff:127.0.0.1"), allow).listed
    assert judge(ipaddress.ip_address("fd00:1::7"), allow).permitted
    assert not judge(ipaddress.ip_address("10.0.0.1"), allow).permitted
    assert not judge(ipaddress.ip_address("8.8.8.8"), allow).listed


def test_no_allow_list_opens_the_metadata_services() -> None:
    allow = AllowList.parse(["0.0.0.0/0", "::/0"])
    for text in (
        "169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.0.192",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "fd00:ec2::254",
    ):
        assert not judge(ipaddress.ip_address(text), allow).permitted
    assert judge(ipaddress.ip_address("10.0.0.1"), allow).permitted


def test_a_malformed_allow_list_names_the_entry() -> None:
    with pytest.raises(SettingsError, match=r"127\.0\.0\.1/8"):
        AllowList.parse(["127.0.0.1/8"])


@pytest.mark.parametrize(
    "url",
    ["https://example.com/in", "https://example.com:8443/a?b=c", "https://[2606:4700::1111]/", "https://8.8.8.8/"],
)
def test_a_public_https_url_is_taken(url: str) -> None:
    assert check_url(url, NOBODY) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https:///x", "https://a@example.com/",
        "https://:b@example.com/", "https://example.com/#f", "https://example.com:0/", "https://example.com:99999/",
        "https://exämple.com/", "https://example.com/a b", "https://example.com\\@127.0.0.1/", "https://[::1/",
        "https://example.com/\n", "https://2130706433/", "https://127.1/", "https://0x7f.0x1/", "https://1.2.3.4./",
        "https://" + "a" * 2050,
    ],
)  # fmt: skip
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(EndpointUrlError):
        check_url(url, NOBODY)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "localhost.",
        "a.localhost.",
        "10.0.0.1",
        "[fe80::1%25eth0]",
    ],
)
def test_a_literal_inner_address_is_refused_at_registration(host: str) -> None:
    with pytest.raises(BadInputError):
        check_url(f"https://{host}/", NOBODY)


def test_a_scope_or_bracket_hides_no_address() -> None:
    assert parse_address("fe80::1%eth0") == ipaddress.ip_address("fe80::1")
    assert parse_address("[::1]") == ipaddress.ip_address("::1")
    assert parse_address("example.com") is None
