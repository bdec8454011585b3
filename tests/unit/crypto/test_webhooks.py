"""Webhook signatures: an independent library accepts them, and a change of any signed part is refused."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from heldtrue.crypto.webhooks import (
    MalformedWebhookKeyError,
    headers,
    new_secret,
    new_signing_key,
    public_of,
    sign_v1,
    sign_v1a,
    signed_content,
)
from heldtrue.kernel.errors import BadInputError
from heldtrue.kernel.secret import Secret

BODY = json.dumps({"type": "payload.forwarded", "text": "é"}).encode()
OLD, NEW = new_secret(secrets.token_bytes), new_secret(secrets.token_bytes)
SIGNING = new_signing_key(secrets.token_bytes)


def test_an_independent_library_accepts_ours() -> None:
    made = headers("del_1", datetime.now(UTC), BODY, [NEW], [SIGNING])
    assert Webhook(NEW.reveal()).verify(BODY, made) == json.loads(BODY)


def test_while_a_secret_rotates_either_one_verifies() -> None:
    made = headers("del_1", datetime.now(UTC), BODY, [NEW, OLD], [SIGNING])
    for secret in (OLD, NEW):
        Webhook(secret.reveal()).verify(BODY, made)
    assert [part.split(",")[0] for part in made["webhook-signature"].split(" ")] == ["v1", "v1", "v1a"]


@pytest.mark.parametrize("change", ["body", "id", "time", "stale", "secret"])
def test_the_independent_library_refuses_a_change(change: str) -> None:
    now = datetime.now(UTC)
    made = headers("del_1", now - timedelta(minutes=6) if change == "stale" else now, BODY, [NEW], [])
    if change == "id":
        made["webhook-id"] = "del_2"
    if change == "time":
        made["webhook-timestamp"] = str(int(made["webhook-timestamp"]) - 1)
    secret = OLD if change == "secret" else NEW
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.reveal()).verify(BODY + b" " if change == "body" else BODY, made)


def test_the_vector_of_the_specification() -> None:
    """Standard Webhooks' own example: the same input gives the same signature as its reference library."""
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    moment = datetime.fromtimestamp(1614265330, UTC)
    expected = Webhook(secret.reveal()).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, '{"test": 2432232314}')
    made = sign_v1(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == expected == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_asymmetric_signature_verifies_with_the_public_half() -> None:
    version, _, signature = sign_v1a(SIGNING, "del_1", 5, BODY).partition(",")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_of(SIGNING).removeprefix("whpk_")))
    assert version == "v1a"
    public.verify(base64.b64decode(signature), b"del_1.5." + BODY)


@pytest.mark.parametrize("message_id", ["", "a.b", "é"])
def test_an_id_that_blurs_the_signed_bytes_is_refused(message_id: str) -> None:
    with pytest.raises(BadInputError):
        signed_content(message_id, 1, BODY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_!!",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_AA==",
        "whsec_!" + "A" * 43 + "=",
        "whsec_" + "A" * 88,
    ],
)
def test_a_secret_that_is_none_signs_nothing(text: str) -> None:
    with pytest.raises(MalformedWebhookKeyError):
        sign_v1(Secret(text), "del_1", 1, BODY)


@pytest.mark.parametrize("text", ["whsk_", "whsk_AA==", "whsec_" + "A" * 43 + "=", "whsk_" + "A" * 44])
def test_a_signing_key_that_is_none_signs_nothing(text: str) -> None:
    with pytest.raises(MalformedWebhookKeyError):
        sign_v1a(Secret(text), "del_1", 1, BODY)


def test_no_attempt_goes_out_without_a_shared_secret() -> None:
    with pytest.raises(BadInputError):
        headers("del_1", datetime.now(UTC), BODY, [], [SIGNING])
