"""ECDSA with P-256 and SHA-256 (FIPS 186-5), verification only: some reporters of leaked keys sign this way."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from heldtrue.kernel.errors import BadInputError


class NotP256Error(BadInputError):
    """The file is not the PEM of a P-256 public key (`BEGIN PUBLIC KEY`); copy it as its owner publishes it."""

    code = "not-p256"


@dataclass(frozen=True, slots=True)
class P256Key:
    """A public key that checks signatures."""

    _public: ec.EllipticCurvePublicKey = field(repr=False)

    @classmethod
    def parse(cls, pem: bytes) -> P256Key:
        """Return the key of a PEM text (RFC 7468, section 13)."""
        try:
            public = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise NotP256Error from error
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise NotP256Error
        return cls(public)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether *signature* (DER, RFC 3279, section 2.2.3) over *message* is this key's."""
        try:
            self._public.verify(signature, message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True
