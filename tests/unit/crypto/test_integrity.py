"""Signed documents: any change breaks the proof, any order keeps it."""

from __future__ import annotations

import copy
import secrets
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from heldtrue.crypto.integrity import ProofBrokenError, attach_proof, sign_document, verify_proof
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.errors import BadInputError

NOW = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
KEY = SigningKey.generate(lambda count: bytes(range(count)), NOW)
DOCUMENT: dict[str, Any] = {"id": "rec_1", "size": 3, "parts": [{"a": 1, "b": None}], "text": "é"}
SIGNED = attach_proof(DOCUMENT, KEY, NOW, "https://example.org#key")


def test_a_signed_document_verifies() -> None:
    verify_proof(SIGNED, KEY.public)


def test_signing_leaves_the_document_itself_alone_and_is_the_same_each_time() -> None:
    assert "proof" not in DOCUMENT
    assert attach_proof(DOCUMENT, KEY, NOW, "https://example.org#key") == SIGNED


def test_the_proof_has_exactly_the_members_of_the_format() -> None:
    assert {name: value for name, value in SIGNED["proof"].items() if name != "proofValue"} == {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": "2026-11-01T12:00:00.123Z",
        "verificationMethod": "https://example.org#key",
        "proofPurpose": "assertionMethod",
    }


def test_created_is_written_in_utc_whatever_the_zone() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    assert attach_proof(DOCUMENT, KEY, there, "https://example.org#key") == SIGNED


def test_another_key_did_not_sign_it() -> None:
    with pytest.raises(ProofBrokenError):
        verify_proof(SIGNED, SigningKey.generate(secrets.token_bytes, NOW).public)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("size",), 4),
        (("size",), "3"),
        (("parts", 0, "b"), False),
        (("parts",), []),
        (("text",), "e\u0301"),
        (("proof", "created"), "2026-11-01T12:00:00.124Z"),
        (("proof", "verificationMethod"), "https://example.org#other"),
        (("proof", "proofPurpose"), "authentication"),
        (("proof", "cryptosuite"), "eddsa-rdfc-2022"),
        (("proof", "type"), "Ed25519Signature2020"),
        (("proof", "extra"), 1),
        (("proof", "@context"), ["https://example.org"]),
        (("proof", "proofValue"), "z"),
        (("proof", "proofValue"), None),
        (("proof", "proofValue"), SIGNED["proof"]["proofValue"][1:]),
        (("proof", "proofValue"), "z1" + SIGNED["proof"]["proofValue"][1:]),
        (("proof",), [SIGNED["proof"]]),
        (("proof",), None),
        (("added",), 1),
        (("size",), 2**60),
    ],
)
def test_any_change_breaks_the_proof(path: tuple[str | int, ...], value: object) -> None:
    changed: Any = copy.deepcopy(SIGNED)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(ProofBrokenError):
        verify_proof(changed, KEY.public)


def test_a_document_without_proof_is_not_signed() -> None:
    with pytest.raises(ProofBrokenError):
        verify_proof(DOCUMENT, KEY.public)


def test_a_signed_document_is_not_signed_again() -> None:
    with pytest.raises(BadInputError):
        attach_proof(SIGNED, KEY, NOW, "https://example.org#key")


def test_a_context_is_copied_into_the_proof_and_must_stay_the_documents_own() -> None:
    signed = attach_proof({"@context": ["a", "b"], "x": 1}, KEY, NOW, "m")
    assert signed["proof"]["@context"] == ["a", "b"]
    verify_proof(signed, KEY.public)
    verify_proof({**signed, "@context": ["a", "b", "c"]}, KEY.public)  # vc-di-eddsa 3.3.2: later contexts may follow
    for other in (["b", "a"], ["a"], "a", None):
        with pytest.raises(ProofBrokenError):
            verify_proof({**signed, "@context": other}, KEY.public)


@pytest.mark.parametrize("name", ["type", "cryptosuite", "proofPurpose"])
def test_a_good_signature_under_another_type_suite_or_purpose_is_refused(name: str) -> None:
    options = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofPurpose": "assertionMethod"}
    verify_proof(sign_document({"x": 1}, KEY, options), KEY.public)
    with pytest.raises(ProofBrokenError, match=name):
        verify_proof(sign_document({"x": 1}, KEY, {**options, name: "other"}), KEY.public)
