"""RFC 8785 against the vectors of its author (cyberphone/json-canonicalization)."""

from __future__ import annotations

from pathlib import Path

import pytest

from heldtrue.crypto.canonical import canonicalize, parse_strict

NAMES = ["arrays", "french", "structures", "unicode", "values", "weird"]


@pytest.mark.parametrize("name", NAMES)
def test_each_input_canonicalises_to_its_output_byte_for_byte(vectors: Path, name: str) -> None:
    made = canonicalize(parse_strict((vectors / "jcs" / "input" / f"{name}.json").read_bytes()))
    assert made == (vectors / "jcs" / "output" / f"{name}.json").read_bytes()
    assert made == bytes.fromhex((vectors / "jcs" / "outhex" / f"{name}.txt").read_text())


def test_no_vector_is_left_out(vectors: Path) -> None:
    assert sorted(path.stem for path in (vectors / "jcs" / "input").iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_canonical_document_is_its_own_canonical_form(vectors: Path, name: str) -> None:
    canonical = (vectors / "jcs" / "output" / f"{name}.json").read_bytes()
    assert canonicalize(parse_strict(canonical)) == canonical
