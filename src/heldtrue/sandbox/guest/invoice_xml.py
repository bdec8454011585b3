"""Read structured invoices: UBL 2.1 Invoice and CreditNote, and UN/CEFACT CII, as EN 16931 uses them.

XML by defusedxml only, without DTDs and entities. The terms of EN 16931-1 (BT-…) stand beside each path.
"""

from __future__ import annotations

import re
from decimal import Decimal
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from .invoice_model import Reading, decimal_of

MAX_BYTES = 4 * 1024 * 1024
MAX_TAGS = 100_000
MAX_LINES = 2_000
UBL = re.compile(r"\{urn:oasis:names:specification:ubl:schema:xsd:(?:Invoice|CreditNote)-2\}(Invoice|CreditNote)")
CII = "{urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100}CrossIndustryInvoice"

_SUPPLIER, _CUSTOMER = "AccountingSupplierParty/Party", "AccountingCustomerParty/Party"
_SUM = "LegalMonetaryTotal"
UBL_PATHS: tuple[tuple[str, str], ...] = (
    ("number", "ID"),  # BT-1
    ("issued", "IssueDate"),  # BT-2
    ("due", "DueDate"),  # BT-9
    ("due", "PaymentMeans/PaymentDueDate"),  # BT-9 in a credit note
    ("currency", "DocumentCurrencyCode"),  # BT-5
    ("seller_name", f"{_SUPPLIER}/PartyLegalEntity/RegistrationName"),  # BT-27
    ("seller_name", f"{_SUPPLIER}/PartyName/Name"),  # BT-28
    ("buyer_name", f"{_CUSTOMER}/PartyLegalEntity/RegistrationName"),  # BT-44
    ("buyer_name", f"{_CUSTOMER}/PartyName/Name"),  # BT-45
    ("net", f"{_SUM}/TaxExclusiveAmount"),  # BT-109
    ("gross", f"{_SUM}/TaxInclusiveAmount"),  # BT-112
    ("gross", f"{_SUM}/PayableAmount"),  # BT-115, where BT-112 is missing
)
_TRADE = "SupplyChainTradeTransaction"
_AGREED, _SETTLED = f"{_TRADE}/ApplicableHeaderTradeAgreement", f"{_TRADE}/ApplicableHeaderTradeSettlement"
_TOTALS = f"{_SETTLED}/SpecifiedTradeSettlementHeaderMonetarySummation"
CII_PATHS: tuple[tuple[str, str], ...] = (
    ("number", "ExchangedDocument/ID"),
    ("issued", "ExchangedDocument/IssueDateTime/DateTimeString"),
    ("due", f"{_SETTLED}/SpecifiedTradePaymentTerms/DueDateDateTime/DateTimeString"),
    ("currency", f"{_SETTLED}/InvoiceCurrencyCode"),
    ("seller_name", f"{_AGREED}/SellerTradeParty/Name"),
    ("buyer_name", f"{_AGREED}/BuyerTradeParty/Name"),
    ("net", f"{_TOTALS}/TaxBasisTotalAmount"),
    ("gross", f"{_TOTALS}/GrandTotalAmount"),
    ("gross", f"{_TOTALS}/DuePayableAmount"),
)
_CREDITS = frozenset({"381", "396", "261", "262", "296", "308", "420", "458", "532"})
"""Codes of UNTDID 1001 that are credit notes."""


def read_xml(data: bytes, ref: str) -> Reading | None:
    """Return the invoice in an XML document, or None where it is none; hostile XML is none."""
    if len(data) > MAX_BYTES or data.count(b"<") > MAX_TAGS:
        return None
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError):
        return None
    if found := UBL.fullmatch(root.tag):
        return _ubl(root, ref, credit=found[1] == "CreditNote")
    return _cii(root, ref) if root.tag == CII else None


def _ubl(root: Element, ref: str, *, credit: bool) -> Reading:
    reading = Reading("ubl", ref)
    for name, path in UBL_PATHS:
        reading.put(name, _text(root, path), 1.0, path)
    credit = credit or _text(root, "InvoiceTypeCode") in _CREDITS
    reading.put("kind", "credit-note" if credit else "invoice", 1.0, root.tag.split("}")[1])
    for name, party in (("seller_vat", _SUPPLIER), ("buyer_vat", _CUSTOMER)):
        for scheme in root.iterfind(_any(f"{party}/PartyTaxScheme")):
            if _text(scheme, "TaxScheme/ID") in {"VAT", None}:
                reading.put(name, _text(scheme, "CompanyID"), 1.0, f"{party}/PartyTaxScheme/CompanyID")  # BT-31, BT-48
    currency = reading.text("currency")
    for amount in root.iterfind(_any("TaxTotal/TaxAmount")):  # BT-110, not BT-111 in the accounting currency
        if amount.get("currencyID") in {currency, None}:
            reading.put("tax", amount.text, 1.0, "TaxTotal/TaxAmount")
    reading.line_total = decimal_of(_text(root, f"{_SUM}/LineExtensionAmount"))  # BT-106
    reading.currencies = {
        unit for one in root.iterfind(_any(f"{_SUM}/*")) if (unit := one.get("currencyID")) is not None
    }
    kind = "CreditNoteLine" if root.tag.endswith("}CreditNote") else "InvoiceLine"
    quantity = "CreditedQuantity" if kind == "CreditNoteLine" else "InvoicedQuantity"
    for line in _first(root, kind):
        reading.lines.append(
            {
                "id": _text(line, "ID"),
                "text": _text(line, "Item/Name") or _text(line, "Item/Description"),
                "quantity": _text(line, quantity),
                "unit": _attribute(line, quantity, "unitCode"),
                "price": _text(line, "Price/PriceAmount"),
                "tax_percent": _text(line, "Item/ClassifiedTaxCategory/Percent"),
                "net": _text(line, "LineExtensionAmount"),
            }
        )
    return _signed(reading)


def _cii(root: Element, ref: str) -> Reading:
    reading = Reading("cii", ref)
    for name, path in CII_PATHS:
        value = _text(root, path)
        reading.put(name, _day(value) if name in {"issued", "due"} else value, 1.0, path)
    credit = _text(root, "ExchangedDocument/TypeCode") in _CREDITS
    reading.put("kind", "credit-note" if credit else "invoice", 1.0, "ExchangedDocument/TypeCode")
    for name, party in (("seller_vat", "SellerTradeParty"), ("buyer_vat", "BuyerTradeParty")):
        path = f"{_AGREED}/{party}/SpecifiedTaxRegistration/ID"
        for registered in root.iterfind(_any(path)):
            if registered.get("schemeID") == "VA":
                reading.put(name, registered.text, 1.0, path)
    currency = reading.text("currency")
    for amount in root.iterfind(_any(f"{_TOTALS}/TaxTotalAmount")):
        if amount.get("currencyID") in {currency, None}:
            reading.put("tax", amount.text, 1.0, f"{_TOTALS}/TaxTotalAmount")
    reading.line_total = decimal_of(_text(root, f"{_TOTALS}/LineTotalAmount"))
    for line in _first(root, f"{_TRADE}/IncludedSupplyChainTradeLineItem"):
        settled = "SpecifiedLineTradeSettlement"
        reading.lines.append(
            {
                "id": _text(line, "AssociatedDocumentLineDocument/LineID"),
                "text": _text(line, "SpecifiedTradeProduct/Name"),
                "quantity": _text(line, "SpecifiedLineTradeDelivery/BilledQuantity"),
                "unit": _attribute(line, "SpecifiedLineTradeDelivery/BilledQuantity", "unitCode"),
                "price": _text(line, "SpecifiedLineTradeAgreement/NetPriceProductTradePrice/ChargeAmount"),
                "tax_percent": _text(line, f"{settled}/ApplicableTradeTax/RateApplicablePercent"),
                "net": _text(line, f"{settled}/SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount"),
            }
        )
    return _signed(reading)


def _signed(reading: Reading) -> Reading:
    """Note amounts that are no numbers, and lines that were cut."""
    for name in ("net", "tax", "gross"):
        if reading.text(name) is not None and reading.amount(name) is None:
            reading.notes.add(f"malformed-{name}")
    if len(reading.lines) >= MAX_LINES:
        reading.notes.add("lines-cut")
    if (reading.amount("gross") or Decimal(0)) < 0:
        reading.notes.add("negative-gross")
    return reading


def _any(path: str) -> str:
    """Return *path* with each step in any namespace: the root's namespace was checked."""
    return "/".join(step if step == "*" else f"{{*}}{step}" for step in path.split("/"))


def _first(root: Element, path: str) -> list[Element]:
    return root.findall(_any(path))[:MAX_LINES]


def _text(element: Element, path: str) -> str | None:
    text = element.findtext(_any(path))
    return " ".join(text.split())[:500] or None if text else None


def _attribute(element: Element, path: str, name: str) -> str | None:
    found = element.find(_any(path))
    value = None if found is None else found.get(name)
    return value[:50] if value else None


def _day(text: str | None) -> str | None:
    """Return a date in format 102 (`20261102`) as ISO."""
    found = re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)", text or "")
    return "-".join(found.groups()) if found else text
