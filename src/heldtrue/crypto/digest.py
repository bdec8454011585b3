"""Digests: SHA-256 and nothing else, so that nobody has to ask which one."""

from __future__ import annotations

import hashlib


def sha256(data: bytes) -> bytes:
    """Return the 32 bytes of SHA-256 (FIPS 180-4) of *data*."""
    return hashlib.sha256(data).digest()
