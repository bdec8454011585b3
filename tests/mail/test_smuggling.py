"""Sequences by which one server's end of a message is another's middle, and bytes that no mail has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mail_house import SIMPLE, Peer, Post, stuffed, taken

from heldtrue.capabilities.mail.lines import LINE_BYTES, Dots
from heldtrue.capabilities.mail.terms import HangUpError

INNER = b"MAIL FROM:<evil@sender.test>\r\nRCPT TO:<x@y.test>\r\nDATA\r\nsmuggled\r\n.\r\n"
ENDS = (
    b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\n\r.\r\n",
    b"\r\n.\r\r\n", b"\n\n.\r\n", b"\r\r\n.\r\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def address(post: Post) -> str:
    return post.address()


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_nothing_but_crlf_dot_crlf_ends_a_message(peer: Peer, post: Post, address: str, end: bytes) -> None:
    before = len(post.payloads())
    peer.begin(address)
    peer.send(b"Subject: outer\r\n\r\nfirst" + end + INNER + b"rest\r\n.\r\n")
    assert peer.reply().startswith("550 5.6.11 ")
    assert peer.closed()
    assert len(post.payloads()) == before


@pytest.mark.parametrize("piece", [b"a\nb", b"a\rb", b"\0"], ids=repr)
def test_a_bare_line_end_or_a_nul_anywhere_refuses_the_message(
    peer: Peer, post: Post, address: str, piece: bytes
) -> None:
    before = len(post.payloads())
    peer.begin(address)
    peer.send(b"Subject: outer\r\n\r\n" + b"x" * 300_000 + b"\r\n"[:0] + piece + b"\r\n.\r\n")
    assert peer.reply()[:3] in {"550", "500"}
    assert peer.closed()
    assert len(post.payloads()) == before
    assert post.office.memory.held == 0


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\rNOOP\r\n", b"NO\0OP\r\n", b"NOOP\r\r\n", b"\n"], ids=repr)
def test_a_command_ends_with_crlf_or_the_connection_does(peer: Peer, line: bytes) -> None:
    peer.send(line)
    assert peer.reply()[:3] == "550"
    assert peer.closed()


def test_a_command_line_has_an_end(peer: Peer) -> None:
    peer.send(b"NOOP " + b"x" * 2000)
    assert peer.reply()[:3] == "500"
    assert peer.closed()


def test_a_line_of_a_message_has_an_end(peer: Peer, post: Post, address: str) -> None:
    before = len(post.place.stored_files())
    peer.begin(address)
    peer.send(b"Subject: x\r\n\r\n" + b"x" * (LINE_BYTES + 100))
    assert peer.reply()[:3] == "500"
    assert peer.closed()
    assert len(post.place.stored_files()) == before


def test_a_dot_at_the_end_of_a_packet_ends_nothing(peer: Peer, post: Post, address: str) -> None:
    peer.begin(address)
    for piece in (b"a\r", b"\n.", b".\r", b"\nb\r\n", b".", b"\r", b"\n"):
        peer.send(piece)
    assert post.raw(taken(peer.reply())) == b"a\r\n.\r\nb\r\n"


# ---------------------------------------------------------------- the reader by itself

_LINES = st.lists(st.binary(max_size=30).map(lambda b: bytes(x for x in b if x not in b"\r\n\0")), max_size=8)
_MIX = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\0", b"\r\n.\r\n"]), max_size=14).map(b"".join)


def _read(data: bytes, cuts: list[int]) -> tuple[bytes, bytes]:
    dots, text, at = Dots(), b"", 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        if not dots.ended:
            text += dots.feed(data[at:cut])
            at = cut
    assert dots.ended
    return text, dots.rest + data[at:]


@given(_LINES, st.lists(st.integers(0, 400), max_size=6))
def test_a_message_is_read_back_however_it_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    assert _read(stuffed(message) + b".\r\nNOOP\r\n", cuts) == (message, b"NOOP\r\n")


@given(_MIX, st.lists(st.integers(0, 40), max_size=6))
def test_whatever_is_read_has_no_other_line_end_than_crlf(mix: bytes, cuts: list[int]) -> None:
    """What ends, ends at the first CRLF dot CRLF; what is refused before it, is refused however it is cut."""
    data = mix + b"\r\n.\r\n"
    first = 0 if data.startswith(b".\r\n") else data.index(b"\r\n.\r\n") + 2
    sound = data[:first]
    bad = sound.replace(b"\r\n", b"")
    if b"\r" in bad or b"\n" in bad or b"\0" in bad:
        with pytest.raises(HangUpError):
            _read(data, cuts)
        return
    text, rest = _read(data, cuts)
    assert rest == data[first + 3 :]
    assert text == b"".join(line[line.startswith(b".") :] for line in sound.splitlines(keepends=True))


def test_reading_is_linear() -> None:
    """A dot on every line, a byte at a time at the end of each packet: no piece is looked at again and again."""
    dots = Dots()
    for _ in range(20_000):
        dots.feed(b".\r\n"[:1] + b"." + b"\r\n")
    assert not dots.ended
    assert SIMPLE
