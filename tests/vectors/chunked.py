"""C2SP chunked encryption with AES-256-GCM, by its specification: a second opinion, and examples with a fixed salt."""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

CHUNK = 16 * 1024
TAG = 16
SALT = 24
COMMITMENT = 32
_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"


def derive(input_key: bytes, salt: bytes, context: bytes) -> tuple[bytes, bytes, bytes]:
    """Return key, base nonce and commitment."""
    if len(input_key) != 32:
        raise ValueError("the input key has as many bytes as the AEAD's")
    out = HKDFExpand(SHA512(), 32 + 12 + COMMITMENT, _LABEL + salt + context).derive(input_key)
    return out[:32], out[32:44], out[44:]


def _nonce(base: bytes, number: int) -> bytes:
    return (int.from_bytes(base) ^ number).to_bytes(12)


def encrypt(input_key: bytes, context: bytes, message: bytes, salt: bytes) -> bytes:
    """Return salt, commitment and chunks; the last chunk is always a short one."""
    key, base, commitment = derive(input_key, salt, context)
    chunks = [message[at : at + CHUNK] for at in range(0, len(message) + 1, CHUNK)]
    sealed = [AESGCM(key).encrypt(_nonce(base, number), chunk, None) for number, chunk in enumerate(chunks)]
    return salt + commitment + b"".join(sealed)


def decrypt(input_key: bytes, context: bytes, sealed: bytes) -> bytes:
    """Return the message; raise for anything that is not whole, in order, and under this key and context."""
    salt, commitment, body = sealed[:SALT], sealed[SALT : SALT + COMMITMENT], sealed[SALT + COMMITMENT :]
    key, base, expected = derive(input_key, salt, context)
    if not hmac.compare_digest(commitment, expected):
        raise ValueError("the commitment is to another key or context")
    chunks = [body[at : at + CHUNK + TAG] for at in range(0, len(body) + 1, CHUNK + TAG)]
    if len(chunks[-1]) < TAG:
        raise ValueError("the message was cut short")
    return b"".join(AESGCM(key).decrypt(_nonce(base, number), chunk, None) for number, chunk in enumerate(chunks))
