"""Accessibility as Lighthouse scores it, and what makes a page fast that does not depend on this machine's mood.

`make lighthouse` scores the speed of every page; here it is what the score comes of: bytes, requests, elements.
"""

from __future__ import annotations

import gzip

import pytest
from tests.browser import scenes
from tests.browser.measure import measure
from tests.browser.serving import serving
from tests.browser.test_pages import browser

from heldtrue.trust.render import ASSETS

pytestmark = pytest.mark.browser
__all__ = ["browser"]
SCORED = ("/trust?q=keys",)
"""Every page goes through axe in `test_pages`; this one, which has every piece, through Lighthouse too."""
ALLOWED = {"heldtrue.css": 12_000, "page": 32_000}
"""Bytes as they travel, compressed."""


def test_accessibility_is_a_hundred(browser: str) -> None:
    pages = scenes.render()
    with serving({path: pages[path] for path in SCORED}) as url:
        scores = measure([url + path for path in SCORED], ["accessibility"], 1)
    assert [one["scores"] for one in scores] == [{"accessibility": 100}] * len(SCORED), [
        one["against"] for one in scores
    ]


def test_a_page_is_small_and_asks_for_little() -> None:
    assert len(gzip.compress(ASSETS["heldtrue.css"][0])) < ALLOWED["heldtrue.css"]
    for path, page in scenes.render().items():
        assert len(gzip.compress(page)) < ALLOWED["page"], path
        assert page.count(b'<link rel="stylesheet"') == 1, path
        assert page.count(b"<script") <= (path == "/trust/verify"), path
        assert page.count(b"<") < 8_000, path
