"""Write invoice.pdf and invoice-mail.eml from invoice.json and invoice.ubl.xml: `python examples/make.py`.

The PDF is written by hand, object by object, so that it needs no library; running this again gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import textwrap
from pathlib import Path

HERE = Path(__file__).parent


def pdf(invoice: dict) -> bytes:
    """Return the invoice as a one-page PDF 1.4."""
    drawn: list[str] = []

    def text(x: int, y: int, words: str, size: int = 10, font: str = "F1", *, right: bool = False) -> None:
        plain = words.translate(str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"}))
        if right:
            x -= round(len(words) * size * 0.6)
            font = "F3"
        drawn.append(f"BT /{font} {size} Tf {x} {y} Td ({plain}) Tj ET")

    text(56, 780, f"Invoice {invoice['invoice']}", 20, "F2")
    text(56, 758, f"Issued {invoice['issued']}, due {invoice['due']}")
    for x, side in ((56, "seller"), (310, "buyer")):
        party = invoice[side]
        text(x, 724, side.capitalize(), 8)
        text(x, 710, party["name"], 10, "F2")
        for row, line in enumerate([*party["address"], f"VAT {party['vat']}", party["email"]]):
            text(x, 696 - 14 * row, line)
    y = 610
    drawn.append(f"0.6 w 56 {y + 18} m 539 {y + 18} l S")
    for line in invoice["lines"]:
        text(56, y, line["text"])
        text(400, y, f"{line['quantity']} x {line['unit_price']}", right=True)
        text(539, y, line["amount"], right=True)
        y -= 18
    drawn.append(f"0.6 w 56 {y + 8} m 539 {y + 8} l S")
    tax = invoice["tax"][0]
    sums = [("Net", invoice["net"]), (f"Tax {tax['percent']}%", tax["amount"]), ("Total", invoice["total"])]
    for label, amount in sums:
        y -= 16
        text(310, y, label, 10, "F2" if label == "Total" else "F1")
        text(539, y, f"{amount} {invoice['currency']}", right=True)
    text(56, 60, invoice["note"], 8)

    stream = "\n".join(drawn).encode("cp1252")
    fonts = " ".join(f"/F{number} {number + 4} 0 R" for number in (1, 2, 3))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << %s >> >> >>" % fonts.encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        *(
            f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode()
            for name in ("Helvetica", "Helvetica-Bold", "Courier")
        ),
        f"<< /Title (Invoice {invoice['invoice']}) >>".encode(),
    ]
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (len(objects) + 1, len(objects))
    out += b"startxref\n%d\n%%%%EOF\n" % xref
    return bytes(out)


def mail(invoice: dict, attachments: list[tuple[str, str, bytes]]) -> bytes:
    """Return a mail with *attachments* (RFC 5322, RFC 2045), its lines ended by CRLF."""
    boundary = "=_saltmarsh_0117"
    lines = [
        "Date: Mon, 02 Nov 2026 09:00:00 +0000",
        f"From: Saltmarsh Figures <{invoice['seller']['email']}>",
        f"To: Hollow Lane Bakery Group <{invoice['buyer']['email']}>",
        f"Subject: Invoice {invoice['invoice']}",
        "Message-ID: <sm-2026-0117@saltmarsh.example>",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        f"Invoice {invoice['invoice']} over {invoice['total']} {invoice['currency']} is attached, as PDF and as UBL.",
        f"It is due on {invoice['due']}. Both companies are fictional.",
    ]
    for name, kind, content in attachments:
        lines += [
            f"--{boundary}",
            f'Content-Type: {kind}; name="{name}"',
            f'Content-Disposition: attachment; filename="{name}"',
            "Content-Transfer-Encoding: base64",
            "",
            *textwrap.wrap(base64.b64encode(content).decode(), 76),
        ]
    lines += [f"--{boundary}--", ""]
    return "\r\n".join(lines).encode("ascii")


def main() -> None:
    """Write both files beside this one."""
    invoice = json.loads((HERE / "invoice.json").read_text())
    page = pdf(invoice)
    ubl = (HERE / "invoice.ubl.xml").read_bytes()
    (HERE / "invoice.pdf").write_bytes(page)
    attachments = [("SM-2026-0117.pdf", "application/pdf", page), ("SM-2026-0117.xml", "application/xml", ubl)]
    (HERE / "invoice-mail.eml").write_bytes(mail(invoice, attachments))


if __name__ == "__main__":
    main()
