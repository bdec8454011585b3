"""The page on which a reader's browser checks a little of the trust page, and says how little that is."""

from __future__ import annotations

from heldtrue.http.exchange import Page
from heldtrue.http.route import Route
from heldtrue.trust.render import Pages
from heldtrue.trust.serving import page, shown

PATH = "/trust/verify"


def routes(pages: Pages) -> list[Route]:
    """Return the page."""

    def html() -> Page:
        return shown(pages, PATH, lambda: verify_page(pages))

    return [page(PATH, html, "Check the trust page in this browser")]


def verify_page(pages: Pages) -> bytes:
    """Return the page; its script is an asset."""
    return pages.render("verify.html", at=PATH)
