"""What the pages about claims show: the overview, one claim, the index by row."""

from __future__ import annotations

from typing import Any

from heldtrue.claims.frameworks import FRAMEWORKS
from heldtrue.trust import nav
from heldtrue.trust.asking import Ask
from heldtrue.trust.document import ClaimView, RunView, TrustDocument
from heldtrue.trust.render import Pages

HISTORY_SHOWN = 30
"""Days in the bar beside a sentence; the claim's own page shows all."""
FAILURES_SHOWN = 12
NEWEST = 3
"""Failures that a claim on the overview tells in full, beside those that go on; older ones have a line each."""
EVERYTHING = Ask()


def trust_page(pages: Pages, document: TrustDocument, ask: Ask = EVERYTHING) -> bytes:
    """Return the overview, or the page of it that *ask* means."""
    claims = document.claims
    past = [(claim, failure) for claim in claims for failure in claim.failures if failure.ended_at]
    past.sort(key=lambda pair: pair[1].started_at, reverse=True)
    return pages.render(
        nav.OVERVIEW.template,
        at=nav.OVERVIEW.path,
        twin=ask.link("/trust.json", document.page),
        doc=document,
        ask=ask,
        frameworks=FRAMEWORKS,
        groups=[(group, document.of(group)) for group in document.groups],
        past=past[:FAILURES_SHOWN],
        past_count=len(past),
        shown=HISTORY_SHOWN,
        newest=NEWEST,
    )


def claim_page(
    pages: Pages, document: TrustDocument, claim: ClaimView, runs: dict[str, list[RunView]], sources: dict[str, Any]
) -> bytes:
    """Return the page of one claim with its whole history."""
    return pages.render("claim.html", at=claim.page, doc=document, claim=claim, runs=runs, sources=sources)


def index_page(pages: Pages, document: TrustDocument, rows: list[tuple[str, list[ClaimView]]]) -> bytes:
    """Return the index by row."""
    return pages.render("index.html", at="/trust/index", doc=document, rows=rows)
