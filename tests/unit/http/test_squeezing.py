"""Answers that are compressed: which, for whom, and never one in which a secret could stand."""

from __future__ import annotations

import gzip

import pytest

from heldtrue.http.incoming import Reply
from heldtrue.http.route import CacheClass
from heldtrue.http.squeezing import SMALLEST, accepted, packed, varies

TEXT = b"<p>All 41 routes refused all 4 kinds of bad credential.</p>" * 40


def reply(cache: CacheClass = CacheClass.PAGE, kind: str = "text/html; charset=utf-8", content: bytes = TEXT) -> Reply:
    return Reply(status=200, content_type=kind, content=content, cache=cache)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", False), ("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("*;q=0", False), ("br", False),
        ("gzip;q=0", False), ("gzip; q=0.000, *", False), ("identity;q=1, *;q=0.1", True), ("xgzip", False),
    ],
)  # fmt: skip
def test_gzip_is_sent_to_whom_accepts_it(header: str, said: bool) -> None:
    assert accepted(header) is said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text/css; charset=utf-8", True), ("application/json", True), ("image/svg+xml", True),
        ("application/atom+xml; charset=utf-8", True), ("application/octet-stream", False), ("font/woff2", False),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", False), ("application/pdf", False),
    ],
)  # fmt: skip
def test_text_is_compressed_and_what_is_packed_already_is_not(kind: str, said: bool) -> None:
    assert varies(reply(kind=kind)) is said


def test_what_no_cache_may_keep_is_never_compressed() -> None:
    assert not varies(reply(CacheClass.PRIVATE))
    assert varies(reply(CacheClass.IMMUTABLE))
    assert not varies(reply(content=b"x" * (SMALLEST - 1)))
    assert not varies(Reply(status=204, content_type="text/plain", cache=CacheClass.PAGE))


def test_what_is_compressed_is_the_same_bytes_each_time_and_comes_out_whole() -> None:
    assert gzip.decompress(packed(TEXT)) == TEXT
    assert packed(TEXT) is packed(TEXT), "a static file is compressed once"
    assert len(packed(TEXT)) < len(TEXT) // 4
