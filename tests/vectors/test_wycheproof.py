"""C2SP Wycheproof against the primitives as this project calls them: every case, valid and invalid."""

from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from tests.vectors import chunked

from heldtrue.crypto.signing import verify
from heldtrue.crypto.wrapping import UnwrapError, unwrap, wrap


def cases(vectors: Path, name: str, count: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (group, case) of the file; *count* says how many there must be, so that an emptied file does not pass."""
    suite = json.loads((vectors / "wycheproof" / f"{name}.json").read_text())
    found = [(group, case) for group in suite["testGroups"] for case in group["tests"]]
    assert len(found) == count
    yield from found


def test_chunked_encryption_opens_what_is_valid_and_nothing_else(vectors: Path) -> None:
    for _, case in cases(vectors, "c2sp_chunked_encryption_aes_256_gcm_test", 35):
        key, context = bytes.fromhex(case["key"]), bytes.fromhex(case["ctx"])
        sealed = zlib.decompress(bytes.fromhex(case["ct"]))
        opened = _open(key, context, sealed)
        own = _open_by_specification(key, context, sealed)
        if case["result"] == "valid":
            assert opened is not None, case
            assert len(opened) == case["msgLength"]
            assert hashlib.sha512(opened).hexdigest() == case["msgSha512"]
            assert own == opened
        else:
            assert opened is None, case
            assert own is None, case


def _open(key: bytes, context: bytes, sealed: bytes) -> bytes | None:
    try:
        decryptor = Cobblestone256Decryptor(key, context)
        return decryptor.update(sealed) + decryptor.finalize()
    except (InvalidTag, ValueError):
        return None


def _open_by_specification(key: bytes, context: bytes, sealed: bytes) -> bytes | None:
    try:
        return chunked.decrypt(key, context, sealed)
    except (InvalidTag, ValueError):
        return None


def test_key_wrap_with_padding(vectors: Path) -> None:
    for group, case in cases(vectors, "aes_kwp_test", 254):
        kek, key, wrapped = (bytes.fromhex(case[name]) for name in ("key", "msg", "ct"))
        if case["result"] == "valid":
            assert unwrap(kek, wrapped) == key, case
            assert wrap(kek, key) == wrapped, (group, case)
        elif case["result"] == "invalid":
            with pytest.raises(UnwrapError):
                unwrap(kek, wrapped)


def test_ed25519(vectors: Path) -> None:
    for group, case in cases(vectors, "ed25519_test", 151):
        public = bytes.fromhex(group["publicKey"]["pk"])
        holds = verify(public, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
        assert holds == (case["result"] == "valid"), case


def test_hkdf_sha512(vectors: Path) -> None:
    for _, case in cases(vectors, "hkdf_sha512_test", 83):
        ikm, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
        if case["result"] == "valid":
            assert HKDF(SHA512(), case["size"], salt, info).derive(ikm).hex() == case["okm"], case
        else:
            with pytest.raises(ValueError, match="larger"):
                HKDF(SHA512(), case["size"], salt, info)


def test_hmac_sha256(vectors: Path) -> None:
    for group, case in cases(vectors, "hmac_sha256_test", 174):
        key, message, tag = (bytes.fromhex(case[name]) for name in ("key", "msg", "tag"))
        made = hmac.digest(key, message, hashlib.sha256)[: group["tagSize"] // 8]
        assert hmac.compare_digest(made, tag) == (case["result"] == "valid"), case
