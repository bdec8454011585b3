"""Invoices made by code: UBL, CII, PDFs with text and with XML attached."""

from __future__ import annotations

import io
from typing import Any
from xml.sax.saxutils import escape

from pypdf import PdfReader, PdfWriter

PLAIN: dict[str, Any] = {
    "number": "RE-2026-7", "issued": "2026-10-05", "due": "2026-11-04", "currency": "EUR", "type": "380",
    "seller": "Nordkai GmbH (fictional)", "seller_vat": "DE999999999", "buyer": "Bakery & Sons (fictional)",
    "buyer_vat": "FRXX999999999", "net": "300.00", "tax": "57.00", "gross": "357.00", "allowance": None,
    "lines": [("Feed", "2", "C62", "100.00", "19", "200.00"), ("Set-up", "1", "HUR", "100.00", "19", "100.00")],
}  # fmt: skip


def invoice(**changes: Any) -> dict[str, Any]:
    return {**PLAIN, **changes}


_URN = "urn:oasis:names:specification:ubl:schema:xsd"


def ubl(of: dict[str, Any], *, credit: bool = False) -> bytes:
    kind, line, quantity = ("CreditNote",) * 2 + ("Credited",) if credit else ("Invoice",) * 2 + ("Invoiced",)
    e = {name: escape(str(value)) for name, value in of.items() if not isinstance(value, list)}

    def party(role: str, name: str, vat: str) -> str:
        return f"""<cac:{role}><cac:Party><cac:PartyTaxScheme><cbc:CompanyID>{vat}</cbc:CompanyID><cac:TaxScheme>
          <cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme><cac:PartyLegalEntity>
          <cbc:RegistrationName>{name}</cbc:RegistrationName></cac:PartyLegalEntity></cac:Party></cac:{role}>"""

    cur = f'currencyID="{e["currency"]}"'
    lines = "".join(
        f"""<cac:{line}Line><cbc:ID>{n}</cbc:ID>
        <cbc:{quantity}Quantity unitCode="{unit}">{count}</cbc:{quantity}Quantity>
        <cbc:LineExtensionAmount {cur}>{net}</cbc:LineExtensionAmount><cac:Item><cbc:Name>{text}</cbc:Name>
        <cac:ClassifiedTaxCategory><cbc:Percent>{percent}</cbc:Percent></cac:ClassifiedTaxCategory></cac:Item>
        <cac:Price><cbc:PriceAmount {cur}>{price}</cbc:PriceAmount></cac:Price></cac:{line}Line>"""
        for n, (text, count, unit, price, percent, net) in enumerate(of["lines"], 1)
    )
    due = "" if credit else f"<cbc:DueDate>{e['due']}</cbc:DueDate>"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <{kind} xmlns="{_URN}:{kind}-2" xmlns:cac="{_URN}:CommonAggregateComponents-2"
            xmlns:cbc="{_URN}:CommonBasicComponents-2">
    <cbc:ID>{e["number"]}</cbc:ID><cbc:IssueDate>{e["issued"]}</cbc:IssueDate>{due}
    <cbc:DocumentCurrencyCode>{e["currency"]}</cbc:DocumentCurrencyCode>
    {party("AccountingSupplierParty", e["seller"], e["seller_vat"])}
    {party("AccountingCustomerParty", e["buyer"], e["buyer_vat"])}
    <cac:TaxTotal><cbc:TaxAmount currencyID="GBP">1.00</cbc:TaxAmount></cac:TaxTotal>
    <cac:TaxTotal><cbc:TaxAmount {cur}>{e["tax"]}</cbc:TaxAmount></cac:TaxTotal>
    <cac:LegalMonetaryTotal>
      {"" if of["allowance"] is None else f"<cbc:LineExtensionAmount {cur}>{e['allowance']}</cbc:LineExtensionAmount>"}
      <cbc:TaxExclusiveAmount {cur}>{e["net"]}</cbc:TaxExclusiveAmount>
      <cbc:TaxInclusiveAmount {cur}>{e["gross"]}</cbc:TaxInclusiveAmount>
      <cbc:PayableAmount {cur}>{e["gross"]}</cbc:PayableAmount></cac:LegalMonetaryTotal>
    {lines}</{kind}>""".encode()


def cii(of: dict[str, Any]) -> bytes:
    e = {name: escape(str(value)) for name, value in of.items() if not isinstance(value, list)}

    def day(value: str) -> str:
        return f'<udt:DateTimeString format="102">{value.replace("-", "")}</udt:DateTimeString>'

    def party(role: str, name: str, vat: str) -> str:
        return f"""<ram:{role}TradeParty><ram:Name>{name}</ram:Name>
          <ram:SpecifiedTaxRegistration><ram:ID schemeID="FC">11/22</ram:ID></ram:SpecifiedTaxRegistration>
          <ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">{vat}</ram:ID></ram:SpecifiedTaxRegistration>
          </ram:{role}TradeParty>"""

    lines = "".join(
        f"""<ram:IncludedSupplyChainTradeLineItem>
        <ram:AssociatedDocumentLineDocument><ram:LineID>{n}</ram:LineID></ram:AssociatedDocumentLineDocument>
        <ram:SpecifiedTradeProduct><ram:Name>{text}</ram:Name></ram:SpecifiedTradeProduct>
        <ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice><ram:ChargeAmount>{price}</ram:ChargeAmount>
        </ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement>
        <ram:SpecifiedLineTradeDelivery><ram:BilledQuantity unitCode="{unit}">{count}</ram:BilledQuantity>
        </ram:SpecifiedLineTradeDelivery><ram:SpecifiedLineTradeSettlement><ram:ApplicableTradeTax>
        <ram:RateApplicablePercent>{percent}</ram:RateApplicablePercent></ram:ApplicableTradeTax>
        <ram:SpecifiedTradeSettlementLineMonetarySummation><ram:LineTotalAmount>{net}</ram:LineTotalAmount>
        </ram:SpecifiedTradeSettlementLineMonetarySummation></ram:SpecifiedLineTradeSettlement>
        </ram:IncludedSupplyChainTradeLineItem>"""
        for n, (text, count, unit, price, percent, net) in enumerate(of["lines"], 1)
    )
    urn = "urn:un:unece:uncefact:data:standard"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <rsm:CrossIndustryInvoice xmlns:rsm="{urn}:CrossIndustryInvoice:100"
      xmlns:ram="{urn}:ReusableAggregateBusinessInformationEntity:100" xmlns:udt="{urn}:UnqualifiedDataType:100">
    <rsm:ExchangedDocument><ram:ID>{e["number"]}</ram:ID><ram:TypeCode>{e["type"]}</ram:TypeCode>
    <ram:IssueDateTime>{day(e["issued"])}</ram:IssueDateTime></rsm:ExchangedDocument>
    <rsm:SupplyChainTradeTransaction>{lines}
    <ram:ApplicableHeaderTradeAgreement>{party("Seller", e["seller"], e["seller_vat"])}
    {party("Buyer", e["buyer"], e["buyer_vat"])}</ram:ApplicableHeaderTradeAgreement>
    <ram:ApplicableHeaderTradeSettlement><ram:InvoiceCurrencyCode>{e["currency"]}</ram:InvoiceCurrencyCode>
    <ram:SpecifiedTradePaymentTerms><ram:DueDateDateTime>{day(e["due"])}</ram:DueDateDateTime>
    </ram:SpecifiedTradePaymentTerms><ram:SpecifiedTradeSettlementHeaderMonetarySummation>
    <ram:LineTotalAmount>{e["net"]}</ram:LineTotalAmount><ram:TaxBasisTotalAmount>{e["net"]}</ram:TaxBasisTotalAmount>
    <ram:TaxTotalAmount currencyID="{e["currency"]}">{e["tax"]}</ram:TaxTotalAmount>
    <ram:GrandTotalAmount>{e["gross"]}</ram:GrandTotalAmount></ram:SpecifiedTradeSettlementHeaderMonetarySummation>
    </ram:ApplicableHeaderTradeSettlement></rsm:SupplyChainTradeTransaction></rsm:CrossIndustryInvoice>""".encode()


def pdf(*lines: str) -> bytes:
    """A one-page PDF 1.4 that shows *lines*, written by hand."""
    shown = [line.translate(str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})) for line in lines]
    drawn = "\n".join(f"BT /F1 10 Tf 50 {800 - 14 * n} Td ({line}) Tj ET" for n, line in enumerate(shown)).encode(
        "cp1252"
    )
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    out, offsets = bytearray(b"%PDF-1.4\n"), list[int]()
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))


def pdf_with(files: dict[str, bytes], *lines: str, password: str | None = None) -> bytes:
    """The same with files attached, as Factur-X and ZUGFeRD do."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(*lines))))
    for name, data in files.items():
        writer.add_attachment(name, data)
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def mail(
    *attachments: tuple[str, str, bytes], text: str = "See attached.", sender: str = "Books <b@shop.example>"
) -> bytes:
    """A mail with *attachments* (name, type, bytes)."""
    import base64

    parts = [f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()]
    parts += [
        f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n".encode()
        + base64.encodebytes(data).replace(b"\n", b"\r\n")
        for name, kind, data in attachments
    ]
    head = f"From: {sender}\r\nSubject: Invoice\r\nContent-Type: multipart/mixed; boundary=limit\r\n\r\n".encode()
    return head + b"".join(b"--limit\r\n" + part + b"\r\n" for part in parts) + b"--limit--\r\n"
