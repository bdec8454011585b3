"""Signed JSON that strangers can check: W3C Data Integrity, cryptosuite `eddsa-jcs-2022` (vc-di-eddsa, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from heldtrue.crypto.canonical import NotCanonicalError, canonicalize, canonicalize_entry
from heldtrue.crypto.digest import sha256
from heldtrue.crypto.signing import SIGNATURE_SIZE, SigningKey, base58btc, parse_base58btc, verify
from heldtrue.kernel.errors import BadInputError, IntegrityError

TYPE = "DataIntegrityProof"
CRYPTOSUITE = "eddsa-jcs-2022"
PURPOSE = "assertionMethod"


class ProofBrokenError(IntegrityError):
    """The document's proof does not hold: it was altered, or another key signed it; do not rely on it."""

    code = "proof-broken"


@dataclass(frozen=True, slots=True)
class HashData:
    """Every step between a document and the bytes that are signed (sections 3.3.3 to 3.3.5)."""

    canonical_document: bytes
    canonical_proof: bytes

    @property
    def document_hash(self) -> bytes:
        """SHA-256 of the document without its proof."""
        return sha256(self.canonical_document)

    @property
    def proof_hash(self) -> bytes:
        """SHA-256 of the proof without its value."""
        return sha256(self.canonical_proof)

    @property
    def signed(self) -> bytes:
        """The 64 bytes that are signed: the proof's hash first, then the document's."""
        return self.proof_hash + self.document_hash


def hash_data(document: Mapping[str, Any], options: Mapping[str, Any]) -> HashData:
    """Return the steps of hashing *document* under the proof *options*; `proof` and `proofValue` are left out."""
    return HashData(
        _canonical({name: value for name, value in document.items() if name != "proof"}),
        _canonical({name: value for name, value in options.items() if name != "proofValue"}),
    )


def _canonical(document: dict[str, Any]) -> bytes:
    """Return the RFC 8785 form, by the fast path where the document lies in the profile of log entries."""
    try:
        return canonicalize_entry(document)
    except NotCanonicalError:
        return canonicalize(document)


def attach_proof(
    document: dict[str, Any], key: SigningKey, created: datetime, verification_method: str
) -> dict[str, Any]:
    """Return *document* with a proof by *key*; *created* is written in UTC with milliseconds."""
    options = {
        "type": TYPE,
        "cryptosuite": CRYPTOSUITE,
        "created": created.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "verificationMethod": verification_method,
        "proofPurpose": PURPOSE,
    }
    if "@context" in document:
        options["@context"] = document["@context"]
    return sign_document(document, key, options)


def sign_document(document: dict[str, Any], key: SigningKey, options: dict[str, Any]) -> dict[str, Any]:
    """Return *document* signed by *key* under exactly these proof *options* (section 3.3.1)."""
    if "proof" in document:
        raise BadInputError("the document has a proof already; sign the one without")
    value = base58btc(key.sign(hash_data(document, options).signed))
    return {**document, "proof": {**options, "proofValue": value}}


def verify_proof(document: Mapping[str, Any], public: bytes) -> None:
    """Return if the proof of *document* was made with *public*; raise `ProofBrokenError` otherwise (section 3.3.2).

    Whether that key may speak for anybody, and when it did, is not judged here: the log tells it.
    """
    proof = document.get("proof")
    if not isinstance(proof, dict):
        raise ProofBrokenError("the document has no proof, or more than one")
    options = cast("dict[str, Any]", proof)
    for name, expected in (("type", TYPE), ("cryptosuite", CRYPTOSUITE), ("proofPurpose", PURPOSE)):
        if options.get(name) != expected:
            raise ProofBrokenError(f"the proof's {name} is not {expected}")
    if "@context" in options and not _begins_with(document.get("@context"), options["@context"]):
        raise ProofBrokenError("the document's @context does not begin with the one that was signed")
    signed = dict(document)
    if "@context" in options:
        signed["@context"] = options["@context"]  # section 3.3.2, step 4.3: the secured context counts
    try:
        signature = parse_base58btc(str(options.get("proofValue", "")))
        message = hash_data(signed, options).signed
    except BadInputError as error:
        raise ProofBrokenError("the proof's value or the document cannot be read") from error
    if len(signature) != SIGNATURE_SIZE or not verify(public, signature, message):
        raise ProofBrokenError


def _begins_with(whole: object, start: object) -> bool:
    if isinstance(whole, list) and isinstance(start, list):
        return cast("list[object]", whole)[: len(cast("list[object]", start))] == start
    return whole == start
