"""Canonical forms, digests, seals, signatures, tokens and keys; the only tier that imports `cryptography`."""
