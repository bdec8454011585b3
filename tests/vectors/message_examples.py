"""The worked examples of docs/spec/message.md."""

from __future__ import annotations

import json
from collections.abc import Callable

from heldtrue.sandbox.guest.message import message_of
from heldtrue.sandbox.guest.schema import SCHEMA

META = {
    "id": "pay_01a19b981f0a74e184c0040404040404",
    "source": "smtp",
    "received_at": "2026-11-02T09:30:00.250Z",
    "envelope": {"sender": "billing@shop.example", "recipients": ["k4q7@in.example.org"]},
}
MAIL = "\r\n".join(
    [
        "From: Shop <billing@shop.example>",
        "To: k4q7@in.example.org",
        "Subject: =?utf-8?q?Rechnung_f=C3=BCr_Oktober?=",
        "Date: Mon, 02 Nov 2026 10:29:58 +0100",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="limit"',
        "",
        "--limit",
        "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Anbei, wie besprochen: f=FCnf Posten.",
        "--limit",
        'Content-Type: application/octet-stream; name="../October.pdf"',
        "Content-Transfer-Encoding: base64",
        "",
        "JVBERi0xLjcK",
        "--limit--",
        "",
    ]
)
FORM = "number=2026-117&total=412.50&note=paid+in+full"


def shown(raw: str, content_type: str, source: str) -> str:
    meta = {**META, "source": source, "envelope": META["envelope"] if source == "smtp" else None}
    return json.dumps(message_of(raw.encode(), content_type, meta), indent=2, ensure_ascii=False)


def shown_form() -> str:
    """Only what differs from the mail's."""
    shape = json.loads(shown(FORM, "application/x-www-form-urlencoded", "http"))
    return json.dumps({name: shape[name] for name in ("content_type", "mail", "form", "attachments")}, indent=2)


def problems() -> str:
    return "\n".join(SCHEMA["$defs"]["problem"]["enum"])


EXAMPLES: dict[str, Callable[[], str]] = {
    "message-mail": lambda: MAIL.replace("\r\n", "\n"),
    "message-shape": lambda: shown(MAIL, "message/rfc822", "smtp"),
    "message-form": shown_form,
    "message-problems": problems,
}
