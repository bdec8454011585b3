"""Read plain invoices: text, HTML and the text of a PDF, by the words that stand beside the values.

English, German and French labels. Nothing here is sure: each value carries how telling its label is, and amounts that
add up bear one another out (`invoice_model.shape`).
"""

from __future__ import annotations

import html
import re
from datetime import date

from .invoice_model import Reading, decimal_of

MAX_TEXT = 200_000
MAX_LINES = 3_000
MAX_LINE = 300
MAX_ITEMS = 200
_GAP = r"[ \t.:#()-]{0,12}"
_AMOUNT = r"[-−]?\d{1,3}(?:[.,'\u2019 \u00a0\u202f]\d{3}){1,4}(?:[.,]\d{2})?|[-−]?\d{1,12}(?:[.,]\d{1,4})?"
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("january januar janvier jan", "february februar février feb févr", "march märz mars mar",
         "april avril apr avr", "may mai", "june juni juin jun", "july juli juillet jul", "august août aug",
         "september septembre sep sept",
         "october oktober octobre oct okt", "november novembre nov", "december dezember décembre dec dez déc"), 1)
    for name in names.split()
}  # fmt: skip
_DATE = re.compile(
    r"(?P<iso>\d{4}-\d\d-\d\d)|(?P<d>\d{1,2})[./ ](?P<m>\d{1,2})[./ ](?P<y>\d{4})"
    r"|(?P<d2>\d{1,2})\.? (?P<name>[^\W\d_]{3,9})\.?,? (?P<y2>\d{4})"
    r"|(?P<name3>[^\W\d_]{3,9})\.? (?P<d3>\d{1,2}),? (?P<y3>\d{4})"
)


def _rule(field: str, confidence: float, label: str, value: str) -> tuple[str, float, re.Pattern[str]]:
    return field, confidence, re.compile(rf"(?<![\w-])(?:{label}){_GAP}(?P<value>{value})", re.IGNORECASE)


_ID = r"(?=[A-Z0-9/_.-]{0,29}\d)[A-Z0-9][A-Z0-9/_.-]{1,29}"
_SUM = rf"(?P<before>[A-Z]{{3}}|[€$£])?[ \t]{{0,40}}(?:{_AMOUNT})(?![\d]|[ \t]?%)[ \t]?(?:(?:EUR|USD|GBP|CHF)\b|[€$£])?"
_RATE = r"(?:[ \t.(@]{0,4}\d{1,2}(?:[.,]\d{1,2})?[ \t]?%[ \t)]{0,3})?"
_DAY = r"[^\n]{6,30}"
_DUE = r"due date|payment due|due on|due|payable by|zahlbar bis(?: zum)?|fällig am|fälligkeit|échéance"
_TOTAL = r"grand total|total due|amount due|gesamtbetrag|rechnungsbetrag|bruttobetrag|total ttc"
RULES = (
    _rule("number", 0.9, r"invoice (?:no|nr|number)|rechnungs?(?:nummer|-?nr)|num[ée]ro de facture|facture n[°o]", _ID),
    _rule("number", 0.8, r"invoice|rechnung|facture|credit note|gutschrift", _ID),
    _rule("issued", 0.9, r"invoice date|date of issue|rechnungsdatum|date de facturation|date d['’]émission", _DAY),
    _rule("issued", 0.8, r"issued(?: on)?|dated", _DAY),
    _rule("issued", 0.6, r"date|datum", _DAY),
    _rule("due", 0.9, _DUE, _DAY),
    _rule("gross", 0.8, rf"(?:{_TOTAL}){_RATE}", _SUM),
    _rule("gross", 0.7, rf"(?:total amount|total|gesamt|summe|brutto){_RATE}", _SUM),
    _rule("net", 0.8, r"net(?: total| amount)?|sub-?total|netto(?:betrag)?|zwischensumme|total ht|montant ht", _SUM),
    _rule("tax", 0.8, rf"(?:vat|tax|sales tax|mwst|ust|umsatzsteuer|mehrwertsteuer|tva){_RATE}", _SUM),
)  # fmt: skip
_VAT = re.compile(
    r"(?<!\w)(?:VAT|USt-?Id(?:-?Nr)?|UID|TVA|Tax)(?:[ .-]?(?:ID|Id|No|no|Nr|Number|number|Reg|reg)\b){0,3}[ .:#-]{0,6}"
    r"(?P<id>[A-Z]{2}[ ]?\d[\dA-Z]{1,12})(?!\w)",
)
_SELLER = re.compile(
    r"(?:seller|from|supplier|vendor|verkäufer|lieferant|rechnungssteller|vendeur|émetteur)\b[ :]*", re.I
)
_BUYER = re.compile(
    r"(?:buyer|to|bill(?:ed)? to|customer|client|käufer|kunde|rechnungsempfänger|acheteur)\b[ :]*", re.I
)
_ITEM = re.compile(
    rf"(?P<text>\S.{{1,150}}?)[ \t]+(?P<quantity>\d{{1,9}}(?:[.,]\d{{1,3}})?)[ \t]?[x×][ \t]?"
    rf"(?P<price>{_AMOUNT})[ \t]+(?P<net>{_AMOUNT})"
)
_UNSEEN = re.compile(r"<(script|style|head|template)\b", re.IGNORECASE)
_SYMBOLS = {"€": "EUR", "$": "USD", "£": "GBP"}
_CURRENCY = re.compile(r"(?<![A-Z])(EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|JPY|CAD|AUD)(?![A-Z])|([€$£])")


def read_text(text: str, ref: str, how: str) -> Reading:
    """Return what a plain text says of an invoice; a text that is none gives an empty reading."""
    reading = Reading(how, ref)
    lines = [" ".join(line.split())[:MAX_LINE] for line in text[:MAX_TEXT].splitlines()[:MAX_LINES]]
    lines = [line for line in lines if line]
    for number, line in enumerate(lines, 1):
        for field, confidence, rule in RULES:
            for found in rule.finditer(line):
                _keep(reading, field, confidence, found["value"], f"line {number}")
        if len(reading.lines) < MAX_ITEMS and (item := _ITEM.fullmatch(line)):
            reading.lines.append(_item(item, len(reading.lines) + 1))
    _parties(reading, lines)
    _currency(reading, lines)
    if reading.text("number") or reading.text("gross"):
        credit = re.search(r"credit note|gutschrift|avoir\b", "\n".join(lines[:40]), re.IGNORECASE)
        reading.put("kind", "credit-note" if credit else "invoice", 0.7, "text")
    return reading


def text_of_html(source: str) -> str:
    """Return the words of an HTML document, a block or table row a line; scripts and styles left out."""
    source, pieces, at = source[: 4 * MAX_TEXT], list[str](), 0
    while found := _UNSEEN.search(source, at):
        pieces.append(source[at : found.start()])
        end = re.compile(f"</{found[1]}", re.IGNORECASE).search(source, found.end())
        at = end.start() if end else len(source)
    whole = re.sub(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/table)\b[^<>]{0,200}>", "\n", " ".join([*pieces, source[at:]]))
    return html.unescape(re.sub(r"<[^<>]{0,2000}>", " ", whole))


def amount_of(text: str) -> str | None:
    """Return an amount as a plain decimal: the last mark with exactly two digits behind it is the decimal mark."""
    found = re.search(_AMOUNT, text)
    if found is None:
        return None
    digits = re.sub(r"[\s\u00a0\u202f'’]", "", found[0].replace("−", "-"))
    mark = re.search(r"[.,](\d+)$", digits)
    whole, part = (digits[: mark.start()], mark[1]) if mark and len(mark[1]) != 3 else (digits, "")
    plain = re.sub(r"[.,]", "", whole) + (f".{part}" if part else "")
    return plain if decimal_of(plain) is not None else None


def date_in(text: str) -> tuple[str, float] | None:
    """Return the first date as ISO, and how sure its reading is: `03/04/2026` may be March or April."""
    found = _DATE.search(text)
    if found is None:
        return None
    sure = 1.0
    if found["iso"]:
        parts = [int(part) for part in found["iso"].split("-")]
    elif found["y"]:
        day, month = int(found["d"]), int(found["m"])
        if "/" in found[0]:
            sure = 0.6 if day <= 12 and month <= 12 and day != month else 1.0
            day, month = (month, day) if month > 12 else (day, month)
        parts = [int(found["y"]), month, day]
    else:
        name, day, year = (found["name"] or found["name3"]), (found["d2"] or found["d3"]), (found["y2"] or found["y3"])
        parts = [int(year), _MONTHS.get(name.lower(), 0), int(day)]
    try:
        return date(*parts).isoformat(), sure
    except ValueError:
        return None


def _keep(reading: Reading, field: str, confidence: float, value: str, where: str) -> None:
    if field in {"issued", "due"}:
        day = date_in(value)
        if day is not None:
            reading.put(field, day[0], confidence * day[1], where)
    elif field in {"net", "tax", "gross"}:
        reading.put(field, amount_of(value), confidence, where)
    else:
        reading.put(field, value.rstrip(".-/_"), confidence, where)


def _item(found: re.Match[str], number: int) -> dict[str, str | None]:
    return {
        "id": str(number),
        "text": found["text"],
        "quantity": found["quantity"].replace(",", "."),
        "unit": None,
        "price": amount_of(found["price"]) if found["price"].count(".") + found["price"].count(",") != 1
        else found["price"].replace(",", "."),
        "tax_percent": None,
        "net": amount_of(found["net"]),
    }  # fmt: skip


def _parties(reading: Reading, lines: list[str]) -> None:
    """Give each VAT id and name to the party whose heading stands above it."""
    side = "seller"
    ids: list[str] = []
    for number, line in enumerate(lines, 1):
        for name, heading in (("seller", _SELLER), ("buyer", _BUYER)):
            found = heading.match(line)
            if found and (found.end() == len(line) or ":" in found[0]):
                side = name
                value = line[found.end() :] or (lines[number] if number < len(lines) else "")
                reading.put(f"{side}_name", value[:120], 0.8, f"line {number}")
        for found in _VAT.finditer(line):
            plain = found["id"].replace(" ", "")
            if plain not in ids:
                ids.append(plain)
                reading.put(f"{side}_vat", plain, 0.8 if reading.text(f"{side}_name") else 0.5, f"line {number}")


def _currency(reading: Reading, lines: list[str]) -> None:
    found = [code or _SYMBOLS[symbol] for line in lines for code, symbol in _CURRENCY.findall(line)]
    if found:
        most = max(sorted(set(found)), key=found.count)
        reading.put("currency", most, 0.85 if len(set(found)) == 1 else 0.5, "text")
