"""Signatures of reporters, by the example that GitHub publishes, and by keys of our own."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from heldtrue.crypto.ecdsa import NotP256Error, P256Key

# The sample message of GitHub's secret scanning partner programme, and the key that it is signed with:
# docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program
GITHUB_KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP
HzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==
-----END PUBLIC KEY-----
"""
GITHUB_BODY = (
    b'[{"token":"NMIfyYncKcRALEXAMPLE","type":"mycompany_api_token","url":"https://github.com/octocat/Hello-World/blob/'
    b'12345600b9cbe38a219f39a9941c9319b600c002/foo/bar.txt","source":"content"}]'
)
GITHUB_SIGNATURE = base64.b64decode(
    "MEUCIQDfLvT8/zM8F1aB3cM0ZwyeWF1m5YR6IhcUIv1OKQYL0wIgBZ5lVXB3gHK+dT8+xt0WgRVLqvsTPFiDO9QP/7eJ4yE="
)


def test_githubs_published_example_verifies_to_the_byte() -> None:
    key = P256Key.parse(GITHUB_KEY)
    assert key.verifies(GITHUB_SIGNATURE, GITHUB_BODY)
    assert not key.verifies(GITHUB_SIGNATURE, GITHUB_BODY + b"\n")
    assert not key.verifies(GITHUB_SIGNATURE[:-1] + bytes([GITHUB_SIGNATURE[-1] ^ 1]), GITHUB_BODY)
    for signature in (b"", b"\0" * 64, GITHUB_SIGNATURE + b"\0", GITHUB_SIGNATURE[:-1], b"0\x06\x02\x01\0\x02\x01\0"):
        assert not key.verifies(signature, GITHUB_BODY)


def _public(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_only_the_public_half_of_a_p256_key_is_taken() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    signature = private.sign(b"text", ec.ECDSA(SHA256()))
    assert P256Key.parse(_public(private)).verifies(signature, b"text")
    assert "0x" not in repr(P256Key.parse(_public(private)))
    refused = [
        b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        _public(ec.generate_private_key(ec.SECP384R1())), _public(rsa.generate_private_key(65537, 2048)),
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ]  # fmt: skip
    for pem in refused:
        with pytest.raises(NotP256Error):
            P256Key.parse(pem)
