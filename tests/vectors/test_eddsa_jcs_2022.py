"""W3C vc-di-eddsa, cryptosuite eddsa-jcs-2022: each intermediate value, and the signature, of the published example."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from heldtrue.crypto.integrity import ProofBrokenError, hash_data, sign_document, verify_proof
from heldtrue.crypto.signing import SigningKey, multikey, parse_base58btc, parse_multikey
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret


class Example:
    """The files of the published example."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unsigned: dict[str, Any] = json.loads(self.text("unsigned.json"))
        self.options: dict[str, Any] = json.loads(self.text("proofConfigJCS.json"))
        self.signed: dict[str, Any] = json.loads(self.text("signedJCS.json"))
        pair = json.loads(self.text("keyPair.json"))
        self.public = parse_multikey(pair["publicKeyMultibase"])
        self.public_text = pair["publicKeyMultibase"]
        private = parse_base58btc(pair["privateKeyMultibase"])
        assert private[:2] == b"\x80\x26"
        self.key = SigningKey(CryptoKeyId.new(datetime(2026, 1, 1, tzinfo=UTC), bytes), Secret(private[2:]))

    def text(self, name: str) -> str:
        return (self.folder / name).read_text().strip()


@pytest.fixture
def example(vectors: Path) -> Example:
    return Example(vectors / "eddsa-jcs-2022")


def test_the_key_pair_belongs_together_and_its_text_round_trips(example: Example) -> None:
    assert example.key.public == example.public
    assert multikey(example.key.public) == example.public_text


def test_every_intermediate_value_is_the_published_one(example: Example) -> None:
    steps = hash_data(example.unsigned, example.options)
    assert steps.canonical_document == example.text("canonDocJCS.txt").encode()
    assert steps.document_hash.hex() == example.text("docHashJCS.txt")
    assert steps.canonical_proof == example.text("proofCanonJCS.txt").encode()
    assert steps.proof_hash.hex() == example.text("proofHashJCS.txt")
    assert steps.signed.hex() == example.text("combinedHashJCS.txt")


def test_the_signature_and_the_signed_document_are_the_published_ones(example: Example) -> None:
    steps = hash_data(example.unsigned, example.options)
    assert example.key.sign(steps.signed).hex() == example.text("sigHexJCS.txt")
    signed = sign_document(example.unsigned, example.key, example.options)
    assert signed["proof"]["proofValue"] == example.text("sigBTC58JCS.txt")
    assert signed == example.signed


def test_the_published_document_verifies_and_not_after_any_change(example: Example) -> None:
    verify_proof(example.signed, example.public)
    for name in example.unsigned:
        with pytest.raises(ProofBrokenError):
            verify_proof({**example.signed, name: "changed"}, example.public)
        with pytest.raises(ProofBrokenError):
            verify_proof({k: v for k, v in example.signed.items() if k != name}, example.public)
    for name in example.options:
        with pytest.raises(ProofBrokenError):
            verify_proof({**example.signed, "proof": {**example.signed["proof"], name: "changed"}}, example.public)
    with pytest.raises(ProofBrokenError):
        verify_proof({**example.signed, "added": 1}, example.public)


def test_reordered_members_verify(example: Example) -> None:
    verify_proof(dict(reversed(example.signed.items())), example.public)
