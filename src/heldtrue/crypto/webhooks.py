"""Webhook signatures: Standard Webhooks 1.0.0, `v1` (HMAC-SHA256) always and `v1a` (Ed25519) beside it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldtrue.crypto.guarded import Guarded
from heldtrue.kernel.errors import BadInputError
from heldtrue.kernel.ids import Entropy
from heldtrue.kernel.secret import Secret

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
SIGNING_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"


class MalformedWebhookKeyError(BadInputError):
    """The text is not a webhook secret (`whsec_…`) or signing key (`whsk_…`); copy it again."""

    code = "malformed-webhook-key"


def new_secret(entropy: Entropy) -> Secret[str]:
    """Return a fresh shared secret of 32 bytes, as `whsec_` and base64."""
    return Secret(SECRET_PREFIX + base64.b64encode(entropy(32)).decode())


def new_signing_key(entropy: Entropy) -> Secret[str]:
    """Return a fresh Ed25519 key, as `whsk_` and base64 of its 32-byte seed."""
    return Secret(SIGNING_PREFIX + base64.b64encode(entropy(32)).decode())


def public_of(signing_key: Secret[str]) -> str:
    """Return the public half that receivers check `v1a` with, as `whpk_` and base64 of 32 bytes."""
    public = _private(signing_key).public_key().public_bytes_raw()
    return PUBLIC_PREFIX + base64.b64encode(public).decode()


def signed_content(message_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the bytes that are signed: `id.timestamp.body`."""
    if "." in message_id or not message_id.isascii() or not message_id:
        raise BadInputError("a webhook-id is ASCII and holds no full stop")
    return f"{message_id}.{timestamp}.".encode() + body


def sign_v1(secret: Secret[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return `v1,` and the HMAC-SHA256 under the shared *secret*."""
    mac = hmac.digest(_mac_key(secret), signed_content(message_id, timestamp, body), hashlib.sha256)
    return "v1," + base64.b64encode(mac).decode()


def sign_v1a(signing_key: Secret[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return `v1a,` and the Ed25519 signature by *signing_key*."""
    signature = _private(signing_key).sign(signed_content(message_id, timestamp, body))
    return "v1a," + base64.b64encode(signature).decode()


def headers(
    message_id: str, now: datetime, body: bytes, secrets: Sequence[Secret[str]], signing_keys: Sequence[Secret[str]]
) -> dict[str, str]:
    """Return the three headers of an attempt at *now*; while a secret rotates, both the new and the old one sign."""
    if not secrets:
        raise BadInputError("a webhook is signed with at least one shared secret")
    timestamp = int(now.timestamp())
    signatures = [sign_v1(secret, message_id, timestamp, body) for secret in secrets]
    signatures += [sign_v1a(key, message_id, timestamp, body) for key in signing_keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


class Signer(Guarded):
    """A shared secret and a signing key, read once for many messages."""

    __slots__ = ("_mac", "_private")

    def __init__(self, secret: Secret[str], signing_key: Secret[str]) -> None:
        self._mac = _mac_key(secret)
        self._private = _private(signing_key)

    def signatures(self, signed: bytes) -> tuple[str, str]:
        """Return the `v1` and the `v1a` signature of *signed*, which `signed_content` made."""
        mac = hmac.digest(self._mac, signed, hashlib.sha256)
        return (
            "v1," + base64.b64encode(mac).decode(),
            "v1a," + base64.b64encode(self._private.sign(signed)).decode(),
        )


def headers_by(signers: Sequence[Signer], message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the same as `headers`: first every `v1`, then every `v1a`."""
    if not signers:
        raise BadInputError("a webhook is signed with at least one shared secret")
    timestamp = int(now.timestamp())
    signed = signed_content(message_id, timestamp, body)
    made = [signer.signatures(signed) for signer in signers]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join([*(mac for mac, _ in made), *(signature for _, signature in made)]),
    }


def _mac_key(secret: Secret[str]) -> bytes:
    key = _decode(secret, SECRET_PREFIX)
    if not 24 <= len(key) <= 64:
        raise MalformedWebhookKeyError("a webhook secret has 24 to 64 bytes")
    return key


def _private(signing_key: Secret[str]) -> Ed25519PrivateKey:
    seed = _decode(signing_key, SIGNING_PREFIX)
    if len(seed) != 32:
        raise MalformedWebhookKeyError("a webhook signing key has 32 bytes")
    return Ed25519PrivateKey.from_private_bytes(seed)


def _decode(key: Secret[str], prefix: str) -> bytes:
    text = key.reveal()
    if not text.startswith(prefix):
        raise MalformedWebhookKeyError(f"the key does not begin with {prefix}")
    try:
        return base64.b64decode(text[len(prefix) :], validate=True)
    except binascii.Error as error:
        raise MalformedWebhookKeyError(f"what follows {prefix} is not base64") from error
