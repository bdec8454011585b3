"""Mail made to exhaust a parser: each is read in bounded time and memory, and the shape says what was cut."""

from __future__ import annotations

import base64
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from heldtrue.sandbox.guest import mime, prescan
from heldtrue.sandbox.guest.message import attachment_bytes, message_of

HEAD = b"From: a@shop.example\r\nSubject: hello\r\nContent-Type: "
MOST_SECONDS = 5
"""Of processor time; the worst takes about a twentieth of it."""


def mixed(*parts: bytes, boundary: bytes = b"b", end: bytes = b"--") -> bytes:
    lines = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return HEAD + b"multipart/mixed; boundary=" + boundary + b"\r\n\r\n" + lines + b"--" + boundary + end + b"\r\n"


def read(raw: bytes) -> dict[str, Any]:
    return message_of(raw, "message/rfc822", {"id": "p", "source": "smtp"})


WORD = b"=?utf-8?q?a=20?="


def words_in_subject(gap: bytes) -> bytes:
    return b"From: a@shop.example\r\nSubject: " + gap.join([WORD] * 20_000) + b"\r\n\r\nhi\r\n"


def nested(levels: int, kind: bytes = b"multipart/mixed") -> bytes:
    out = HEAD
    for n in range(levels):
        out += b"%s; boundary=n%d\r\n\r\n--n%d\r\nContent-Type: " % (kind, n, n)
    return out + b"text/plain\r\n\r\ndeep\r\n"


BOMBS: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "words-on-one-line": (lambda: words_in_subject(b" "), {"field-size", "encoded-words"}),
    "words-folded": (lambda: words_in_subject(b"\r\n "), {"field-size", "encoded-words"}),
    "words-in-a-part": (
        lambda: mixed(b'Content-Type: text/plain; name="' + b" ".join([WORD] * 20_000) + b'"\r\n\r\nx'),
        {"part-header-size"},
    ),
    "words-in-many-parts": (
        lambda: mixed(*[b"X-A: " + b" ".join([WORD] * 900) + b"\r\n\r\nx"] * 20),
        {"encoded-words"},
    ),
    "nested-multiparts": (lambda: nested(1000), {"depth", "container-count"}),
    "nested-mails": (lambda: HEAD + b"message/rfc822\r\n\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 5000, set()),
    "thousands-of-parts": (lambda: mixed(*[b"\r\nx"] * 50_000), {"part-count"}),
    "undeclared-delimiters": (lambda: mixed(b"\r\n" + b"--other\r\n" * 100_000), {"delimiter-count"}),
    "header-fields": (lambda: b"A: b\r\n" * 200_000 + b"\r\nx", {"header-size", "header-count", "no-from"}),
    "header-folds": (lambda: b"From: a@b.example\r\nSubject: a" + b"\r\n b" * 500_000 + b"\r\n\r\nx", {"header-size"}),
    "header-without-end": (lambda: b"x" * 2_000_000, {"header-size", "malformed-header", "no-from"}),
    "parameters": (lambda: HEAD + b'text/plain; a="' * 50_000 + b"\r\n\r\nx", {"field-size"}),
    "split-boundary": (
        lambda: HEAD + b'multipart/mixed; boundary*0="a"; boundary*1="b"\r\n\r\n' + b"--ab\r\n\r\nx\r\n" * 20_000,
        {"odd-boundary"},
    ),
    "comments": (lambda: b"From: " + b"(" * 15_000 + b"a@b.example\r\n\r\nx", {"address-malformed", "no-from"}),
    "recipients": (lambda: b"From: a@b.example\r\nTo: " + b"a@b.example, " * 1_000 + b"\r\n\r\nx", {"address-count"}),
    "dots-and-equals": (
        lambda: HEAD + b"text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * 600_000,
        set(),
    ),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_is_read_in_bounded_time_and_memory_and_named(name: str) -> None:
    make, expected = BOMBS[name]
    raw = make()
    before = time.process_time()
    tracemalloc.start()
    shape = read(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - before < MOST_SECONDS
    assert peak < 32 * 1024 * 1024 + 8 * len(raw)
    assert expected <= set(shape["problems"])
    assert len(shape["attachments"]) <= mime.MAX_ATTACHMENTS


def test_twenty_thousand_encoded_words_in_390_kb_never_reach_a_parser() -> None:
    raw = words_in_subject(b"\r\n ")
    assert 370_000 < len(raw) < 400_000
    scanned = prescan.scan(raw)
    assert WORD not in scanned.parseable
    shape = read(raw)
    assert shape["mail"]["subject"].startswith("a a a a ")
    assert shape["text"] == "hi"


def test_what_stands_before_the_place_of_the_cut_is_still_read() -> None:
    shape = read(mixed(b"\r\nthe first", *[b"Content-Type: application/x-a\r\n\r\nx"] * 1000))
    assert shape["text"] == "the first"
    assert len(shape["attachments"]) == mime.MAX_ATTACHMENTS
    assert {"part-count", "attachment-count"} <= set(shape["problems"])


def test_decoded_bytes_are_capped_over_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "MAX_DECODED", 1000)
    part = b"Content-Type: application/x-a\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"x" * 600)
    body = mime.Body(budget=1000)
    for found in (mime.Found(None, "a/b", b"x" * 600, None, False) for _ in range(2)):
        body.attach(found, problems := set())
    assert [one.data is None for one in body.attachments] == [False, True]
    assert problems == {"decoded-size"}
    assert "decoded-size" not in read(mixed(part))["problems"]


def test_a_mail_within_a_mail_is_an_attachment_and_not_unpacked() -> None:
    inner = b"From: x@y.example\r\nSubject: inner\r\n\r\nsecret words\r\n"
    for encoding, body in ((b"7bit", inner), (b"base64", base64.encodebytes(inner))):
        part = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body
        shape = read(mixed(b"\r\nouter", part))
        [attached] = shape["attachments"]
        assert (attached["declared_type"], attached["type"]) == ("message/rfc822", "message/rfc822")
        assert shape["text"] == "outer"
        assert b"secret words" in attachment_bytes(attached["ref"])
