"""Standard Webhooks, from a file and inside an application."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldtrue_verify.verdicts import MalformedError
from heldtrue_verify.webhook import WebhookRefusedError, verify

from .simulator import b64

SECRET, KEY = bytes(range(32)), Ed25519PrivateKey.generate()
SHARED = "whsec_" + b64(SECRET)
PUBLIC = "whpk_" + b64(KEY.public_key().public_bytes_raw())
BODY = json.dumps({"type": "payload.forwarded", "timestamp": "2026-11-22T00:00:00.000Z", "data": {}}).encode()
NOW = 1_790_000_000


def headers(at: int = NOW, body: bytes = BODY, secret: bytes = SECRET) -> dict[str, str]:
    message = f"msg_1.{at}.".encode() + body
    signatures = f"v1,{b64(hmac.new(secret, message, hashlib.sha256).digest())} v1a,{b64(KEY.sign(message))}"
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(at), "Webhook-Signature": signatures}


@pytest.mark.parametrize("secrets", [[SHARED], [PUBLIC], ["whsec_" + b64(bytes(24)), SHARED], [SHARED, PUBLIC]])
def test_a_good_message_gives_its_event(secrets: list[str]) -> None:
    assert verify(headers(), BODY, secrets, now=NOW)["type"] == "payload.forwarded"


def test_only_the_known_version_counts() -> None:
    only_shared = headers()
    only_shared["Webhook-Signature"] = only_shared["Webhook-Signature"].split()[0]
    with pytest.raises(WebhookRefusedError):
        verify(only_shared, BODY, [PUBLIC], now=NOW)
    renamed = {**headers(), "Webhook-Signature": headers()["Webhook-Signature"].replace("v1", "v2")}
    with pytest.raises(WebhookRefusedError):
        verify(renamed, BODY, [SHARED, PUBLIC], now=NOW)
    unknown = {**headers(), "Webhook-Signature": "v2,AAAA v1,%% " + headers()["Webhook-Signature"]}
    assert verify(unknown, BODY, [SHARED], now=NOW)


@pytest.mark.parametrize("secrets", [[SHARED], [PUBLIC]])
@pytest.mark.parametrize("name", ["id", "timestamp", "body", "signature", "secret"])
def test_anything_changed_is_refused(secrets: list[str], name: str) -> None:
    given, body = headers(), BODY
    if name == "id":
        given["Webhook-Id"] = "msg_2"
    elif name == "timestamp":
        given["Webhook-Timestamp"] = str(NOW + 1)
    elif name == "body":
        body = BODY.replace(b"forwarded", b"forwardee")
    elif name == "signature":
        given["Webhook-Signature"] = "v1," + b64(bytes(32)) + " v1a," + b64(bytes(64))
    else:
        secrets = ["whsec_" + b64(bytes(32)), "whpk_" + b64(bytes(32))]
    with pytest.raises(WebhookRefusedError, match="No signature holds"):
        verify(given, body, secrets, now=NOW)


def test_a_shared_secret_does_not_pass_as_a_public_key_nor_the_reverse() -> None:
    """A `v1` made with the public key as its secret must not count: the public key is public."""
    public = KEY.public_key().public_bytes_raw()
    message = f"msg_1.{NOW}.".encode() + BODY
    forged = {**headers(), "Webhook-Signature": "v1," + b64(hmac.new(public, message, hashlib.sha256).digest())}
    with pytest.raises(WebhookRefusedError, match="No signature holds"):
        verify(forged, BODY, [PUBLIC], now=NOW)


@pytest.mark.parametrize(("age", "holds"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_five_minutes_and_not_a_second_more(age: int, holds: bool) -> None:
    if holds:
        verify(headers(), BODY, [SHARED], now=NOW + age)
        return
    with pytest.raises(WebhookRefusedError, match="stale" if age > 0 else "in the future"):
        verify(headers(), BODY, [SHARED], now=NOW + age)


def test_bad_shapes_are_refused_and_never_crash() -> None:
    good = headers()
    for spoiled in (
        {},
        {**good, "webhook-id": "msg_1"},
        {**good, "Webhook-Id": "a.b"},
        {**good, "Webhook-Timestamp": "1e9"},
        {**good, "Webhook-Timestamp": ""},
        {**good, "Webhook-Signature": "v1"},
    ):
        with pytest.raises(WebhookRefusedError):
            verify(spoiled, BODY, [SHARED], now=NOW)
    for body in (b"\xff", b"[]", b'{"type": "a", "type": "b", "timestamp": ""}', b'{"type": "a"}'):
        with pytest.raises(WebhookRefusedError):
            verify(headers(body=body), body, [SHARED], now=NOW)
    for secret in ("secret", "whsec_AAAA", "whpk_" + b64(bytes(31)), "whsk_" + b64(bytes(32))):
        with pytest.raises(MalformedError):
            verify(good, BODY, [secret], now=NOW)


def file_of(given: dict[str, str], body: bytes = BODY, line: str = "\r\n") -> bytes:
    return (line.join(f"{name}: {value}" for name, value in given.items()) + line + line).encode() + body


@pytest.fixture
def secrets(tmp_path: Path) -> list[str]:
    (tmp_path / "secret").write_text(f"whsec_{b64(bytes(24))}\n{SHARED}\n")
    (tmp_path / "key").write_text(PUBLIC)
    return ["--secret-file", str(tmp_path / "secret")]


@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_a_webhook_file(verify: Callable[..., Any], secrets: list[str], tmp_path: Path, line: str) -> None:
    now = int(time.time())
    body = BODY.replace(b'"data"', b'"more": "\\n\\n", "data"') + b"\n\n"
    good = file_of(headers(now, body), body, line)
    assert verify("webhook", good, *secrets).exit == 0
    assert verify("webhook", b"POST /hook HTTP/1.1" + line.encode() + good, *secrets).exit == 0
    assert verify("webhook", good, "--key-file", tmp_path / "key").step(2)[1] == [
        "A v1a signature over id, time and body holds."
    ]


def test_what_a_webhook_file_can_lack(verify: Callable[..., Any], secrets: list[str]) -> None:
    now = int(time.time())
    good = file_of(headers(now))
    run = verify("webhook", good)
    assert (run.exit, run.report["verdict"]) == (1, "nothing was pinned")
    run = verify("webhook", good.replace(b"forwarded", b"forwardee"), *secrets)
    assert (run.exit, run.failed) == (1, [2])
    run = verify("webhook", file_of(headers(now - 400)), *secrets)
    assert (run.exit, run.failed) == (1, [3])
    assert "The message is stale: it was sent" in run.text
    assert verify("webhook", file_of(headers(now - 400)), *secrets, "--at", now - 390).exit == 0
    assert verify("webhook", b"no headers", *secrets).exit == 2
    assert verify("webhook", b"webhook-id: 1\n" + good, *secrets).exit == 2
