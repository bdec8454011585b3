"""The worked example of docs/spec/evidence.md."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from uuid import UUID

from heldtrue.capabilities.evidence import envelope
from heldtrue.capabilities.evidence.model import Kind
from heldtrue.crypto.signing import SigningKey, multikey
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret

KEY = SigningKey(CryptoKeyId(UUID(int=0)), Secret(bytes(range(32))))
TESTS = {"result": "PASSED", "configuration": [{"name": "suite"}], "passedTests": ["one"]}


def sealed() -> bytes:
    return envelope.sealed(Kind.TESTS, TESTS, "app@1.2.3", {"gitCommit": "a" * 40}, KEY)


def statement() -> str:
    """Return the statement, as it is signed."""
    return base64.b64decode(json.loads(sealed())["payload"]).decode()


def keys() -> str:
    return (
        f"seed      {bytes(range(32)).hex()}\npublic    {multikey(KEY.public)}\nkeyid     {envelope.key_id(KEY.public)}"
    )


def signed_bytes() -> str:
    return envelope.pae(statement().encode()).decode()


def wrapped() -> str:
    return json.dumps(json.loads(sealed()), indent=2)


EXAMPLES: dict[str, Callable[[], str]] = {
    "evidence-keys": keys,
    "evidence-signed": signed_bytes,
    "evidence-envelope": wrapped,
}
