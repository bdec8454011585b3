"""Heads of HTTP/1.1: one reading, or none."""

from __future__ import annotations

import pytest

from heldtrue.http.exchange import MalformedRequestError
from heldtrue.http.heads import read_head, write_head


def head(*lines: str, first: str = "GET /auth/nginx?a=b HTTP/1.1") -> bytes:
    return "\r\n".join([first, *lines]).encode("latin-1")


def test_a_head_is_read_as_it_stands() -> None:
    found = read_head(head("Host: a", "X-Original-URI:/v1/%2e?q=1 ", "x-original-uri: two\twords", "Empty:"))
    assert (found.method, found.target, found.length, found.last) == ("GET", b"/auth/nginx?a=b", 0, False)
    assert found.headers == [
        (b"host", b"a"), (b"x-original-uri", b"/v1/%2e?q=1"), (b"x-original-uri", b"two\twords"), (b"empty", b""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(head("A: b\nHeldtrue-Tenant: org"), id="bare-line-feed"),
        pytest.param(head("A: b\rHeldtrue-Tenant: org"), id="bare-return"),
        pytest.param(head("A: b\0c"), id="null"),
        pytest.param(head("A: b", " folded"), id="folded"),
        pytest.param(head("A : b"), id="space-before-colon"),
        pytest.param(head("Ä: b"), id="name-beyond-ascii"),
        pytest.param(head("Host: a", "Host"), id="no-colon"),
        pytest.param(head(": b"), id="no-name"),
        pytest.param(head("Content-Length: 1", "Content-Length: 1"), id="two-lengths"),
        pytest.param(head("Content-Length: 1, 1"), id="two-lengths-in-one"),
        pytest.param(head("Content-Length: +1"), id="signed-length"),
        pytest.param(head("Content-Length: -1"), id="negative-length"),
        pytest.param(head("Transfer-Encoding: chunked"), id="chunks"),
        pytest.param(head("Content-Length: 4", "Transfer-Encoding: xchunked"), id="length-beside-chunks"),
        pytest.param(head(first="GET  /a HTTP/1.1"), id="two-spaces"),
        pytest.param(head(first="GET /a b HTTP/1.1"), id="space-in-target"),
        pytest.param(head(first="GET /ä HTTP/1.1"), id="target-beyond-ascii"),
        pytest.param(head(first="GET http://a/ HTTP/1.1"), id="absolute-form"),
        pytest.param(head(first="OPTIONS * HTTP/1.1"), id="asterisk"),
        pytest.param(head(first="GET /a HTTP/2.0"), id="other-version"),
        pytest.param(head(first="GET /a"), id="no-version"),
        pytest.param(head(first="G(T /a HTTP/1.1"), id="method-no-token"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        read_head(text)


@pytest.mark.parametrize(
    ("version", "connection", "last"),
    [
        ("1.1", None, False), ("1.1", "close", True), ("1.1", "TE, Close", True), ("1.1", "keep-alive", False),
        ("1.0", None, True), ("1.0", "Keep-Alive", False), ("1.0", "keep-alive, close", True),
    ],
)  # fmt: skip
def test_the_connection_ends_when_either_side_says_so(version: str, connection: str | None, last: bool) -> None:
    lines = [] if connection is None else [f"Connection: {connection}"]
    assert read_head(head(*lines, first=f"GET / HTTP/{version}")).last is last


def test_an_answer_cannot_be_split_by_a_header() -> None:
    assert write_head(204, [(b"a", b"b")]) == b"HTTP/1.1 204 No Content\r\na: b\r\n\r\n"
    for name, value in ((b"a", b"b\r\nc: d"), (b"a\nb", b"c"), (b"a", b"\0")):
        with pytest.raises(ValueError, match="line end"):
            write_head(200, [(name, value)])
