"""The pages of docs/spec say what the code does, byte for byte; and code that is not ours agrees with them."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook
from tests.vectors import chunked, examples
from tests.vectors.regenerate import SPEC, names_in, pages, regenerated

from heldtrue.crypto import webhooks
from heldtrue.crypto.sealing import HEADER_SIZE, open_sealed
from heldtrue_verify.checkpoint import Roots
from heldtrue_verify.receipt import RECEIPT_STEPS, ReceiptCase
from heldtrue_verify.verdicts import Verdict, walk
from heldtrue_verify.webhook import WebhookRefusedError, verify


def shown(page: str, name: str) -> str:
    """Return the example as it stands in the page."""
    found = re.search(
        rf"<!-- example: {name} -->\n```[a-z]*\n(.*?)\n```\n", (SPEC / f"{page}.md").read_text(), re.DOTALL
    )
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_a_page_is_what_the_code_makes_it(page: Path) -> None:
    text = page.read_text()
    assert regenerated(text) == text, "run: python -m tests.vectors.regenerate"


def test_every_example_stands_on_exactly_one_page() -> None:
    used = [name for page in pages() for name in names_in(page.read_text())]
    assert sorted(used) == sorted(examples.EXAMPLES)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_no_block_is_left_open_or_unmarked(page: Path) -> None:
    text = page.read_text()
    assert text.count("\n```") % 2 == 0
    if page.stem != "README":
        assert text.count("\n```") == 2 * len(names_in(text))
        assert f"({page.name})" in (SPEC / "README.md").read_text()


def test_a_changed_block_is_noticed() -> None:
    text = (SPEC / "log.md").read_text()
    root = examples.EXAMPLES["log-root"]().splitlines()[0]
    assert regenerated(text.replace(root, root.upper())) == text
    assert regenerated(text, {**examples.EXAMPLES, "log-root": lambda: "another"}) != text


def test_the_verifier_accepts_the_receipt_file_of_the_page() -> None:
    def judged(data: str, pin: str) -> Verdict:
        at = examples.AT + timedelta(days=1)
        return walk("example", RECEIPT_STEPS, ReceiptCase(data.encode(), Roots.parse(pin), at)).verdict

    bundle, pin = shown("receipts", "receipt-bundle"), shown("receipts", "receipt-pin")
    assert judged(bundle, pin) is Verdict.HOLDS
    assert judged(bundle.replace('"size": 39', '"size": 40'), pin) is Verdict.FAILS
    assert pin in shown("log", "log-vkeys")


def test_two_other_libraries_accept_the_webhook_of_the_page() -> None:
    keys = dict(re.split(r" {2,}", line) for line in shown("webhooks", "webhook-keys").splitlines())
    headers = dict(line.split(": ", 1) for line in shown("webhooks", "webhook-headers").splitlines())
    body = shown("webhooks", "webhook-body").encode()
    sent = examples.SENT.timestamp()
    for key in (keys["shared secret"], keys["public key"]):
        assert verify(headers, body, [key], now=sent) == json.loads(body)
        with pytest.raises(WebhookRefusedError):
            verify(headers, body + b" ", [key], now=sent)
    expected = Webhook(keys["shared secret"]).sign(headers["webhook-id"], examples.SENT, body.decode())
    assert headers["webhook-signature"].split(" ")[0] == expected
    assert str(int(sent)) in (SPEC / "webhooks.md").read_text().rsplit("--at ", 1)[1]
    assert webhooks.public_of(examples.WEBHOOK_KEY) == keys["public key"]


def test_the_sealed_value_of_the_page_opens_by_both_implementations() -> None:
    sealed = bytes.fromhex(shown("sealing", "sealing-steps").split("sealed value\n")[1])
    context = bytes.fromhex(shown("sealing", "sealing-context").split("context\n")[1])
    assert open_sealed(examples.DATA_KEY, examples.PLACE, sealed) == examples.PLAINTEXT
    assert chunked.decrypt(examples.DATA_KEY.material.reveal(), context, sealed[HEADER_SIZE:]) == examples.PLAINTEXT


def test_the_receipt_in_the_webhook_is_the_receipt_of_its_page() -> None:
    in_webhook = json.loads(shown("webhooks", "webhook-body"))["data"]["receipt"]
    assert in_webhook == json.loads(shown("receipts", "receipt-signed"))
    assert in_webhook == json.loads(shown("receipts", "receipt-bundle"))["receipt"]
    assert json.loads(shown("receipts", "receipt-bundle"))["proof"].strip() == shown("log", "log-proof").strip()
