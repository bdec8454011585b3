"""What is found out about senders over real DNS, with real signatures, and what an address makes of it."""

from __future__ import annotations

import base64
import time
from collections.abc import Generator
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dkim import canonicalization
from dns_server import FAIL, SILENT, Names, closed_port
from hypothesis import given
from hypothesis import strategies as st
from mail_house import Peer, Post, taken

from heldtrue.capabilities.intake.model import MailMeta
from heldtrue.capabilities.mail.checks.dkim import MOST_LINES, check_dkim, relaxed_body, simple_body
from heldtrue.capabilities.mail.checks.dmarc import aligned, organisation_of
from heldtrue.capabilities.mail.checks.heads import author_of, head_of
from heldtrue.capabilities.mail.checks.resolver import DnsTemporaryError, Lookups, Resolver
from heldtrue.capabilities.mail.checks.spf import check_spf

BODY = b"Subject: hello\r\nTo: x@y.test\r\n\r\nA line.  \r\n  \r\nAnother\tline.\r\n\r\n\r\n"


def rsa(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


def pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def record(key: RSAPrivateKey) -> str:
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "v=DKIM1; k=rsa; p=" + base64.b64encode(spki).decode()


@pytest.fixture(scope="module", autouse=True)  # before any test asks: that there is no such name is remembered
def key(names: Names) -> RSAPrivateKey:
    made = rsa()
    names.text("s1._domainkey.signer.test", record(made))
    names.text("_dmarc.signer.test", "v=DMARC1; p=reject; adkim=r")
    names.put("signer.test", "TXT", '"v=spf1 ip4:192.0.2.1 -all"')
    names.put("good.test", "TXT", '"v=spf1 ip4:127.0.0.0/8 -all"')
    names.text("_dmarc.good.test", "v=DMARC1; p=quarantine")
    names.put("bad.test", "TXT", '"v=spf1 -all"')
    names.text("_dmarc.bad.test", "v=DMARC1; p=reject")
    names.put("slow.test", "TXT", FAIL)
    names.put("_dmarc.slow.test", "TXT", FAIL)
    names.put("soft.test", "TXT", '"v=spf1 ~all"')
    names.put("loop.test", "TXT", '"v=spf1 include:loop.test -all"')
    names.put("two.test", "TXT", '"v=spf1 -all"', '"v=spf1 +all"')
    names.put(
        "large.test",
        "TXT",
        '"v=spf1 ' + " ".join(f"ip4:192.0.2.{n}" for n in range(12)) + '" " ' + "x" * 200 + '" " ip4:127.0.0.1 -all"',
    )
    return made


def signed(key: RSAPrivateKey, message: bytes, domain: bytes = b"signer.test", **how: Any) -> bytes:
    return dkim.sign(message, b"s1", domain, pem(key), include_headers=[b"from", b"subject"], **how) + message


def letter(domain: str = "signer.test") -> bytes:
    return f"From: Ann <ann@{domain}>\r\n".encode() + BODY


def arrived(post: Post, peer: Peer, message: bytes, sender: str = "ann@signer.test", **policy: str) -> MailMeta:
    meta = post.meta(taken(peer.message(message, post.address(policy=policy), sender=sender))).mail
    assert meta is not None
    return meta


@pytest.mark.parametrize("canonical", [b"simple", b"relaxed"])
def test_a_signed_message_proves_its_author(post: Post, peer: Peer, key: RSAPrivateKey, canonical: bytes) -> None:
    mail = arrived(post, peer, signed(key, letter(), canonicalize=(canonical, canonical)))
    assert [(one.result, one.domain, one.selector, one.key_bits) for one in mail.dkim] == [
        ("pass", "signer.test", "s1", 2048)
    ]
    assert (mail.spf, mail.dmarc, mail.dmarc_policy, mail.from_domain) == ("fail", "pass", "reject", "signer.test")
    assert (mail.outcome, mail.flags) == ("flagged", ("spf-fail",))


def test_an_ed25519_signature_is_known(post: Post, peer: Peer, names: Names, key: RSAPrivateKey) -> None:
    made = Ed25519PrivateKey.generate()
    public = made.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    names.text("ed._domainkey.signer.test", "v=DKIM1; k=ed25519; p=" + base64.b64encode(public).decode())
    private = base64.b64encode(made.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    head = dkim.sign(letter(), b"ed", b"signer.test", private, signature_algorithm=b"ed25519-sha256")
    assert [one.result for one in arrived(post, peer, head + letter()).dkim] == ["pass"]


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ((b"A line.", b"A lie."), "fail"),
        ((b"Subject: hello", b"Subject: hallo"), "fail"),
        ((b"s=s1", b"s=s2"), "permerror"),
        ((b"a=rsa-sha256", b"a=rsa-sha999"), "fail"),
        ((b"DKIM-Signature: v=1;", b"DKIM-Signature: rubbish;"), "permerror"),
    ],
    ids=["body", "header", "no key", "algorithm", "rubbish"],
)
def test_a_changed_message_proves_nothing(
    post: Post, peer: Peer, key: RSAPrivateKey, change: tuple[bytes, bytes], result: str
) -> None:
    mail = arrived(post, peer, signed(key, letter()).replace(*change))
    assert [one.result for one in mail.dkim] == [result]
    assert mail.dmarc == "fail"


def test_a_signature_over_a_part_is_flagged_and_proves_nothing(post: Post, peer: Peer, key: RSAPrivateKey) -> None:
    mail = arrived(post, peer, signed(key, letter(), length=True) + b"appended by somebody\r\n")
    assert [(one.result, one.reason) for one in mail.dkim] == [("policy", "length")]
    assert mail.dmarc == "fail"
    assert "dkim-length" in mail.flags


def test_a_short_key_is_flagged_and_proves_nothing(post: Post, peer: Peer, names: Names) -> None:
    from short_key import PRIVATE, PUBLIC

    names.text("s1._domainkey.short.test", PUBLIC)
    head = dkim.sign(letter("short.test"), b"s1", b"short.test", PRIVATE)
    mail = arrived(post, peer, head + letter("short.test"))
    assert [(one.result, one.reason, one.key_bits) for one in mail.dkim] == [("policy", "short-key", 768)]
    assert "dkim-short-key" in mail.flags


@pytest.mark.parametrize(
    ("domain", "spf"),
    [("good.test", "pass"), ("bad.test", "fail"), ("soft.test", "softfail"), ("slow.test", "temperror"),
     ("none.test", "none"), ("loop.test", "permerror"), ("two.test", "permerror"), ("large.test", "permerror")],
)  # fmt: skip
def test_spf_is_asked_about_the_envelope(post: Post, peer: Peer, key: RSAPrivateKey, domain: str, spf: str) -> None:
    mail = arrived(post, peer, letter(domain), sender=f"ann@{domain}")
    assert mail.spf == spf
    assert mail.dmarc == {"good.test": "pass", "bad.test": "fail", "slow.test": "temperror"}.get(domain, "none")


def test_a_null_sender_is_judged_by_its_name(post: Post, key: RSAPrivateKey) -> None:
    with post.peer() as peer:
        peer.starttls()
        peer.offers("good.test")
        assert arrived(post, peer, letter("good.test"), sender="").spf == "pass"


POLICIES = [
    ("spf", "bad.test", "550 5.7.23"), ("spf", "none.test", "550 5.7.23"), ("spf", "slow.test", "451 4.7.24"),
    ("dkim", "good.test", "550 5.7.20"), ("dmarc", "bad.test", "550 5.7.26"), ("dmarc", "slow.test", "451 4.7.24"),
    ("spf", "good.test", "250 2.0.0"), ("dmarc", "good.test", "250 2.0.0"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "domain", "reply"), POLICIES)
def test_an_address_that_refuses_takes_what_passes_alone(
    post: Post, peer: Peer, key: RSAPrivateKey, check: str, domain: str, reply: str
) -> None:
    before = (len(post.payloads()), len(post.place.stored_files()))
    address = post.address(policy={"spf": "accept", "dkim": "accept", "dmarc": "accept", check: "refuse"})
    said = peer.message(letter(domain) + (b"x" * 900 + b"\r\n") * 400, address, sender=f"ann@{domain}")
    assert said.startswith(reply)
    if not reply.startswith("250"):
        assert (len(post.payloads()), len(post.place.stored_files())) == before
        assert peer.message(letter("good.test"), address, sender="ann@good.test")[:3] in {"250", "550"}


@pytest.mark.parametrize(
    ("head", "flag"),
    [
        (b"From: a@good.test\r\nFrom: b@bad.test\r\n", "duplicate-from"),
        (b"Subject: x\r\n", "no-from"),
        (b"From: a@good.test, b@bad.test\r\n", "several-authors"),
        (b"From: <a@good.test> <b@bad.test>\r\n", "several-authors"),
        (b"From: nobody\r\n", "malformed-from"),
        (b"From: a@good.test\r\nno field\r\n", "malformed-header"),
    ],
)
def test_a_header_that_can_be_read_in_two_ways_is_flagged(
    post: Post, peer: Peer, key: RSAPrivateKey, head: bytes, flag: str
) -> None:
    mail = arrived(post, peer, head + b"\r\ntext\r\n", sender="ann@good.test")
    assert flag in mail.flags
    assert mail.outcome == "flagged"
    if flag != "malformed-header":
        assert mail.dmarc in {"permerror", "none"}
        assert mail.from_domain is None


def test_an_arc_chain_is_checked(post: Post, peer: Peer, key: RSAPrivateKey) -> None:
    message = b"Authentication-Results: lists.test; spf=pass\r\n" + letter()
    seals = dkim.arc_sign(
        message, b"s1", b"signer.test", pem(key), b"lists.test", include_headers=[b"from", b"subject"]
    )
    assert seals
    whole = b"".join(seals) + message
    assert arrived(post, peer, whole).arc == "pass"
    assert arrived(post, peer, whole.replace(b"A line.", b"A lie.")).arc == "fail"
    assert arrived(post, peer, letter()).arc == "none"


def test_a_bomb_is_kept_unharmed_and_unopened(post: Post, peer: Peer, key: RSAPrivateKey) -> None:
    """Nested multiparts, endless encoded words and a hundred thousand fields: nothing here parses them."""
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(5000))
    words = b"Subject: " + b"\r\n ".join([b"=?utf-8?B?" + b"QUJD" * 15 + b"?="] * 3000) + b"\r\n"
    fields = b"".join(b"X-%d: y\r\n" % n for n in range(20_000))
    for bomb in (b"From: a@good.test\r\n" + nested, words + b"\r\n", fields + b"\r\n", b"\r\n" * 600_000):
        started = time.monotonic()
        payload = taken(peer.message(signed_head(bomb), post.address(), sender="ann@good.test"))
        assert time.monotonic() - started < 30
        assert post.raw(payload) == signed_head(bomb)


def signed_head(bomb: bytes) -> bytes:
    return (
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=signer.test; s=s1; h=from; bh=AAAA; b=AAAA\r\n" + bomb
    )


# ---------------------------------------------------------------- the parts by themselves


@pytest.fixture
def lookups(names: Names) -> Generator[Lookups]:
    return Lookups(Resolver([("127.0.0.1", names.port)]))


def test_the_white_space_that_costs_dkimpy_its_time_costs_us_none(lookups: Lookups, key: RSAPrivateKey) -> None:
    message = signed(key, letter(), canonicalize=(b"relaxed", b"relaxed")) + (b" " * 15_000 + b"x\r\n") * 200
    started = time.monotonic()
    assert [one.result for one in check_dkim(lookups, message, head_of(message))] == ["fail"]
    assert time.monotonic() - started < 5


def test_a_message_of_too_many_lines_is_left_unchecked(lookups: Lookups, key: RSAPrivateKey) -> None:
    message = signed(key, letter()) + b"\r\n" * MOST_LINES
    assert [(one.result, one.reason) for one in check_dkim(lookups, message, head_of(message))] == [
        ("policy", "unchecked")
    ]


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"bc", b"\xff"]), max_size=14).map(b"".join))
def test_our_canonical_forms_are_those_of_the_library(body: bytes) -> None:
    body = body + b"\r\n" if body else body
    assert relaxed_body(body) == canonicalization.Relaxed.canonicalize_body(body)
    assert simple_body(body) == canonicalization.Simple.canonicalize_body(body)


@given(st.binary(max_size=300))
def test_any_bytes_have_a_head(message: bytes) -> None:
    author_of(head_of(message))


@pytest.mark.parametrize(
    ("field", "domain"),
    [
        ("Ann <ann@A.test>", "a.test"),
        ("ann@a.test", "a.test"),
        ('"x <e@evil.test>" <ann@a.test>', "a.test"),
        ("(e@evil.test) ann@a.test (c)", "a.test"),
        ('"unclosed <e@evil.test> <ann@a.test>', None),
        ("ann@a.test <ann@b.test>", "b.test"),
        ("@a.test", None),
        ("a@b@c.test", None),
        ("", None),
    ],
)
def test_the_author_is_the_address_that_readers_see(field: str, domain: str | None) -> None:
    assert author_of(head_of(f"From: {field}\r\n\r\n".encode())).domain == domain


def test_alignment_is_by_organisation_or_exact() -> None:
    assert organisation_of("a.b.example.co.uk") == "example.co.uk"
    assert aligned("a.example.com", "b.example.com", strict=False)
    assert not aligned("a.example.com", "b.example.com", strict=True)
    assert not aligned("a.co.uk", "b.co.uk", strict=False)
    assert not aligned("example.com", "example.com.evil.test", strict=False)


def test_a_message_may_ask_so_much_and_no_more(names: Names) -> None:
    resolver = Resolver([("127.0.0.1", names.port)])
    lookups = Lookups(resolver, questions=2)
    lookups.ask("a.none.test", "TXT")
    lookups.ask("b.none.test", "TXT")
    with pytest.raises(DnsTemporaryError):
        lookups.ask("c.none.test", "TXT")
    now = [0.0]
    late = Lookups(resolver, seconds=5, monotonic=lambda: now[0])
    now[0] = 6.0
    with pytest.raises(DnsTemporaryError):
        late.ask("d.none.test", "TXT")


def test_a_server_that_is_silent_or_absent_is_a_temporary_error(names: Names) -> None:
    names.put("silent.test", "TXT", SILENT)
    quick = Resolver([("127.0.0.1", names.port)], seconds=0.3)
    assert check_spf(Lookups(quick), "127.0.0.1", "a@silent.test", "h.test") == "temperror"
    absent = Resolver([("127.0.0.1", closed_port())], seconds=0.3)
    with pytest.raises(DnsTemporaryError):
        absent.ask("x.test", "TXT")


def test_an_answer_too_large_for_a_datagram_comes_over_tcp(names: Names) -> None:
    names.text("big.test", "x" * 1500)
    assert Lookups(Resolver([("127.0.0.1", names.port)])).texts("big.test") == [b"x" * 1500]


@pytest.mark.parametrize("name", ["", "." * 5, "a" * 64 + ".test", "a." * 200, "\x00.test", "ä" * 70 + ".test"])
def test_a_name_that_is_none_has_no_records(names: Names, name: str) -> None:
    assert Resolver([("127.0.0.1", names.port)]).ask(name, "TXT") == ()
