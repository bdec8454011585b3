"""RFC 8785, against the published vectors and against the product's own, separate implementation."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.crypto import canonical as product
from heldtrue_verify.canonical import canonicalize, instant_in, parse_strict
from heldtrue_verify.data_integrity import verify_proof
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError

VECTORS = Path(__file__).parents[4] / "shared" / "vectors"
needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason="the folder of vectors is absent")

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not 2**53 <= abs(number) < 1e21)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@needs_vectors
@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_the_published_vectors(name: str) -> None:
    value = parse_strict((VECTORS / "jcs/input" / f"{name}.json").read_bytes())
    assert canonicalize(value) == (VECTORS / "jcs/output" / f"{name}.json").read_bytes()


@needs_vectors
def test_the_published_proof_holds_and_a_changed_one_does_not() -> None:
    signed: dict[str, Any] = json.loads((VECTORS / "eddsa-jcs-2022/signedJCS.json").read_bytes())
    multikey = json.loads((VECTORS / "eddsa-jcs-2022/keyPair.json").read_bytes())["publicKeyMultibase"]
    verify_proof(signed, multikey)
    context = signed["@context"]
    for change in ({"issuer": "x"}, {"@context": context[::-1]}, {"@context": [*context, "https://more.example"]}):
        changed = {**signed, **change}
        if change.get("@context", [])[: len(context)] == context:
            verify_proof(changed, multikey)  # section 3.3.2 step 4: a longer context begins with the signed one
            continue
        with pytest.raises(DoesNotHoldError):
            verify_proof(changed, multikey)


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_appendix_b_lists_them(bits: str, text: str) -> None:
    assert canonicalize(struct.unpack(">d", bytes.fromhex(bits))[0]) == text.encode()


@given(JSON)
def test_two_implementations_agree_and_what_is_written_reads_the_same(value: Any) -> None:
    written = canonicalize(value)
    assert written == product.canonicalize(value)
    assert canonicalize(parse_strict(written)) == written


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}', b'{"\\u0061":1,"a":2}', b"NaN", b"[Infinity]", b"-Infinity",
        b"9007199254740992", b"-9007199254740992", b"1" * 5000, b"1e999", b'"\\ud800"', b'{"\\udfff":1}',
        b"\xef\xbb\xbf{}", b'"\xff"', b"", b"{} {}", b"'a'", b"01", b"[1,]", b'"\n"', b"[" * 200 + b"]" * 200,
    ],
)  # fmt: skip
def test_what_two_readers_could_understand_differently_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_strict(text)


@pytest.mark.parametrize(
    "text",
    ["2026-02-30T00:00:00Z", "2026-01-01T00:00:00+00:00", "2026-01-01", "2026-01-01T00:00:00", "20260101T000000Z", 7],
)
def test_a_time_has_one_form(text: Any) -> None:
    with pytest.raises(MalformedError):
        instant_in({"at": text}, "at")
