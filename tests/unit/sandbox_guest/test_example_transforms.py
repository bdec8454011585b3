"""The example transforms do what their README says, in the sandbox, with the payloads that ship with them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from heldtrue.sandbox.engine import Engine
from heldtrue.sandbox.jobs import Job, JobFile, RunResult

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
META = {"id": "pay_1", "source": "smtp", "received_at": "2026-11-02T09:00:01.000Z", "envelope": None}


def job(code: str, payload: str, content_type: str, context: str | None = None) -> Job:
    folder = EXAMPLES / "transforms"
    language = {".py": "python", ".js": "javascript", "": "builtin"}[Path(code).suffix]
    return Job(
        tenant="t", language=language, code=code.encode() if language == "builtin" else (folder / code).read_bytes(),
        payload=JobFile(None, content_type, (folder / payload).resolve().read_bytes()), meta=META,
        context=json.loads((folder / context).read_text()) if context else {},
    )  # fmt: skip


async def run_all(*jobs: Job) -> list[RunResult]:
    async with Engine(pool=1) as engine:
        return [await engine.run(one) for one in jobs]


def test_the_examples_run_in_the_sandbox_as_their_readme_says() -> None:
    orders, figures, nothing, invoice = asyncio.run(
        run_all(
            job("orders_from_csv.py", "orders-mail.eml", "message/rfc822", "orders_from_csv.context.json"),
            job("figures.js", "../filing.json", "application/json", "figures.context.json"),
            job("figures.js", "orders-mail.eml", "message/rfc822", "figures.context.json"),
            job("invoice", "../invoice-mail.eml", "message/rfc822"),
        )
    )
    assert [one.error for one in (orders, figures, nothing, invoice)] == [None] * 4
    assert [json.loads(one) for one in orders.outputs] == [
        {"order": "HL-1", "sku": "filings-feed", "quantity": 1, "from": "orders.csv", "mail": "pay_1"},
        {"order": "HL-2", "sku": "figures-api", "quantity": 12500, "from": "orders.csv", "mail": "pay_1"},
    ]
    assert orders.logs == ("row 2 of orders.csv names no order", "left out terms.txt which is text/plain")
    [made] = [json.loads(one) for one in figures.outputs]
    assert made["figures"]["revenue"] == {"value": "18250000", "unit": "EUR", "page": 41}
    assert (nothing.outputs, nothing.logs) == ((), ("no filing: message/rfc822",))
    [read] = [json.loads(one) for one in invoice.outputs]
    assert read["fields"]["gross"] == {
        "value": "960.00",
        "confidence": 1.0,
        "where": "LegalMonetaryTotal/TaxInclusiveAmount",
    }
