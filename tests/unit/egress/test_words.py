"""Hosts in their one spelling, rules, templates, and what is taken out of answers."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.capabilities.egress.grants import GrantCredential, GrantRule, filled, referenced
from heldtrue.capabilities.egress.hosts import Host, HostError, parse_host, parse_url
from heldtrue.capabilities.egress.masking import Mask
from heldtrue.capabilities.egress.model import (
    CreateCredential,
    CredentialValueError,
    EgressRuleError,
    Rule,
    check_rules,
    check_value,
)


def test_a_host_has_one_spelling() -> None:
    assert parse_host("api.example.com") == parse_host("api.example.com:443") == Host("api.example.com", 443)
    assert str(parse_host("xn--bcher-kva.example:8443")) == "xn--bcher-kva.example:8443"
    for text in (
        "API.example.com", "api.example.com.", "api..example.com", "-a.example", "a-.example", "a_b.example", "",
        "1.2.3.4", "127.1", "0x7f000001", "2130706433", "[::1]", "::1", "a:0", "a:65536", "a:0443", "a:+1", "a:",
        "user@a", "a/b", "a\n", "b\u00fccher.example", "a\u3002example", "x" * 64 + ".example",
    ):  # fmt: skip
        with pytest.raises(HostError):
            parse_host(text)


def test_a_url_names_its_host_where_everybody_reads_it() -> None:
    assert parse_url("https://a.example?x=@b.example").url == "https://a.example/?x=@b.example"
    assert parse_url("https://a.example/@b.example:1/%2e%2e?y").host == Host("a.example", 443)
    for text in ("https:/a.example", "https://a.example\\@b.example", "HTTPS://a.example", "https://", "//a.example"):
        with pytest.raises(HostError):
            parse_url(text)


@given(st.text(max_size=60))
def test_what_is_read_is_what_the_standard_library_reads(text: str) -> None:
    from urllib.parse import urlsplit

    try:
        target = parse_url(f"https://{text}")
    except HostError:
        return
    parts = urlsplit(target.url)
    assert (parts.hostname, parts.port or 443, parts.username) == (*target.host, None)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60), st.integers(0, 5))
def test_no_spelling_of_a_credential_comes_through(value: str, before: int) -> None:
    raw = value.encode()
    echo = b" ".join([raw, base64.b64encode(b"x" * before + raw + b"yy"), raw.hex().encode(), base64.b64encode(raw)])
    shown = Mask({"books": value}).hide(echo)
    assert raw not in shown
    assert raw.hex().encode() not in shown
    assert base64.b64encode(raw) not in shown
    for piece in shown.split(b" "):
        with_padding = piece + b"=" * (-len(piece) % 4)
        try:
            assert raw not in base64.b64decode(with_padding, validate=True)
        except ValueError:
            continue


def test_user_and_password_are_hidden_as_the_server_reads_them() -> None:
    mask = Mask({"books": base64.b64encode(b"user:long-password").decode()})
    assert b"long-password" not in mask.hide(b"you are user:long-password, or long-password alone")


def test_a_template_is_filled_for_its_host_alone() -> None:
    rule = GrantRule("a.example", {"X-Key": "k={{credential:one}};{{credential:two}}"})
    kept = {name: GrantCredential(f"value-{name}", ("a.example",)) for name in ("one", "two")}
    assert filled(rule, kept) == ({"x-key": "k=value-one;value-two"}, ("one", "two"))
    assert referenced("{{credential:UPPER}}") == []


@pytest.mark.parametrize(
    "rule",
    [
        Rule(host="A.example"), Rule(host="a.example:443"), Rule(host="10.0.0.1"),
        Rule(host="a.example", headers={"Host": "b.example"}), Rule(host="a.example", headers={"X": "a\r\nb"}),
        Rule(host="a.example", headers={"X": "{{credential:NAME}}"}),
        Rule(host="a.example", headers={"X": "1", "x": "2"}),
        Rule(host="a.example", headers={f"X-{n}": "1" for n in range(11)}),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_meant_is_refused(rule: Rule) -> None:
    with pytest.raises(EgressRuleError):
        check_rules([rule])
    with pytest.raises(EgressRuleError):
        check_rules([Rule(host="a.example"), Rule(host="a.example")])


def test_a_credential_is_one_line_of_visible_text_and_does_not_print() -> None:
    check_value("eight888")
    for value in ("short", "line\r\nend-of-it", " blank-before", "\u00fcmlaut-value", "x" * 8001):
        with pytest.raises(CredentialValueError):
            check_value(value)
    asked = CreateCredential(name="books", value="very-secret-value", hosts=["a.example"])
    assert "very-secret-value" not in f"{asked!r} {asked} {GrantCredential('very-secret-value', ())!r}"
