"""The worked examples of docs/spec/claims.md: what claims write into the log, from fixed times and digests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from heldtrue.attack import Attack, Outcome, Place, held
from heldtrue.capabilities.attestations import model as papers
from heldtrue.capabilities.attestations.model import Document
from heldtrue.capabilities.ledger import model
from heldtrue.claims import documents
from heldtrue.claims.model import Against, Claim

AT = datetime(2026, 11, 2, 9, 30, 0, 250_000, UTC)
ATTACK = Attack(
    name="example.attack", place=Place.OBSERVE, tries=("Try.",), run=lambda _: held("x", n=1), breaks="any-dsn"
)
CLAIM = Claim(
    id="example.claim", rows=("A1",), group="Example", sentence="It holds.", scope="All of it.",
    attacks=("example.attack",), cadence=timedelta(minutes=10), max_age=timedelta(hours=1),
)  # fmt: skip
PAPER = Document(
    title="Letter of the penetration test", owner="the security lead", dated=date(2026, 11, 2),
    expires=date(2027, 2, 2), sha256="ab" * 32,
)  # fmt: skip


def entries(*found: Mapping[str, Any]) -> str:
    return "\n\n".join(model.clear_entry(document["kind"], document).decode() for document in found)


def runs() -> str:
    later = AT + timedelta(seconds=2)
    evidence = documents.evidence(
        attack=ATTACK.name, source_sha256="cd" * 32, number=1, against=Against.CONTROL, place=Place.OBSERVE,
        outcome=Outcome.HELD, subject="trust.example.org", coverage={"handshakes": 5}, originator="schedule",
        executor="heldtrue 1.0, Python 3.11.9", started_at=AT, finished_at=later, result="Every listener refused it.",
    )  # fmt: skip
    return entries(
        documents.schedule(CLAIM, {ATTACK.name: ATTACK}, AT),
        documents.intent(ATTACK, 1, Against.CONTROL, Place.OBSERVE, AT),
        evidence | {"proof": "… (receipts.md)"},
    )


def papers_of() -> str:
    filed = papers.attested("company.penetration_test", PAPER, AT)
    return entries(filed, papers.withdrawn(filed, AT + timedelta(days=30)))


def notes() -> str:
    return entries(
        papers.annotated("example.attack", 118, "A grant was left over from a repair; removed.", AT),
        {
            "v": 1,
            "kind": "summary",
            "generation": 1,
            "size": 4711,
            "content_sha256": "ef" * 32,
            "at": model.instant(AT),
        },
    )


EXAMPLES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {"claims-runs": runs, "claims-papers": papers_of, "claims-notes": notes}
)
"""Every example by its name."""


def read(text: str) -> list[dict[str, Any]]:
    """Return the entries of an example."""
    return [json.loads(line) for line in text.split("\n\n")]
