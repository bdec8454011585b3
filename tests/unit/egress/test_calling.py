"""Calls of customers' code, as the broker makes them: over real TLS, against a server that does what it is told."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from outside import VALUE, Names, Outside
from receiver import Receiver

from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.egress.grants import Caps, GrantCredential, GrantRule

MASK = "{{credential:books}}"


def test_an_allowed_host_is_called_with_what_the_rule_adds(outside: Outside, receiver: Receiver) -> None:
    head, body = outside.call(method="POST", headers=[["X-Own", "1"]], body=b"hello")
    sent = receiver.received[-1]
    assert head["status"] == 200
    assert json.loads(body)["body"] == "hello"
    assert sent.headers["authorization"] == f"Bearer {VALUE}"
    assert sent.headers["x-own"] == "1"
    assert sent.headers["host"] == outside.host
    [call] = outside.made
    assert (call.host, call.method, call.status, call.sent, call.credentials) == (
        outside.host, "POST", 200, 5, ("books",),
    )  # fmt: skip
    assert call.received > 0


def test_a_credential_that_is_echoed_is_masked_in_every_spelling(outside: Outside) -> None:
    head, body = outside.call()
    whole = json.dumps(head).encode() + body
    spellings = [
        VALUE.encode(),
        base64.b64encode(VALUE.encode()),
        base64.b64encode(f"Bearer {VALUE}".encode())[12:-4],
        VALUE.encode().hex().encode(),
        b"s3cr3t%2FValue",
    ]
    assert [one for one in spellings if one in whole] == []
    assert ["x-held", f"Bearer {MASK}"] in head["headers"]
    assert json.loads(body)["headers"]["Authorization"] == f"Bearer {MASK}"


def test_a_compressed_echo_is_not_handed_over(outside: Outside, receiver: Receiver) -> None:
    assert outside.refused(outside.url("/zip")) == "encoded"
    assert receiver.received[-1].headers["accept-encoding"] == "identity"


def test_a_redirect_is_an_answer_and_nobody_follows_it(outside: Outside) -> None:
    head, _ = outside.call(outside.url("/moved"))
    assert head["status"] == 302
    assert ["location", "https://169.254.169.254/latest/meta-data/"] in head["headers"]
    assert outside.refused("https://169.254.169.254/latest/meta-data/") == "bad-url"


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "127.0.0.1", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
        "2002:7f00:1::", "fd00:ec2::254", "10.0.0.1", "0.0.0.0", "100.100.100.200", "fe80::1",
    ],
)  # fmt: skip
def test_an_allowed_name_that_leads_inside_is_refused_as_it_is_connected_to(outside: Outside, address: str) -> None:
    inside = outside.but(allow=AllowList(), resolver=Names([address]))
    assert inside.refused() == "refused-address"
    assert inside.made[0].status is None


def test_a_second_answer_of_the_name_server_leads_nowhere(outside: Outside, receiver: Receiver) -> None:
    before = len(receiver.received)
    rebound = outside.but(allow=AllowList(), resolver=Names(["192.0.2.1"], ["127.0.0.1"]))
    assert rebound.refused() == "refused-address"
    mixed = outside.but(allow=AllowList(), resolver=Names(["169.254.169.254", "127.0.0.1"]))
    assert mixed.refused() == "refused-address"
    assert len(receiver.received) == before


def test_what_is_not_allowed_is_not_called(outside: Outside, receiver: Receiver) -> None:
    before = len(receiver.received)
    assert outside.refused("https://elsewhere.example/") == "host-not-allowed"
    assert outside.refused("https://localhost/") == "host-not-allowed"
    assert outside.refused(f"https://127.0.0.1:{receiver.port}/") == "bad-url"
    assert outside.but(rules=()).refused() == "host-not-allowed"
    assert outside.refused(f"http://{outside.host}/echo") == "bad-url"
    assert outside.refused(method="CONNECT") == "bad-call"
    assert len(receiver.received) == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("user@", ""), ("elsewhere.example@", ""), ("", "@elsewhere.example"), ("", "."), ("", "\\@elsewhere.example"),
        ("", "#@elsewhere.example"), ("%6c", ""), ("", "%00"), ("", ":443"), (" ", ""), ("", "\t"), ("\u2139", ""),
    ],
    ids=["user", "user-host", "host-user", "dot", "backslash", "fragment", "percent", "nul", "ports", "blank", "tab",
         "unicode"],
)  # fmt: skip
def test_a_host_in_another_spelling_is_no_host(outside: Outside, before: str, after: str) -> None:
    assert outside.refused(f"https://{before}{outside.host}{after}/echo") in {"bad-url", "host-not-allowed"}


@pytest.mark.parametrize(
    "headers",
    [
        [["X-A", "1\r\nX-B: 2"]], [["X-A", "1\n"]], [["X-A\r\n", "1"]], [["X A", "1"]], [["X-A", "\x00"]],
        [["Host", "elsewhere.example"]], [["Content-Length", "0"]], [["Transfer-Encoding", "chunked"]],
        [["Connection", "upgrade"]], [["Accept-Encoding", "gzip"]], [["Proxy-Authorization", "x"]],
        [["Authorization", "mine"]], [["AUTHORIZATION", "mine"]], [["X-A", "1"], ["x-a", "2"]], [["X-A"]], [1],
    ],
)  # fmt: skip
def test_a_header_that_would_change_the_message_is_refused(
    outside: Outside, receiver: Receiver, headers: list[object]
) -> None:
    before = len(receiver.received)
    assert outside.refused(headers=headers) == "bad-header"
    assert len(receiver.received) == before


def test_a_host_of_a_vendor_without_an_opt_in_is_not_called(outside: Outside, receiver: Receiver) -> None:
    before = len(receiver.received)
    withheld = replace(outside, rules=(GrantRule(outside.host, {}, "summaries"),))
    assert withheld.refused() == "vendor-not-permitted"
    assert len(receiver.received) == before


def test_a_credential_goes_only_where_it_may(outside: Outside, receiver: Receiver) -> None:
    before = len(receiver.received)
    elsewhere = {"books": GrantCredential(VALUE, ("api.example.com",))}
    assert outside.but(credentials=elsewhere).refused() == "credential-host"
    assert outside.but(credentials={}).refused() == "no-credential"
    broken = {"books": GrantCredential("line\r\nX-B: 2", (outside.host,))}
    assert outside.but(credentials=broken).refused() == "bad-credential"
    assert len(receiver.received) == before


def test_a_reference_in_the_codes_own_header_is_text(outside: Outside, receiver: Receiver) -> None:
    bare = outside.but(rules=(GrantRule(outside.host),))
    bare.call(headers=[["X-Steal", "{{credential:books}}"]])
    assert receiver.received[-1].headers["x-steal"] == "{{credential:books}}"


def test_an_answer_that_is_too_long_is_cut_off(outside: Outside) -> None:
    small = outside.but(caps=Caps(answer=4000))
    assert small.refused(small.url("/long")) == "too-large"
    assert small.refused(small.url("/flood")) == "too-large"
    assert small.made[1].received < 2 << 20


def test_an_answer_that_drips_ends_with_the_time(outside: Outside) -> None:
    brief = outside.but(caps=Caps(call_seconds=0.3))
    assert brief.refused(brief.url("/drip")) == "timeout"
    assert brief.made[0].received == len(b"a little")


@pytest.mark.parametrize("path", ["/drop", "/babble"])
def test_an_answer_that_is_no_http_is_refused(outside: Outside, path: str) -> None:
    assert outside.refused(outside.url(path)) in {"protocol", "unreachable"}


def test_a_server_that_nobody_vouches_for_is_not_told_anything(outside: Outside, receiver: Receiver) -> None:
    before = len(receiver.received)
    other = f"elsewhere.example:{receiver.port}"
    rules = (GrantRule(other, {"Authorization": "Bearer {{credential:books}}"}),)
    credentials = {"books": GrantCredential(VALUE, (other,))}
    named = outside.but(rules=rules, credentials=credentials, resolver=Names(["127.0.0.1"]))
    assert named.refused(f"https://{other}/echo") == "tls"
    assert len(receiver.received) == before


def test_calls_and_bytes_of_a_run_are_counted(outside: Outside) -> None:
    few = outside.but(caps=Caps(calls=2))
    assert few.call()[0]["status"] == 200
    assert few.refused("https://elsewhere.example/") == "host-not-allowed"
    assert few.refused() == "too-many-calls"
    assert few.account is not None
    assert (len(few.made), few.account.beyond) == (2, 1)
    small = outside.but(caps=Caps(question=10, total=12))
    assert small.refused(method="POST", body=b"x" * 11) == "too-large"
    assert small.refused(method="POST", body=b"x" * 10) == "too-large"


def test_no_error_tells_what_was_sent(outside: Outside) -> None:
    for path in ("/zip", "/drop", "/babble"):
        head, _ = outside.call(outside.url(path))
        assert VALUE not in json.dumps(head)
    assert VALUE not in repr(outside.grant())
    assert VALUE not in repr(outside.account)
