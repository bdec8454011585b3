"""The demo's own parts: its receiver believes nothing, its samples are what they say."""

from __future__ import annotations

import email
import email.policy
import http.client
import json
import ssl
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from heldtrue.app.demo import samples
from heldtrue.app.demo.receiver import Receiver, receiving
from heldtrue.crypto.tls import ensure_local_authority
from heldtrue.crypto.webhooks import new_secret, sign_v1
from heldtrue.kernel.errors import SettingsError

EXAMPLES = Path(__file__).parents[3] / "examples"
BODY = b'{"type":"payload.forwarded","timestamp":"2026-11-22T12:00:00.000Z","data":{}}'


def post(receiver: Receiver, ca: Path, headers: dict[str, str], body: bytes) -> int:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", int(receiver.url.split(":")[2].split("/")[0]), context=ssl.create_default_context(cafile=str(ca))
    )
    connection.request("POST", "/invoices", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_receiver_takes_only_what_verifies(tmp_path: Path) -> None:
    files = ensure_local_authority(tmp_path, datetime.now(UTC))
    secret = new_secret(lambda size: b"s" * size)
    now = int(time.time())
    signed = {
        "webhook-id": "del_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign_v1(secret, "del_1", now, BODY),
    }
    with receiving(files.cert, files.key) as receiver:
        receiver.secrets.append(secret.reveal())
        assert post(receiver, files.ca, signed, BODY + b" ") == 400
        assert post(receiver, files.ca, {**signed, "webhook-id": "del_2"}, BODY) == 400
        assert not receiver.wait_for(1, 0)
        assert post(receiver, files.ca, signed, BODY) == 204
        assert receiver.wait_for(1, 5)
    assert len(receiver.refused) == 2
    assert receiver.received["del_1"].as_file().endswith(b"\n\n" + BODY)


def test_the_samples_are_all_there() -> None:
    found = samples.find(None)
    assert [sample.file.name for sample in found] == [
        "invoice.json",
        "invoice.ubl.xml",
        "invoice.pdf",
        "invoice-mail.eml",
        "filing.json",
    ]
    assert all(path.exists() for sample in found for path in (sample.file, *sample.attachments))


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="examples"):
        samples.find(tmp_path)


def test_the_written_examples_are_what_their_script_writes(tmp_path: Path) -> None:
    for name in ("make.py", "invoice.json", "invoice.ubl.xml"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    subprocess.run([sys.executable, tmp_path / "make.py"], check=True)
    for name in ("invoice.pdf", "invoice-mail.eml"):
        assert (tmp_path / name).read_bytes() == (EXAMPLES / name).read_bytes(), name


def test_the_three_invoices_are_one() -> None:
    invoice = json.loads((EXAMPLES / "invoice.json").read_text())
    assert sum(Decimal(line["amount"]) for line in invoice["lines"]) == Decimal(invoice["net"])
    assert Decimal(invoice["net"]) + Decimal(invoice["tax"][0]["amount"]) == Decimal(invoice["total"])
    root = ElementTree.parse(EXAMPLES / "invoice.ubl.xml").getroot()
    basic = "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}"
    assert root.tag == "{urn:oasis:names:specification:ubl:schema:xsd:Invoice-2}Invoice"
    assert root.findtext(f"{basic}ID") == invoice["invoice"]
    assert [node.text for node in root.iter(f"{basic}PayableAmount")] == [invoice["total"]]
    page = (EXAMPLES / "invoice.pdf").read_bytes()
    assert invoice["invoice"].encode() in page
    assert f"{invoice['total']} {invoice['currency']}".encode() in page


def test_the_pdf_is_sound() -> None:
    page = (EXAMPLES / "invoice.pdf").read_bytes()
    assert page.startswith(b"%PDF-1.4\n")
    start = int(page.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    table = page[start:].split(b"trailer")[0].splitlines()
    assert table[0] == b"xref"
    for number, line in enumerate(table[3:], 1):
        offset = int(line[:10])
        assert page[offset:].startswith(b"%d 0 obj\n" % number)
    stream = page.split(b"stream\n", 1)[1].split(b"\nendstream")[0]
    assert b"/Length %d " % len(stream) in page


def test_the_mail_carries_both() -> None:
    content = (EXAMPLES / "invoice-mail.eml").read_bytes()
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message.defects == []
    attached = {part.get_content_type(): part.get_payload(decode=True) for part in message.iter_attachments()}
    assert attached == {
        "application/pdf": (EXAMPLES / "invoice.pdf").read_bytes(),
        "application/xml": (EXAMPLES / "invoice.ubl.xml").read_bytes(),
    }


def test_every_address_in_the_examples_is_reserved() -> None:
    for path in EXAMPLES.iterdir():
        if path.suffix in {".json", ".xml", ".eml"}:
            for word in path.read_text().replace("<", " ").replace(">", " ").replace('"', " ").split():
                if "@" in word and "." in word and "boundary" not in word:
                    assert word.strip("<>,").endswith(".example"), (path.name, word)
