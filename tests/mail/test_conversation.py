"""Every command in every phase, and what nobody may do with a mail server of ours."""

from __future__ import annotations

import ssl

import pytest
from mail_house import DOMAIN, SIMPLE, Peer, Post, taken

PHASES = ("connected", "clear", "encrypted", "greeted", "mail", "rcpt")
COMMANDS = (
    "EHLO a.test", "HELO a.test", "STARTTLS", "NOOP", "RSET", "MAIL FROM:<a@b.test>", "RCPT TO:{address}", "DATA",
    "AUTH PLAIN AAA=", "VRFY a", "EXPN a", "HELP", "BDAT 5 LAST", "ETRN a.test", "TURN", "XCLIENT NAME=a", "WHAT",
    "GET / HTTP/1.1", "QUIT",
)  # fmt: skip
_CLEAR = {"EHLO": 250, "HELO": 250, "NOOP": 250, "RSET": 250, "QUIT": 221}
_LATER = {**_CLEAR, "STARTTLS": 503, "AUTH": 502, "VRFY": 502, "EXPN": 502, "HELP": 502, "BDAT": 502, "ETRN": 502,
          "TURN": 502, "XCLIENT": 500, "WHAT": 500, "GET": 500}  # fmt: skip
TABLE: dict[str, dict[str, int]] = {
    "connected": {**_CLEAR, "STARTTLS": 503},
    "clear": {**_CLEAR, "STARTTLS": 220},
    "encrypted": {**_LATER, "MAIL": 503, "RCPT": 503, "DATA": 503},
    "greeted": {**_LATER, "MAIL": 250, "RCPT": 503, "DATA": 503},
    "mail": {**_LATER, "MAIL": 503, "RCPT": 250, "DATA": 503},
    "rcpt": {**_LATER, "MAIL": 503, "RCPT": 250, "DATA": 354},
}
"""Phase to command to reply code; what is not named is answered with 530."""


def bring_to(peer: Peer, phase: str, address: str) -> None:
    step = PHASES.index(phase)
    if step >= 1:
        peer.offers()
    if step >= 2:
        assert peer.code("STARTTLS") == 220
        peer.encrypt()
    if step >= 3:
        peer.offers()
    if step >= 4:
        assert peer.code("MAIL FROM:<a@b.test>") == 250
    if step >= 5:
        assert peer.code(f"RCPT TO:<{address}>") == 250


@pytest.fixture(scope="module")
def address(post: Post) -> str:
    return post.address()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_every_phase_has_one_answer(post: Post, address: str, phase: str, command: str) -> None:
    with post.peer() as peer:
        bring_to(peer, phase, address)
        expected = TABLE[phase].get(command.split(maxsplit=1)[0], 530)
        assert peer.code(command.format(address=f"<{address}>")) == expected


def test_before_encryption_nothing_is_offered_but_encryption(post: Post) -> None:
    with post.peer() as peer:
        assert peer.offers() == ["ENHANCEDSTATUSCODES", "STARTTLS"]


def test_after_encryption_what_is_offered_is_done(post: Post) -> None:
    with post.peer() as peer:
        peer.starttls()
        offers = peer.offers()
        assert offers == ["SIZE 26214400", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"]


def test_a_name_said_in_clear_does_not_count_behind_encryption(post: Post) -> None:
    with post.peer() as peer:
        peer.offers("clear.test")
        assert peer.code("STARTTLS") == 220
        peer.encrypt()
        assert peer.code("MAIL FROM:<a@b.test>") == 503


@pytest.mark.parametrize("behind", [b"EHLO injected.test\r\n", b"MAIL FROM:<a@b.test>\r\n", b"x"])
def test_a_command_injected_behind_starttls_ends_the_connection(post: Post, behind: bytes) -> None:
    with post.peer() as peer:
        peer.offers()
        peer.send(b"STARTTLS\r\n" + behind)
        assert peer.reply().startswith("554 ")
        assert peer.closed()


def test_what_is_injected_before_the_handshake_never_becomes_a_command(post: Post) -> None:
    """The bytes come after 220, before the client's hello: they meet the handshake, which fails."""
    with post.peer() as peer:
        peer.offers()
        assert peer.code("STARTTLS") == 220
        peer.send(b"EHLO injected.test\r\n")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            peer.encrypt()


def test_who_talks_before_the_banner_is_sent_away(post: Post) -> None:
    with post.peer(greet=False) as peer:
        peer.send(b"EHLO early.test\r\n")
        assert peer.reply().startswith("554 ")
        assert peer.closed()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_before_1_2_is_refused(post: Post, version: ssl.TLSVersion, implicit: bool) -> None:
    with post.peer(implicit=False, greet=not implicit) if not implicit else _raw(post) as peer:
        if not implicit:
            peer.offers()
            assert peer.code("STARTTLS") == 220
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(peer.link)


def _raw(post: Post) -> Peer:
    peer = Peer.__new__(Peer)
    Peer.__init__(peer, post.implicit_port, post.authority, greet=False)
    return peer


def test_encryption_from_the_first_byte_works_as_well(post: Post, address: str) -> None:
    with post.peer(implicit=True) as peer:
        assert "STARTTLS" not in peer.offers()
        payload = taken(peer.message(SIMPLE, address))
    tls = post.meta(payload).tls
    assert tls is not None
    assert tls.version == "TLSv1.3"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("MAIL FROM:<>", 250),
        ("MAIL FROM: <a@b.test>", 250),
        ("mail from:<a@b.test> size=5 body=8bitmime", 250),
        ("MAIL FROM:<@relay.test,@two.test:a@b.test>", 250),
        ('MAIL FROM:<"a b"@b.test>', 250),
        ("MAIL FROM:<a@[192.0.2.1]>", 250),
        ("MAIL FROM:<ä@b.test> SMTPUTF8", 250),
        ("MAIL FROM:<ä@b.test>", 553),
        ("MAIL FROM:a@b.test", 553),
        ("MAIL FROM:<a>", 553),
        ("MAIL FROM:<a@b@c>", 553),
        (f"MAIL FROM:<{'a' * 65}@b.test>", 553),
        ("MAIL FROM:<a@b.test>SIZE=5", 501),
        ("MAIL FROM:<a@b.test> SIZE=x", 501),
        ("MAIL FROM:<a@b.test> SIZE=5 SIZE=6", 501),
        ("MAIL FROM:<a@b.test> BODY=BINARYMIME", 501),
        ("MAIL FROM:<a@b.test> RET=FULL", 555),
        ("MAIL FROM:<a@b.test> SIZE=99999999", 552),
        ("MAIL TO:<a@b.test>", 501),
        ("MAIL", 501),
        ("MAIL FROM:<a@b.test>\tx", 501),
        ("MAIL FROM:<a\x01@b.test>", 501),
    ],
)
def test_the_sender_is_read_strictly(peer: Peer, words: str, code: int) -> None:
    assert peer.code(words) == code


@pytest.mark.parametrize("where", ["other.test", f"x.{DOMAIN}", f"{DOMAIN}.evil.test", "[127.0.0.1]"])
def test_nothing_is_passed_on_to_another_domain(peer: Peer, where: str) -> None:
    assert peer.code("MAIL FROM:<a@b.test>") == 250
    assert peer.say(f"RCPT TO:<{'a' * 26}@{where}>").startswith("550 5.7.1 ")


def test_several_commands_at_once_are_answered_one_by_one(peer: Peer, post: Post, address: str) -> None:
    peer.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<" + address.encode() + b">\r\nDATA\r\n")
    assert [peer.reply()[:3] for _ in range(3)] == ["250", "250", "354"]
    peer.send(SIMPLE + b".\r\nMAIL FROM:<c@d.test>\r\nRSET\r\n")
    assert [peer.reply()[:3] for _ in range(3)] == ["250", "250", "250"]


def test_a_message_sent_before_354_ends_the_connection(peer: Peer, post: Post, address: str) -> None:
    before = len(post.payloads())
    peer.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<" + address.encode() + b">\r\nDATA\r\n" + SIMPLE + b".\r\n")
    assert [peer.reply()[:3] for _ in range(3)] == ["250", "250", "554"]
    assert peer.closed()
    assert len(post.payloads()) == before


def test_what_comes_in_is_kept_byte_by_byte(peer: Peer, post: Post, address: str) -> None:
    text = b"From: a@b.test\r\n\r\n.\r\n..\r\n.dotted\r\n\xff\xfe\r\n" + "größer\r\n".encode() + b" " * 5000 + b"\r\n"
    payload = taken(peer.message(text, address))
    assert post.raw(payload) == text
    view = post.admin.get(f"/v1/payloads/{payload}").json()
    assert (view["source"], view["content_type"], view["size"]) == ("smtp", "message/rfc822", len(text))
    assert view["tls"]["version"] in {"TLSv1.2", "TLSv1.3"}


def test_an_empty_message_and_many_on_one_connection_are_taken(peer: Peer, post: Post, address: str) -> None:
    payloads = [taken(peer.message(text, address)) for text in (b"", b"\r\n", SIMPLE)]
    assert [post.raw(payload) for payload in payloads] == [b"", b"\r\n", SIMPLE]


def test_a_large_message_goes_to_the_object_store(peer: Peer, post: Post, address: str) -> None:
    text = b"From: a@b.test\r\n\r\n" + b"x" * 76 + b"\r\n"
    text += (b"y" * 998 + b"\r\n") * 2000
    before = len(post.place.stored_files())
    payload = taken(peer.message(text, address))
    assert post.raw(payload) == text
    assert len(post.place.stored_files()) == before + 1
    assert post.office.memory.held == 0


def test_each_message_leaves_one_entry_that_says_how_it_came(peer: Peer, post: Post, address: str) -> None:
    payload = taken(peer.message(SIMPLE, address))
    found = [one for one in post.entries() if one["event"] == "payload.accepted" and one["subject"] == payload]
    assert len(found) == 1
    assert found[0]["detail"]["source"] == "smtp"
    assert found[0]["detail"]["size"] == len(SIMPLE)


def test_the_oldest_version_is_ours_to_decide_and_not_the_systems(post: Post) -> None:
    assert post.office.context.minimum_version is ssl.TLSVersion.TLSv1_2
