"""The shipped transform `invoice`: structured and plain invoices come out in one shape; what is doubtful says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from invoices import cii, invoice, mail, pdf, pdf_with, ubl

from heldtrue.sandbox.guest.answers import Many
from heldtrue.sandbox.guest.invoice import invoices, transform
from heldtrue.sandbox.guest.invoice_text import amount_of, date_in, text_of_html
from heldtrue.sandbox.guest.message import message_of

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
EXPECTED = {
    "number": "RE-2026-7", "kind": "invoice", "issued": "2026-10-05", "due": "2026-11-04", "currency": "EUR",
    "seller_name": "Nordkai GmbH (fictional)", "seller_vat": "DE999999999",
    "buyer_name": "Bakery & Sons (fictional)", "buyer_vat": "FRXX999999999",
    "net": "300.00", "tax": "57.00", "gross": "357.00",
}  # fmt: skip
SHOWN = (
    "Invoice No: RE-2026-7", "Invoice date: 5 October 2026", "Due date: 04.11.2026", "Seller:",
    "Nordkai GmbH (fictional)",
    "VAT ID: DE999999999", "Bill to: Bakery & Sons (fictional)", "VAT ID: FR99999999999", "Feed 2 x 100.00 200.00",
    "Set-up 1 x 100.00 100.00", "Subtotal 300.00 EUR", "VAT 19% 57.00 EUR", "Total due 357.00 EUR",
)  # fmt: skip


def read(raw: bytes, content_type: str, **context: Any) -> list[dict[str, Any]]:
    payload = message_of(raw, content_type, {"id": "pay_1", "received_at": "2026-10-06T08:00:00.000Z"})
    return invoices(payload, context)


def values(found: dict[str, Any]) -> dict[str, str | None]:
    return {name: field["value"] for name, field in found["fields"].items()}


@pytest.mark.parametrize(
    ("raw", "content_type", "how"),
    [
        (ubl(invoice()), "application/xml", "ubl"),
        (cii(invoice()), "text/xml", "cii"),
        (pdf_with({"factur-x.xml": cii(invoice())}, "see the XML"), "application/pdf", "cii"),
        (pdf_with({"a.txt": b"x", "other.xml": ubl(invoice())}, "see the XML"), "application/pdf", "ubl"),
        (mail(("i.xml", "application/octet-stream", ubl(invoice()))), "message/rfc822", "ubl"),
    ],
    ids=["ubl", "cii", "factur-x", "ubl-in-pdf", "ubl-in-mail"],
)
def test_a_structured_invoice_is_read_in_full_and_is_sure(raw: bytes, content_type: str, how: str) -> None:
    [found] = read(raw, content_type)
    assert found["read_from"]["as"] == how
    assert values(found) == EXPECTED
    assert {field["confidence"] for field in found["fields"].values()} == {1.0}
    assert set(found["checks"].values()) == {True}
    assert found["lines"][0] == {
        "id": "1", "text": "Feed", "quantity": "2", "unit": "C62", "price": "100.00", "tax_percent": "19",
        "net": "200.00",
    }  # fmt: skip
    assert (found["review"], found["duplicate"]) == ([], False)


def test_credit_notes_are_told_apart() -> None:
    assert values(read(ubl(invoice(), credit=True), "application/xml")[0])["kind"] == "credit-note"
    assert values(read(cii(invoice(type="381")), "application/xml")[0])["kind"] == "credit-note"


@pytest.mark.parametrize("how", ["text", "html", "pdf-text"])
def test_a_plain_invoice_is_read_by_its_labels_with_less_confidence(how: str) -> None:
    rows = "".join(f"<tr><td>{row.replace('&', '&amp;')}</td></tr>" for row in SHOWN)
    raw, kind = {
        "text": ("\r\n".join(SHOWN).encode(), "text/plain"),
        "html": (
            f"<html><style>x</style><table>{rows}</table><script>Total 1.00</script></html>".encode(),
            "text/html",
        ),
        "pdf-text": (pdf(*SHOWN), "application/pdf"),
    }[how]
    [found] = read(raw, kind)
    assert found["read_from"]["as"] == how
    assert values(found) == EXPECTED | {"buyer_vat": "FR99999999999"}
    assert all(0.5 <= field["confidence"] < 1 for field in found["fields"].values())
    assert found["fields"]["gross"]["confidence"] > 0.8  # the three sums bear one another out
    assert [line["net"] for line in found["lines"]] == ["200.00", "100.00"]
    assert found["review"] == []


def test_german_labels_and_numbers_are_read() -> None:
    text = (
        "Rechnungsnummer: 2026/0815\nRechnungsdatum: 05.10.2026\nZahlbar bis 04.11.2026\nLieferant: Nordkai GmbH\n"
        "USt-IdNr. DE999999999\nNettobetrag 1.000,00 €\nMwSt. 19 % 190,00 €\nGesamtbetrag: 1.190,00 €\n"
    )
    [found] = read(text.encode("cp1252"), "text/plain; charset=windows-1252")
    shown = values(found)
    assert [shown[name] for name in ("number", "issued", "due", "seller_vat", "net", "tax", "gross", "currency")] == [
        "2026/0815", "2026-10-05", "2026-11-04", "DE999999999", "1000.00", "190.00", "1190.00", "EUR",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "check", "field"),
    [
        ({"gross": "358.00"}, "net-tax-gross", "gross"),
        ({"net": "301.00", "gross": "358.00"}, "lines-net", "net"),
        ({"due": "2026-10-01"}, "dates", "due"),
        ({"issued": "2026-12-24", "due": "2026-12-25"}, "dates", "issued"),
        ({"seller_vat": "999"}, "seller-vat", "seller_vat"),
        ({"currency": "euro"}, "currency", "currency"),
    ],
)
def test_what_does_not_add_up_goes_to_review_and_costs_confidence(
    changes: dict[str, str], check: str, field: str
) -> None:
    [found] = read(ubl(invoice(**changes)), "application/xml")
    assert found["checks"][check] is False
    assert f"check-{check}" in found["review"]
    assert found["fields"][field]["confidence"] < 1


def test_an_invoice_that_was_seen_is_marked_for_review_however_it_comes_back() -> None:
    [first] = read(ubl(invoice()), "application/xml")
    assert len(first["keys"]) == 2
    again = mail(("scan.pdf", "application/pdf", pdf(*SHOWN)))
    [second] = read(again, "message/rfc822", seen=first["keys"])
    assert second["duplicate"] is True
    assert "duplicate" in second["review"]
    by_name = "\n".join(row for row in SHOWN if "VAT ID" not in row)  # a copy that shows no VAT id at all
    assert read(by_name.encode(), "text/plain", seen=first["keys"])[0]["duplicate"] is True
    [other] = read(ubl(invoice(number="RE-2026-8")), "application/xml", seen=first["keys"])
    assert (other["duplicate"], other["review"]) == (False, [])


def test_copies_in_one_mail_become_one_and_different_ones_stay_apart() -> None:
    both = mail(("a.pdf", "application/pdf", pdf(*SHOWN)), ("a.xml", "text/xml", ubl(invoice())))
    [one] = read(both, "message/rfc822")
    assert (one["read_from"]["as"], one["review"]) == ("ubl", [])
    two = mail(("a.xml", "text/xml", ubl(invoice())), ("b.xml", "text/xml", ubl(invoice(number="B-9"))))
    payload = message_of(two, "message/rfc822", {"id": "p"})
    made = transform(payload, {})
    assert isinstance(made, Many)
    assert [values(one)["number"] for one in made] == ["RE-2026-7", "B-9"]


def test_a_pdf_that_shows_another_sum_than_its_xml_goes_to_review() -> None:
    shown = [row.replace("357.00", "35.70") for row in SHOWN]
    [found] = read(pdf_with({"factur-x.xml": cii(invoice())}, *shown), "application/pdf")
    assert values(found)["gross"] == "357.00"
    assert "document-differs" in found["review"]


DTD = b'<!DOCTYPE Invoice [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
ENTITIES = ubl(invoice()).replace(b"<Invoice", DTD + b"<Invoice", 1).replace(b"RE-2026-7", b"&b;", 1)


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (ENTITIES, "application/xml"),
        (b"<a>" * 50_000, "application/xml"),
        (b"<a/>" * 200_000, "application/xml"),
        (b"\xff\xfe<\x00a\x00>", "application/xml"),
        (b"%PDF-1.7 nonsense", "application/pdf"),
        (pdf_with({"factur-x.xml": cii(invoice())}, "x", password="secret"), "application/pdf"),
        (b"good morning", "text/plain"),
        (b'{"a":1}', "application/json"),
        (b"", "application/octet-stream"),
    ],
    ids=["entities", "deep", "wide", "utf-16", "no-pdf", "locked-pdf", "words", "json", "empty"],
)
def test_what_is_no_invoice_says_so_and_never_fails(raw: bytes, content_type: str) -> None:
    [found] = read(raw, content_type)
    assert set(values(found).values()) == {None}
    assert "no-invoice" in found["review"]


def test_the_senders_name_stands_in_for_a_missing_seller_and_goes_to_review() -> None:
    [found] = read(mail(text="Invoice 77\nTotal 10.00 EUR\nDate 2026-10-05"), "message/rfc822")
    assert found["fields"]["seller_name"] == {"value": "Books", "confidence": 0.4, "where": "mail.from"}
    assert "unsure-seller_name" in found["review"]


def test_the_examples_that_ship_are_read() -> None:
    for name, kind in (
        ("invoice.ubl.xml", "application/xml"), ("invoice.pdf", "application/pdf"),
        ("invoice-mail.eml", "message/rfc822"),
    ):  # fmt: skip
        [found] = read((EXAMPLES / name).read_bytes(), kind)
        assert values(found)["gross"] == "960.00"
        assert values(found)["number"] == "SM-2026-0117"


@pytest.mark.parametrize(
    ("text", "plain"),
    [("1.234,56", "1234.56"), ("1,234.56 USD", "1234.56"), ("1 234,56", "1234.56"), ("1'234.50", "1234.50"),
     ("12", "12"), ("1,234", "1234"), ("0,5", "0.5"), ("-3.00", "-3.00"), ("€ 9.99", "9.99"), ("none", None)],
)  # fmt: skip
def test_amounts_are_read_in_any_writing(text: str, plain: str | None) -> None:
    assert amount_of(text) == plain


@pytest.mark.parametrize(
    ("text", "found"),
    [("2026-11-02", ("2026-11-02", 1.0)), ("2.11.2026", ("2026-11-02", 1.0)), ("03/04/2026", ("2026-04-03", 0.6)),
     ("04/25/2026", ("2026-04-25", 1.0)), ("2 November 2026", ("2026-11-02", 1.0)),
     ("Nov 2, 2026", ("2026-11-02", 1.0)),
     ("2. März 2026", ("2026-03-02", 1.0)), ("31.02.2026", None), ("soon", None)],
)  # fmt: skip
def test_dates_are_read_and_an_ambiguous_one_is_unsure(text: str, found: tuple[str, float] | None) -> None:
    assert date_in(text) == found


def test_html_without_end_costs_no_more_than_its_length() -> None:
    assert text_of_html("<p>a" + "<script" * 100_000).split() == ["a"]
    assert text_of_html("x<" * 100_000).startswith("x")
