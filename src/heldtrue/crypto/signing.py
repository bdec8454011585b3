"""Ed25519 signatures (RFC 8032) and their keys as Multikey text (W3C Controlled Identifiers, section 2.2.2)."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from heldtrue.crypto import base58
from heldtrue.crypto.guarded import Guarded
from heldtrue.kernel.errors import BadInputError
from heldtrue.kernel.ids import CryptoKeyId, Entropy
from heldtrue.kernel.secret import Secret

PUBLIC_SIZE = 32
SIGNATURE_SIZE = 64
_ED25519_PUB = b"\xed\x01"
"""The multicodec varint of an Ed25519 public key."""
_SIGN_BIT = 1 << 255
_PRIME = 2**255 - 19
_EIGHTH = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
"""The y of half of the points of order 8; the other half have its negative."""
_SMALL_ORDER = frozenset(
    (y | sign).to_bytes(PUBLIC_SIZE, "little")
    for y in (0, 1, _PRIME - 1, _PRIME, _PRIME + 1, _EIGHTH, _PRIME - _EIGHTH)
    for sign in (0, _SIGN_BIT)
)
"""Every encoding of a point of small order: as a public key it lets anybody sign (RFC 8032, section 5.1.7; the
verification there asks nothing of the key)."""


class MalformedMultikeyError(BadInputError):
    """The text is not an Ed25519 public key in Multikey form (`z6Mk…`); copy it again."""

    code = "malformed-multikey"


class SigningKey(Guarded):
    """An Ed25519 key that signs, and the id under which the keystore holds it."""

    __slots__ = ("_private", "id", "public", "seed")

    def __init__(self, id: CryptoKeyId, seed: Secret[bytes]) -> None:  # noqa: A002 - the name of the thing
        self.id = id
        self.seed = seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self.public = self._private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, entropy: Entropy, now: datetime) -> Self:
        """Return a fresh key made at *now*."""
        return cls(CryptoKeyId.new(now, entropy), Secret(entropy(32)))

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature over *message*."""
        return self._private.sign(message)


def usable(public: bytes) -> bool:
    """Return whether *public* can be somebody's key: 32 bytes, and no point for which anybody could sign."""
    return len(public) == PUBLIC_SIZE and public not in _SMALL_ORDER


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether *signature* over *message* was made with the key of the 32 bytes *public*.

    A key of small order is nobody's, and verifies nothing.
    """
    if not usable(public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def multikey(public: bytes) -> str:
    """Return *public* as `z` + base58btc(0xed01 ‖ 32 bytes)."""
    if len(public) != PUBLIC_SIZE:
        raise MalformedMultikeyError("an Ed25519 public key has 32 bytes")
    return base58btc(_ED25519_PUB + public)


def parse_multikey(text: str) -> bytes:
    """Return the 32 bytes of the public key written as *text*."""
    try:
        data = parse_base58btc(text)
    except BadInputError as error:
        raise MalformedMultikeyError from error
    if len(data) != len(_ED25519_PUB) + PUBLIC_SIZE or not data.startswith(_ED25519_PUB):
        raise MalformedMultikeyError
    return data.removeprefix(_ED25519_PUB)


def base58btc(data: bytes) -> str:
    """Return *data* as multibase base58btc: `z` and the base58 text."""
    return "z" + base58.encode(data)


def parse_base58btc(text: str) -> bytes:
    """Return the bytes of the multibase text *text*; raise `BadInputError` where it is not `z` and base58."""
    if not text.startswith("z"):
        raise base58.NotBase58Error("the text does not begin with z, the multibase letter of base58btc")
    return base58.decode(text[1:])
