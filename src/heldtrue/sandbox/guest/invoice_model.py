"""What an invoice is, however it came: fields with a confidence each, lines, checks, and what makes two the same."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

FIELDS = (
    "number", "kind", "issued", "due", "currency",
    "seller_name", "seller_vat", "buyer_name", "buyer_vat",
    "net", "tax", "gross",
)  # fmt: skip
NEEDED = ("number", "issued", "currency", "seller_name", "gross")
"""Without these an invoice cannot be booked."""
SURE = 0.75
"""A needed field below this goes to review."""
CENT = Decimal("0.01")
_DOUBT = 0.6
"""What a field's confidence is multiplied by when a check that concerns it fails."""
_CONCERNS = {
    "net-tax-gross": ("net", "tax", "gross"),
    "lines-net": ("net",),
    "dates": ("issued", "due"),
    "currency": ("currency",),
    "seller-vat": ("seller_vat",),
    "buyer-vat": ("buyer_vat",),
}


@dataclass(frozen=True, slots=True)
class Known:
    """A value, how sure it is (0 to 1), and where it stood."""

    value: str
    confidence: float
    where: str


@dataclass(slots=True)
class Reading:
    """One invoice as one reader understood it."""

    how: str
    ref: str
    fields: dict[str, Known] = field(default_factory=dict)
    lines: list[dict[str, str | None]] = field(default_factory=list)
    line_total: Decimal | None = None
    """Sum of the lines that the lines are compared with; before allowances and charges."""
    currencies: set[str] = field(default_factory=set)
    """Every currency that an amount names."""
    notes: set[str] = field(default_factory=set)

    def put(self, name: str, value: str | None, confidence: float, where: str) -> None:
        """Keep a value unless a surer one is known."""
        value = " ".join(value.split())[:500] if value else None
        known = self.fields.get(name)
        if value and (known is None or known.confidence < confidence):
            self.fields[name] = Known(value, confidence, where)

    def text(self, name: str) -> str | None:
        """Return a field's value."""
        known = self.fields.get(name)
        return known.value if known else None

    def amount(self, name: str) -> Decimal | None:
        """Return a field's value as a number."""
        return decimal_of(self.text(name))

    @property
    def keys(self) -> list[str]:
        """What copies of one invoice share: number and gross, with the seller's VAT id, and with its name.

        Two, because one copy may show only the name; empty where number or gross is missing.
        """
        number, gross = self.text("number"), self.amount("gross")
        if number is None or gross is None:
            return []
        rest = [_folded(number), format(gross.quantize(CENT), "f")]
        sellers = [seller for name in ("seller_vat", "seller_name") if (seller := self.text(name))]
        texts = [json.dumps([_folded(seller), *rest], separators=(",", ":")) for seller in sellers or [""]]
        return ["sha256:" + hashlib.sha256(text.encode()).hexdigest() for text in texts]


def decimal_of(text: str | None) -> Decimal | None:
    """Return a plain decimal (`-1234.50`), or None."""
    if text is None or not re.fullmatch(r"\s*[+-]?\d{1,15}(\.\d{1,10})?\s*", text):
        return None
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        return None


def date_of(text: str | None) -> date | None:
    """Return an ISO date (`2026-11-02`), or None."""
    try:
        return date.fromisoformat(text) if text and re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        return None


def checks(reading: Reading, received_at: str | None) -> dict[str, bool | None]:
    """Return each check: True held, False did not, None could not be made."""
    net, tax, gross = (reading.amount(name) for name in ("net", "tax", "gross"))
    sums = None if net is None or gross is None else abs(net + (tax or Decimal(0)) - gross) <= CENT
    amounts = [decimal_of(line.get("net")) for line in reading.lines]
    total = reading.line_total if reading.line_total is not None else net
    summed = None
    if amounts and total is not None and all(one is not None for one in amounts):
        rounding = CENT * max(1, len(amounts) // 2)
        summed = abs(sum((one for one in amounts if one is not None), Decimal(0)) - total) <= rounding
    currency = reading.text("currency")
    return {
        "net-tax-gross": sums,
        "lines-net": summed,
        "dates": _dates(reading, received_at),
        "currency": None
        if currency is None
        else bool(re.fullmatch("[A-Z]{3}", currency)) and reading.currencies <= {currency},
        "seller-vat": _vat(reading.text("seller_vat")),
        "buyer-vat": _vat(reading.text("buyer_vat")),
    }


def _dates(reading: Reading, received_at: str | None) -> bool | None:
    issued, due = date_of(reading.text("issued")), date_of(reading.text("due"))
    if issued is None:
        return None
    received = date_of((received_at or "")[:10])
    future = received is not None and issued > received + timedelta(days=1)
    old = received is not None and issued < received - timedelta(days=3653)
    return not future and not old and (due is None or due >= issued)


def _vat(value: str | None) -> bool | None:
    """Return whether a VAT id has a country's prefix and a plausible length."""
    return None if value is None else bool(re.fullmatch(r"[A-Z]{2}[0-9A-Z+*]{2,13}", re.sub(r"[ .-]", "", value)))


def shape(reading: Reading, payload: dict[str, Any], seen: Collection[str]) -> dict[str, Any]:
    """Return the invoice as it leaves: fields, lines, checks, key, and why a person should look at it."""
    made = checks(reading, payload.get("received_at"))
    doubted = {name for check, held in made.items() if held is False for name in _CONCERNS[check]}
    borne = {"net", "tax", "gross"} if made["net-tax-gross"] and reading.text("tax") else set[str]()
    fields: dict[str, dict[str, Any]] = {}
    for name in FIELDS:
        known = reading.fields.get(name)
        sure = 0.0 if known is None else known.confidence
        if name in borne:
            sure = min(1.0, sure + (1 - sure) / 2)  # three amounts that add up bear one another out
        if name in doubted:
            sure *= _DOUBT
        fields[name] = {
            "value": known.value if known else None,
            "confidence": round(sure, 2),
            "where": known.where if known else None,
        }
    duplicate = any(key in seen for key in reading.keys)
    review = {f"check-{check}" for check, held in made.items() if held is False}
    review |= {f"missing-{name}" for name in NEEDED if fields[name]["value"] is None}
    review |= {f"unsure-{n}" for n in NEEDED if fields[n]["value"] is not None and fields[n]["confidence"] < SURE}
    review |= reading.notes | ({"duplicate"} if duplicate else set())
    return {
        "v": 1,
        "type": "invoice",
        "payload": payload.get("id"),
        "read_from": {"ref": reading.ref, "as": reading.how},
        "fields": fields,
        "lines": reading.lines,
        "checks": made,
        "keys": reading.keys,
        "duplicate": duplicate,
        "review": sorted(review),
    }


def _folded(text: str) -> str:
    """Return *text* without case, accents of form, spaces and punctuation."""
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKC", text).casefold())
