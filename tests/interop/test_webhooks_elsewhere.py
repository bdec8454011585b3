"""The reference libraries of Standard Webhooks, from npm and PyPI, accept what was delivered."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from heldtrue.crypto import webhooks
from heldtrue_verify import webhook as ours

pytestmark = pytest.mark.interop
Run = Callable[..., subprocess.CompletedProcess[str]]
NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")


def asked(journey: Any, received: Any, **changes: Any) -> dict[str, Any]:
    headers = {name: received.headers[name] for name in NAMES}
    given = {"secret": journey.secret, "headers": headers, "body": received.body.decode()}
    return {**given, "now": int(headers["webhook-timestamp"]) + 3, **changes}


def test_npm_accepts_every_delivered_message(journey: Any, node: Run) -> None:
    assert len(journey.webhooks) == 3
    for received in journey.webhooks:
        answer = node("webhook.mjs", asked(journey, received))
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert json.loads(answer.stdout)["data"]["receipt"]["proof"]["cryptosuite"] == "eddsa-jcs-2022"


def test_npm_and_ours_refuse_the_same(journey: Any, node: Run) -> None:
    received = journey.webhooks[0]
    good = asked(journey, received)
    other = webhooks.new_secret(secrets.token_bytes).reveal()
    for spoiled in (
        {**good, "body": good["body"] + " "},
        {**good, "now": good["now"] + 301},
        {**good, "now": good["now"] - 310},
        {**good, "secret": other},
        {**good, "headers": {**good["headers"], "webhook-id": "another"}},
        {**good, "headers": {**good["headers"], "webhook-timestamp": str(good["now"])}},
    ):
        assert node("webhook.mjs", spoiled).returncode == 1
        with pytest.raises(ours.WebhookRefusedError):
            ours.verify(spoiled["headers"], spoiled["body"].encode(), [spoiled["secret"]], now=spoiled["now"])
    assert ours.verify(good["headers"], good["body"].encode(), [good["secret"]], now=good["now"])


def test_pypi_signs_the_delivered_messages_alike(journey: Any) -> None:
    for received in journey.webhooks:
        sent = datetime.fromtimestamp(int(received.headers["webhook-timestamp"]), UTC)
        expected = Webhook(journey.secret).sign(received.headers["webhook-id"], sent, received.body.decode())
        assert expected in received.headers["webhook-signature"].split(" ")


def test_pypi_accepts_a_message_of_now_also_while_the_secret_rotates() -> None:
    old, new = (webhooks.new_secret(secrets.token_bytes) for _ in range(2))
    key = webhooks.new_signing_key(secrets.token_bytes)
    body = json.dumps({"type": "payload.forwarded", "timestamp": "2026-11-20T12:00:00.000Z", "data": {"€": 1}}).encode()
    headers = webhooks.headers("dlv_1", datetime.now(UTC), body, [new, old], [key])
    for secret in (old, new):
        assert Webhook(secret.reveal()).verify(body, headers)["type"] == "payload.forwarded"
        with pytest.raises(WebhookVerificationError):
            Webhook(secret.reveal()).verify(body + b" ", headers)
    assert ours.verify(headers, body, [webhooks.public_of(key)])
