"""Other people's mail clients deliver to a whole running instance, through STARTTLS and with attachments."""

from __future__ import annotations

import base64
import json
import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP, compat32
from pathlib import Path
from typing import Any

import psutil
import pytest
from dns_server import serve_names
from instance import HELDTRUE, Instance, free_port, until

pytestmark = pytest.mark.interop
HERE = Path(__file__).parent
ATTACHMENT = bytes(range(256)) * 300
DOMAIN = "in.example.test"
SETTINGS = """
[mail]
listen = "127.0.0.1:{port}"
implicit_tls = "127.0.0.1:{implicit}"
domain = "in.example.test"
hostname = "mx.example.test"
tls_reports = "mailto:tls@example.test"
resolvers = ["127.0.0.1:{names}"]
"""


@dataclass
class Running:
    instance: Instance
    port: int
    implicit: int
    key: str
    address: str

    def payload(self, id: str) -> tuple[dict[str, Any], bytes]:  # noqa: A002
        """Return what the instance tells of a payload, and its bytes."""
        view = self.instance.done("GET", f"/v1/payloads/{id}", key=self.key)
        return view, self.instance.call("GET", f"/v1/payloads/{id}/content", key=self.key).body

    def children(self) -> set[tuple[int, str]]:
        """Return the supervisor's own children."""
        assert self.instance.process is not None
        return {(one.pid, one.name()) for one in psutil.Process(self.instance.process.pid).children()}

    def mail_process(self) -> psutil.Process:
        assert self.instance.process is not None
        below = psutil.Process(self.instance.process.pid).children()
        return next(one for one in below if one.name() == "heldtrue-mail")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    root = tmp_path_factory.mktemp("mail")
    root.chmod(0o755)
    with serve_names({("sender.test", "TXT"): ['"v=spf1 ip4:127.0.0.1 -all"']}) as names:
        port, implicit = free_port(), free_port()
        settings = root / "heldtrue.toml"
        settings.write_text(SETTINGS.format(port=port, implicit=implicit, names=names.port))
        instance = Instance(root, ("--no-claims", "--config", str(settings)))
        try:
            instance.start()
            key = instance.organisation("Ledgerline")
            made = instance.done("POST", "/v1/addresses", {"label": "invoices"}, key)
            yield Running(instance, port, implicit, key, made["address"])
        finally:
            instance.stop()


def check(running: Running, id: str) -> dict[str, Any]:  # noqa: A002
    """Look at what was kept: the attachment's bytes, the connection, the sender; return the view."""
    view, raw = running.payload(id)
    parsed = BytesParser(policy=compat32).parsebytes(raw)
    [attachment] = [part for part in parsed.walk() if part.get_filename() == "invoice.pdf"]
    assert attachment.get_payload(decode=True) == ATTACHMENT
    assert view["source"] == "smtp"
    assert view["tls"]["version"] in {"TLSv1.2", "TLSv1.3"}
    assert view["tls"]["cipher"]
    assert view["mail"]["labels"] == ["invoices"]
    assert view["mail"]["spf"] == "pass"
    return view


def message(running: Running) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Ann <ann@sender.test>", running.address, "Rechnung für März"
    made.set_content("See the attachment.\n.\nIt has a dot.\n")
    made.add_attachment(ATTACHMENT, maintype="application", subtype="pdf", filename="invoice.pdf")
    return made


def said_id(reply: str) -> str:
    return reply.split("taken as ")[1].split(maxsplit=1)[0]


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
def test_pythons_smtplib(running: Running, implicit: bool) -> None:
    context = ssl.create_default_context(cafile=str(running.instance.ca_file))
    kind = smtplib.SMTP_SSL if implicit else smtplib.SMTP
    more: dict[str, Any] = {"context": context} if implicit else {}
    with kind("localhost", running.implicit if implicit else running.port, timeout=30, **more) as client:
        if not implicit:
            client.starttls(context=context)
        client.ehlo()
        client.mail("ann@sender.test")
        client.rcpt(running.address)
        code, reply = client.data(message(running).as_bytes(policy=SMTP))
    assert code == 250
    check(running, said_id(reply.decode()))


def test_smtplib_is_refused_in_clear(running: Running) -> None:
    with smtplib.SMTP("localhost", running.port, timeout=30) as client:
        client.ehlo()
        with pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
            client.send_message(message(running))


def test_swaks(running: Running, tmp_path: Path) -> None:
    found = shutil.which("swaks")
    if found is None:
        absent("swaks")
    file = tmp_path / "invoice.pdf"
    file.write_bytes(ATTACHMENT)
    words = [
        found, "--server", "127.0.0.1", "--port", str(running.port), "--tls", "--tls-verify", "--tls-ca-path",
        str(running.instance.ca_file), "--from", "ann@sender.test", "--to", running.address, "--attach-type",
        "application/pdf", "--attach-name", "invoice.pdf", "--attach", f"@{file}", "--timeout", "30",
    ]  # fmt: skip
    sent = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    check(running, said_id(sent.stdout))


@pytest.mark.parametrize("secure", [False, True], ids=["starttls", "implicit"])
def test_nodemailer(running: Running, secure: bool) -> None:
    found, folder = shutil.which("node"), HERE / "mail_js"
    if found is None or not (folder / "node_modules").is_dir():
        absent("node with the packages of tests/interop/mail_js")
    told = {
        "port": running.implicit if secure else running.port,
        "secure": secure,
        "ca_file": str(running.instance.ca_file),
        "to": running.address,
        "attachment": base64.b64encode(ATTACHMENT).decode(),
    }
    sent = subprocess.run(
        [found, str(folder / "send.mjs")],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert sent.returncode == 0, sent.stderr
    answer = json.loads(sent.stdout)
    assert answer["accepted"] == [running.address]
    check(running, said_id(answer["response"]))


def test_the_receipt_tells_how_the_mail_came(running: Running) -> None:
    instance = running.instance
    instance.done("POST", "/v1/endpoints", {"url": "https://receiver.invalid/in"}, running.key)
    context = ssl.create_default_context(cafile=str(instance.ca_file))
    with smtplib.SMTP("localhost", running.port, timeout=30) as client:
        client.starttls(context=context)
        client.ehlo()
        client.mail("ann@sender.test")
        client.rcpt(running.address)
        id_ = said_id(client.data(message(running).as_bytes(policy=SMTP))[1].decode())
    receipts = until(
        lambda: instance.done("GET", f"/v1/receipts?payload_id={id_}", key=running.key)["data"], 60, "the receipt"
    )
    receipt = instance.done("GET", f"/v1/receipts/{receipts[0]['id']}", key=running.key)["receipt"]
    assert receipt["payload"]["source"] == "smtp"
    assert receipt["payload"]["tls"]["version"] in {"TLSv1.2", "TLSv1.3"}


def test_the_mail_process_comes_back_by_itself_and_nothing_else_does(running: Running) -> None:
    before = {one for one in running.children() if one[1] in {"heldtrue-web", "heldtrue-worker"}}
    assert len(before) == 2
    killed = running.mail_process()
    killed.kill()

    def again() -> bool:
        try:
            with smtplib.SMTP("localhost", running.port, timeout=5) as client:
                return client.ehlo()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False

    until(again, 60, "mail is taken again")
    assert running.mail_process().pid != killed.pid
    assert before <= running.children()


def test_the_command_line_makes_addresses_and_prints_the_records(running: Running, tmp_path: Path) -> None:
    credential = tmp_path / "key"
    credential.write_text(running.key)
    credential.chmod(0o600)
    root = running.instance.root

    def run(*words: str) -> Any:
        command = [HELDTRUE, *words, "--data-dir", str(running.instance.data), "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)

    mine = ("--credential-file", str(credential))
    made = run("addresses", "create", "--label", "cli", "--dmarc", "refuse", *mine)
    assert made["address"].endswith(f"@{DOMAIN}")
    assert made["policy"] == {"spf": "flag", "dkim": "accept", "dmarc": "refuse"}
    assert made["id"] in [one["id"] for one in run("addresses", "list", *mine)]
    assert run("addresses", "revoke", made["id"], *mine)["state"] == "revoked"
    records = run("mail", "dns", "--config", str(root / "heldtrue.toml"))
    assert {one["type"] for one in records["records"]} == {"MX", "TXT", "CNAME"}
    served = running.instance.call("GET", "/.well-known/mta-sts.txt")
    assert served.body.decode() == records["mta_sts"]["text"]


def absent(what: str) -> None:
    import os

    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed, and in CI nothing is skipped")
    pytest.skip(f"{what} is not installed; `make test-deps` installs it")
