"""Keys wrapped in keys: AES Key Wrap with Padding (RFC 5649, NIST SP 800-38F)."""

from __future__ import annotations

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding, aes_key_wrap_with_padding

from heldtrue.kernel.errors import IntegrityError

KEY_SIZE = 32
"""Every wrapping key is AES-256."""


class UnwrapError(IntegrityError):
    """A stored key does not unwrap: it was altered, or it belongs under another platform key; restore the right one."""

    code = "unwrap"


def wrap(kek: bytes, key: bytes) -> bytes:
    """Return *key* wrapped under the 32 bytes *kek*: 8 bytes longer, padded to a multiple of 8."""
    return aes_key_wrap_with_padding(kek, key)


def unwrap(kek: bytes, wrapped: bytes) -> bytes:
    """Return the key in *wrapped*; raise `UnwrapError` where *kek* is not the key it was wrapped under."""
    try:
        return aes_key_unwrap_with_padding(kek, wrapped)
    except InvalidUnwrap as error:
        raise UnwrapError from error
