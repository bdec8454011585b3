"""The pages as HTML: templates and assets are read when the process starts, and never again."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from heldtrue.trust import words
from heldtrue.trust.document import ClaimView, RunView, TrustDocument

HISTORY_SHOWN = 30
"""Days in the bar beside a sentence; the claim's own page shows all."""
FAILURES_SHOWN = 12

_HERE = files(__package__ or "heldtrue.trust")
ASSETS: dict[str, tuple[bytes, str]] = {
    "heldtrue.css": (_HERE.joinpath("static/heldtrue.css").read_bytes(), "text/css; charset=utf-8"),
    "mark.svg": (_HERE.joinpath("static/mark.svg").read_bytes(), "image/svg+xml"),
    **{
        f"fonts/{name}.woff2": (_HERE.joinpath(f"static/fonts/{name}.woff2").read_bytes(), "font/woff2")
        for name in ("newsreader", "inter", "jetbrains-mono")
    },
}
"""By path below `/assets/`: content and type."""

_ENV = Environment(
    loader=DictLoader(
        {
            item.name: item.read_text("utf-8")
            for item in _HERE.joinpath("templates").iterdir()
            if item.name.endswith(".html")
        }
    ),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENV.filters.update(
    lasting=words.lasting,
    every=words.every,
    moment=words.moment,
    day=words.day,
    count=words.count,
    tell=words.tell,
    short=words.short,
)
_GLOBALS: dict[str, Any] = _ENV.globals
_GLOBALS.update(ago=words.ago, since=words.since, day_before=words.day_before)
_TRUST = _ENV.get_template("trust.html")
_CLAIM = _ENV.get_template("claim.html")
_INDEX = _ENV.get_template("index.html")
_NOTICE = _ENV.get_template("notice.html")


def trust_page(document: TrustDocument, base_url: str) -> bytes:
    """Return the trust page."""
    claims = document.claims
    past = [(claim, failure) for claim in claims for failure in claim.failures if failure.ended_at]
    past.sort(key=lambda pair: pair[1].started_at, reverse=True)
    return _render(
        _TRUST,
        doc=document,
        base_url=base_url,
        failing=[claim for claim in claims if claim.state == "failing"],
        attacked=[claim for claim in claims if claim.attacks],
        past=past[:FAILURES_SHOWN],
        past_count=len(past),
        shown=HISTORY_SHOWN,
    )


def claim_page(
    document: TrustDocument, claim: ClaimView, runs: dict[str, list[RunView]], sources: dict[str, Any]
) -> bytes:
    """Return the page of one claim with its whole history."""
    return _render(_CLAIM, doc=document, claim=claim, runs=runs, sources=sources)


def index_page(document: TrustDocument, rows: list[tuple[str, list[ClaimView]]]) -> bytes:
    """Return the index by row."""
    return _render(_INDEX, doc=document, rows=rows)


def notice_page(title: str, text: str) -> bytes:
    """Return a page that says one thing: what is missing, or what is wrong."""
    return _render(_NOTICE, title=title, text=text)


def _render(template: Any, **values: Any) -> bytes:
    return template.render(**values).encode()
