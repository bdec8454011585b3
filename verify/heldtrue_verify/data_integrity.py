"""W3C Data Integrity proofs of the cryptosuite eddsa-jcs-2022 (vc-di-eddsa section 3.3)."""

from __future__ import annotations

import hashlib
from datetime import datetime

from heldtrue_verify.canonical import JsonObject, canonicalize, instant_in, object_in, text_in
from heldtrue_verify.note import signature_holds
from heldtrue_verify.verdicts import DoesNotHoldError, MalformedError

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519 = b"\xed\x01"


def from_base58(text: str) -> bytes:
    """Decode multibase base58btc: `z` and digits of the Bitcoin alphabet."""
    if not text.startswith("z") or len(text) > 128 or not all(c in _ALPHABET for c in text):
        raise MalformedError("This is not multibase base58btc.")
    digits = text[1:]
    number = 0
    for digit in digits:
        number = number * 58 + _ALPHABET.index(digit)
    zeros = len(digits) - len(digits.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def parse_multikey(text: str) -> bytes:
    """Give the 32 bytes of an Ed25519 public key written as a Multikey."""
    data = from_base58(text)
    if len(data) != 34 or not data.startswith(_ED25519):
        raise MalformedError("The Multikey is not an Ed25519 public key.")
    return data[2:]


def method_of(document: JsonObject) -> tuple[str, str]:
    """Give controller and Multikey that the document's proof names; both are claims, not facts."""
    controller, _, multikey = text_in(object_in(document, "proof"), "verificationMethod").partition("#")
    return controller, multikey


def created_of(document: JsonObject) -> datetime:
    """Give the time at which the signer says that the proof was made."""
    return instant_in(object_in(document, "proof"), "created")


def verify_proof(document: JsonObject, multikey: str) -> None:
    """Return if the document's proof holds under *multikey*; raise otherwise."""
    proof = dict(object_in(document, "proof"))
    unsecured = {name: value for name, value in document.items() if name != "proof"}
    # 3.3.2: the signature is taken out of the proof, the proof out of the document.
    value = proof.pop("proofValue", None)
    expected = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofPurpose": "assertionMethod"}
    for name, wanted in expected.items():
        if proof.get(name) != wanted:
            raise DoesNotHoldError(f'The proof\'s "{name}" is not "{wanted}".')
    if "@context" in proof:
        # 3.3.2 step 4: the document's context begins with the proof's, which is what was signed.
        outer, inner = (c if isinstance(c, list) else [c] for c in (unsecured.get("@context"), proof["@context"]))
        if outer[: len(inner)] != inner:
            raise DoesNotHoldError("The document's @context does not begin with the proof's.")
        unsecured["@context"] = proof["@context"]
    signature = from_base58(value) if isinstance(value, str) else b""
    # 3.3.4: the proof's hash comes first.
    message = hashlib.sha256(canonicalize(proof)).digest() + hashlib.sha256(canonicalize(unsecured)).digest()
    if not signature_holds(parse_multikey(multikey), signature, message):
        raise DoesNotHoldError("The signature does not hold: document or proof was changed, or another key signed.")
