"""Canonical JSON: one value, one form; and a reader that refuses what two readers would read differently."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.crypto.canonical import (
    MAX_DEPTH,
    MAX_INTEGER,
    DuplicateMemberError,
    MalformedJsonError,
    NotCanonicalError,
    NotUnicodeError,
    TooDeepError,
    UnsafeNumberError,
    canonicalize,
    canonicalize_entry,
    parse_strict,
)

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
ASCII = st.text(st.characters(max_codepoint=127))
INTEGERS = st.integers(-MAX_INTEGER, MAX_INTEGER)
ENTRY = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ASCII, inner),
    max_leaves=30,
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def documents(floats: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | INTEGERS | floats | TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
        max_leaves=30,
    )


ANY = documents(FLOATS)
# Doubles from 2^53 up to 10^21 are written like integers, which a reader of integers rightly refuses.
READABLE = documents(FLOATS.filter(lambda number: not 2**53 <= abs(number) < 1e21))


@given(ENTRY)
def test_the_fast_path_gives_the_same_bytes_within_its_profile(value: Any) -> None:
    assert canonicalize_entry(value) == canonicalize(value) == rfc8785.dumps(value)


@given(ANY)
def test_an_independent_implementation_agrees(value: Any) -> None:
    assert canonicalize(value) == rfc8785.dumps(value)


@given(READABLE)
def test_reading_the_canonical_form_and_writing_it_again_changes_nothing(value: Any) -> None:
    canonical = canonicalize(value)
    assert canonicalize(parse_strict(canonical)) == canonical


@given(st.integers(0, 2**64 - 1))
def test_every_double_survives(bits: int) -> None:
    value = struct.unpack(">d", bits.to_bytes(8))[0]
    if not math.isfinite(value):
        with pytest.raises(NotCanonicalError):
            canonicalize(value)
        return
    written = canonicalize(value)
    assert float(written) == value
    assert written == rfc8785.dumps(value)


@pytest.mark.parametrize(  # RFC 8785, appendix B, and the limits between the notations
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_the_rfc_lists_them(bits: str, text: str) -> None:
    assert canonicalize(struct.unpack(">d", bytes.fromhex(bits))[0]).decode() == text


def test_names_sort_by_utf16_code_units() -> None:
    assert canonicalize({"\ufb33": 1, "\U0001f602": 2}) == '{"\U0001f602":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        "\ud800",
        {"\udfff": 1},
        {1: "a"},
        {None: "a"},
        b"bytes",
        {"a": {1, 2}},
        object(),
    ],
)
def test_what_has_no_canonical_form_is_refused_by_both_paths(value: Any) -> None:
    with pytest.raises(NotCanonicalError):
        canonicalize(value)
    with pytest.raises(NotCanonicalError):
        canonicalize_entry(value)


@pytest.mark.parametrize("value", [1.5, 56.0, -0.0, {"é": 1}, {"a": [1.0]}])
def test_the_entry_profile_refuses_floats_and_names_beyond_ascii(value: Any) -> None:
    canonicalize(value)
    with pytest.raises(NotCanonicalError):
        canonicalize_entry(value)


def test_depth_is_limited_alike_for_reading_and_writing() -> None:
    deepest: Any = 1
    for _ in range(MAX_DEPTH):
        deepest = [deepest]
    text = b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH
    assert canonicalize(deepest) == canonicalize_entry(deepest) == text
    assert parse_strict(text) == deepest
    for refuse in (canonicalize, canonicalize_entry):
        with pytest.raises(NotCanonicalError):
            refuse([deepest])
    with pytest.raises(TooDeepError):
        parse_strict(b"[" + text + b"]")


@pytest.mark.parametrize("innermost", ["[]", "{}", "[1]", '{"a":1}'])
def test_an_innermost_container_counts_whether_empty_or_not(innermost: str) -> None:
    deepest = "[" * (MAX_DEPTH - 1) + innermost + "]" * (MAX_DEPTH - 1)
    assert canonicalize(parse_strict(deepest.encode())).decode() == deepest
    with pytest.raises(TooDeepError):
        parse_strict(f"[{deepest}]".encode())


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 5_000, 1_000_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_bomb_of_brackets_is_refused_and_not_fallen_over(levels: int, opening: bytes, closing: bytes) -> None:
    with pytest.raises(TooDeepError):
        parse_strict(opening * levels + b"1" + closing * levels)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b'{"a":1,"a":1}', DuplicateMemberError),
        (b'{"a":1,"\\u0061":2}', DuplicateMemberError),
        (b'[{"b":{"c":1,"d":2,"c":3}}]', DuplicateMemberError),
        (b"NaN", UnsafeNumberError),
        (b"[Infinity]", UnsafeNumberError),
        (b"[-Infinity]", UnsafeNumberError),
        (b"1e400", UnsafeNumberError),
        (b"9007199254740992", UnsafeNumberError),
        (b"-9007199254740992", UnsafeNumberError),
        (b"1" * 10_000, UnsafeNumberError),
        (b"\xef\xbb\xbf{}", NotUnicodeError),
        (b'"\xff"', NotUnicodeError),
        (b'"\xed\xa0\x80"', NotUnicodeError),
        (b"{\x00}\x00", MalformedJsonError),
        ("{}".encode("utf-16"), NotUnicodeError),
        (b'"\\ud800"', NotUnicodeError),
        (b'{"\\udc00\\ud800":1}', NotUnicodeError),
        (b"", MalformedJsonError),
        (b"{", MalformedJsonError),
        (b"[1,]", MalformedJsonError),
        (b"{'a':1}", MalformedJsonError),
        (b'"\n"', MalformedJsonError),
        (b"01", MalformedJsonError),
        (b"1 2", MalformedJsonError),
        (b"\xc2\xa01", MalformedJsonError),
        ("١".encode(), MalformedJsonError),
        (b"tru", MalformedJsonError),
    ],
)
def test_what_readers_read_differently_is_refused(text: bytes, error: type[MalformedJsonError]) -> None:
    with pytest.raises(error):
        parse_strict(text)


@pytest.mark.parametrize(
    "text", [b"9007199254740991", b"-9007199254740991", b'"\\ud83d\\ude02"', b" [ ] ", b"-0", b"1E2"]
)
def test_what_all_readers_read_alike_is_accepted(text: bytes) -> None:
    assert parse_strict(text) == json.loads(text)


@given(st.binary(max_size=64))
def test_no_bytes_make_the_reader_fail_in_another_way(data: bytes) -> None:
    try:
        parse_strict(data)
    except MalformedJsonError:
        return


@given(ANY)
def test_the_reader_agrees_with_the_standard_library(value: Any) -> None:
    text = json.dumps(value)
    assert parse_strict(text.encode()) == json.loads(text)
