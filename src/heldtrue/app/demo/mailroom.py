"""The second half of the demo: an invoice comes by mail, becomes JSON in the sandbox, and goes out with a receipt.

All that the sample company would set up for it is set up through the API, and replaced by each run: a mail
address, the shipped transform `invoice`, and a flow from the one through the other.
"""

from __future__ import annotations

import base64
import smtplib
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from heldtrue.app.cli.client import Api, segment
from heldtrue.app.demo.receiver import Received, Receiver
from heldtrue.app.demo.story import MARK, PATIENCE, DemoFailedError
from heldtrue.app.settings_edge import host_and_port

SENDER = "billing@saltmarsh.example"
TRANSFORM, EVENT = "invoice", "invoice.read"


@dataclass(slots=True)
class Mailroom:
    """The sample company's mail address and what happens behind it."""

    api: Api
    listener: str
    """`HOST:PORT` of the mail listener."""
    ca_file: Path | None
    address: str = ""
    flow: str = ""

    def open(self) -> None:
        """Make the address, the transform and the flow; what an earlier run made goes."""
        self._close_earlier()
        made = self.api.post("/v1/addresses", {"label": "demo", "description": MARK})
        self.address = made["address"]
        asked = {"name": MARK, "language": "builtin", "code": TRANSFORM}
        transform = self.api.post("/v1/transforms", asked)
        flow = self.api.post(
            "/v1/flows",
            {
                "name": MARK,
                "filters": {"recipient": self.address},
                "steps": [{"transform_id": transform["id"]}],
                "event_type": EVENT,
            },
        )
        self.flow = flow["id"]

    def send(self, message: bytes) -> tuple[str, str]:
        """Deliver *message* as another mail server would; return the version of TLS and the cipher."""
        host, port = host_and_port("mail.listen", self.listener)
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        with smtplib.SMTP(host, port, local_hostname="mail.saltmarsh.example", timeout=PATIENCE) as link:
            link.starttls(context=context)
            link.sendmail(SENDER, [self.address], message)
            sock = cast("ssl.SSLSocket", link.sock)
            cipher = sock.cipher()
            return sock.version() or "", cipher[0] if cipher else ""

    def read(self, receiver: Receiver) -> tuple[Received, dict[str, Any]]:
        """Wait for the invoice that was read from the mail; return its webhook and what was read."""
        deadline = time.monotonic() + PATIENCE
        while (webhook := self._arrived(receiver)) is None:
            failed = next(self.api.pages("/v1/runs", flow_id=self.flow, state="failed"), None)
            if failed or time.monotonic() > deadline:
                raise DemoFailedError(
                    "the mail did not become an invoice",
                    advice="`heldtrue flows runs` shows how far it came, `heldtrue doctor` what stands in its way.",
                )
            time.sleep(0.2)  # between two looks at a condition, bounded by the deadline
        told = cast("dict[str, Any]", webhook.event["data"])["output"]
        return webhook, cast("dict[str, Any]", orjson.loads(base64.b64decode(told["content"])))

    def _arrived(self, receiver: Receiver) -> Received | None:
        return next((one for one in list(receiver.received.values()) if one.event["type"] == EVENT), None)

    def _close_earlier(self) -> None:
        for kind in ("flows", "transforms"):
            for known in list(self.api.pages(f"/v1/{kind}")):
                if known["name"] == MARK:
                    self.api.delete(f"/v1/{kind}/{segment(known['id'])}")
        for known in list(self.api.pages("/v1/addresses")):
            if known.get("description") == MARK and known.get("state") == "active":
                self.api.delete(f"/v1/addresses/{segment(known['id'])}")
