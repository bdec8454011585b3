"""The shipped transform `invoice`: every invoice of a payload in one shape, with what a person should look at.

Structured documents first (UBL, CII, XML in PDF), then the text of PDFs, then HTML and text. Copies of one invoice in
one payload become one. `context["seen"]` may hold keys of invoices that are known: those are marked as duplicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .answers import Many
from .invoice_model import Reading, shape
from .invoice_pdf import open_pdf
from .invoice_text import read_text, text_of_html
from .invoice_xml import read_xml
from .message import RAW, attachment_bytes

MAX_DOCUMENTS = 30
MAX_SEEN = 1_000_000
STRUCTURED = frozenset({"ubl", "cii"})


def transform(payload: dict[str, Any], context: Mapping[str, Any]) -> Any:
    """Return the invoices of *payload*: one output each; one that says `no-invoice` where there is none."""
    found = invoices(payload, context)
    return found[0] if len(found) == 1 else Many(found)


def invoices(payload: dict[str, Any], context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each different invoice as `docs/guides/invoices.md` describes it."""
    seen = context.get("seen")
    known = frozenset(str(key) for key in seen[:MAX_SEEN]) if isinstance(seen, list) else frozenset[str]()
    read = list(_readings(payload))
    sure = _distinct([one for one in read if one.how in STRUCTURED])
    plain = [one for one in read if one.how not in STRUCTURED and (one.text("number") or one.text("gross"))]
    if not sure and not plain:
        return [shape(_nothing(read), payload, known)]
    for other in _distinct(plain):
        twin = _twin(other, sure)
        if twin is None:
            sure.append(other)
        elif twin.how in STRUCTURED and other.amount("gross") not in {None, twin.amount("gross")}:
            twin.notes.add("document-differs")  # what a person sees in the PDF is not what its XML says
    _name_sellers(sure, payload)
    return [shape(one, payload, known) for one in sure]


def _readings(payload: dict[str, Any]) -> Iterator[Reading]:
    """Yield what each document of the payload says, texts only where no document says anything."""
    documents = [(RAW, payload["type"])] if payload["mail"] is None else []
    documents += [(one["ref"], one["type"]) for one in payload["attachments"] if one["ref"] != "body"]
    spoke = False
    for ref, kind in documents[:MAX_DOCUMENTS]:
        for reading in _document(ref, kind):
            spoke = spoke or bool(reading.fields)
            yield reading
    if spoke:
        return
    if payload["html"] and not payload["text"]:
        yield read_text(text_of_html(payload["html"]), "html", "html")
    elif payload["text"]:
        yield read_text(payload["text"], "text", "text")


def _document(ref: str, kind: str | None) -> Iterator[Reading]:
    if kind == "application/xml":
        reading = read_xml(attachment_bytes(ref), ref)
        if reading is not None:
            yield reading
    elif kind == "application/pdf":
        opened = open_pdf(attachment_bytes(ref))
        for name, data in opened.files:
            reading = read_xml(data, f"{ref}#{name[:80]}")
            if reading is not None:
                reading.notes |= opened.notes
                yield reading
        reading = read_text(opened.text, ref, "pdf-text")
        reading.notes |= opened.notes
        yield reading


def _distinct(readings: list[Reading]) -> list[Reading]:
    kept: dict[str, Reading] = {}
    for position, reading in enumerate(readings):
        kept.setdefault(next(iter(reading.keys), f"#{position}"), reading)
    return list(kept.values())


def _twin(reading: Reading, others: list[Reading]) -> Reading | None:
    """Return the invoice among *others* with the same number; else with the same gross and no number against it."""
    for one in others:
        if reading.text("number") is not None and reading.text("number") == one.text("number"):
            return one
    for one in others:
        if reading.text("number") is None and reading.amount("gross") == one.amount("gross"):
            return one
    return None


def _name_sellers(readings: list[Reading], payload: dict[str, Any]) -> None:
    """Take a mail's sender for the seller where nothing better is known."""
    sender = (payload["mail"] or {}).get("from")
    for reading in readings:
        if sender and reading.text("seller_name") is None:
            reading.put("seller_name", sender["name"] or sender["address"], 0.4, "mail.from")


def _nothing(read: list[Reading]) -> Reading:
    notes = {note for one in read for note in one.notes}
    return Reading("nothing", RAW, notes={"no-invoice", *notes})
