"""The short way gives the same bytes as the long one, and refuses whatever that refuses."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heldtrue.crypto.canonical import canonicalize, parse_strict
from heldtrue.crypto.canonical_fast import _short_way, canonical_form
from heldtrue.kernel.errors import BadInputError

ORDINARY = b'{"order": 1234567, "lines": [{"sku": "A-1", "qty": 2, "price": 12.5}], "paid": true, "note": null}'

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.text('ab:" ', max_size=3) | texts
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.decimals(-10, 10, places=3).map(float)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def long_way(text: bytes) -> bytes | str:
    try:
        return canonicalize(parse_strict(text))
    except BadInputError as error:
        return error.code


def either_way(text: bytes) -> bytes | str:
    try:
        return canonical_form(text)
    except BadInputError as error:
        return error.code


@settings(deadline=None)
@given(values, st.sampled_from([None, (",", ":"), (" , ", " : ")]), st.booleans())
@example([56.0, -0.0, 1e16, 1e21, 1e-7, 0.00001, 5e-324, 123456789012345680.0], None, True)
@example({"a": -0.001, "b": 0.1, "c": 1e15, "d": 999999999999999.9, "e": 12.5e3}, (",", ":"), True)
def test_both_ways_give_the_same(value: object, separators: tuple[str, str] | None, ascii_only: bool) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()
    assert either_way(text) == long_way(text)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_written_as_ecmascript_does(number: float) -> None:
    text = b"[%b]" % repr(number).encode()
    assert either_way(text) == long_way(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}', b'{"a" :1,"a":2}', b'{"a":1,"a\\u0000":2}', b'{"a":{"b":1,"b":1}}', b'[{":":1,":":1}]',
        b"[9007199254740993]", b"[18446744073709551616]", b"[1e400]", b"[-0]", b"[1E3]", b"[1.50]", b"[1.0]",
        b'{"n":NaN}', b"[1,]", b"[01]", b'{"a"}', b"\xef\xbb\xbf[]", b'["\xff"]', b'["\\ud800"]',
        b"[" * 129 + b"]" * 129,
        b"[" * 128 + b"]" * 128, b"", b"{", b"7", b'"a"', b"[1] x", '{"é":1,"z":2,"\U0001f600":3,"\uffff":4}'.encode(),
        b"[" + b"{}," * 200 + b"{}]", b'["12e4",":1.0,",{"x":"a:b"}]', b'["\t"]', b'["\x7f/\\/"]',
    ],
)  # fmt: skip
def test_what_is_read_in_two_ways_is_taken_the_long_way(text: bytes) -> None:
    assert either_way(text) == long_way(text)


def test_an_ordinary_text_is_taken_the_short_way() -> None:
    assert _short_way(ORDINARY) == long_way(ORDINARY)
    assert _short_way(orjson.dumps(json.loads(ORDINARY))) is not None
