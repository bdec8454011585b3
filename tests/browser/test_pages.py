"""The public pages in a real browser: for everybody, in light and dark, on a phone and on paper, without a script."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.browser import scenes
from tests.browser.serving import serving

pytestmark = pytest.mark.browser
HERE = Path(__file__).parent
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def _missing() -> str | None:
    if shutil.which("chromium") is None:
        return "chromium is not installed"
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    return None


@pytest.fixture(scope="session")
def browser() -> str:
    """The browser's path, with what drives it installed."""
    missing = _missing()
    if missing is not None:
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    if not (HERE / "node_modules" / "playwright-core").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True, capture_output=True)
    return str(shutil.which("chromium"))


@pytest.fixture(scope="session")
def site() -> Generator[str]:
    """The pages, served with the headers that the application gives them."""
    with serving(scenes.render()) as url:
        yield url


def look(browser: str, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have the browser do *jobs* and return what it saw."""
    ran = subprocess.run(
        ["node", "look.mjs"], cwd=HERE, input=json.dumps({"executable": browser, "jobs": jobs}), capture_output=True,
        text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SEEN = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
"""Rules of axe whose answer depends on colours and width; the others are asked once in each scheme and width."""
EVERY_VIEW = "EVERY_VIEW" in os.environ
"""`make lighthouse` looks in both schemes at both widths; the tests light on a phone, and dark on a desk by `SEEN`."""
FIRST = {"scheme": "light", **PHONE}
VIEWS = (
    FIRST,
    {"scheme": "dark", **DESKTOP},
    {"scheme": "dark", **PHONE, "rules": SEEN},
    {"scheme": "light", **DESKTOP, "rules": SEEN},
)
AGAIN = ("/trust?first", "/trust?empty", "/trust/legal/privacy", "/trust/questionnaire?empty", "/trust/threats?late")
"""Long pages again with less on them, which `/trust` and the others have already: looked at in one way."""


def test_everybody_can_read_every_page(browser: str, site: str) -> None:
    """In light and dark, on a desktop and a phone: axe finds nothing, and nothing scrolls sideways."""
    common = {"eval": WIDE, "scheme": "light", "together": True, **PHONE}
    views = VIEWS if EVERY_VIEW else (FIRST, {"scheme": "dark", **DESKTOP, "rules": SEEN})
    jobs = [
        {**common, "url": site + path, "open": path != "/trust", "views": [FIRST] if path in AGAIN else views}
        for path in scenes.render()
    ]
    for seen in look(browser, jobs):
        assert (seen["status"], seen["foreign"], seen["failed"], seen["messages"]) == (200, [], [], []), seen["url"]
        for one in seen["views"]:
            assert one["violations"] == [], (seen["url"], one["view"])
            assert one["passes"] >= (1 if "rules" in one["view"] else 15), (seen["url"], one["view"])
            assert one["value"] == 0, f"{seen['url']} scrolls sideways: {one['view']}"


NARROW = (
    "/trust", "/trust/claims/of-a-failure", "/trust/index", "/trust/changes", "/trust/questionnaire", "/trust/threats",
    "/trust/legal/dpa", "/trust/disclosure", "/trust/frameworks", "/docs",
)  # fmt: skip


def test_a_narrow_phone_does_not_scroll_sideways_either(browser: str, site: str) -> None:
    narrow = {"width": 320, "height": 640, "scheme": "light", "together": True, "open": True, "eval": WIDE}
    seen = look(browser, [{"url": site + path, **narrow} for path in NARROW])
    assert [one["value"] for one in seen] == [0] * len(NARROW)


def test_the_fonts_are_our_own(browser: str, site: str) -> None:
    loaded = (
        "[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family.replaceAll('\"', ''))"
        ".filter(name => !name.startsWith('before ')).sort()"
    )
    (seen,) = look(browser, [{"url": f"{site}/trust", "scheme": "light", "eval": loaded, "open": True, **DESKTOP}])
    assert seen["value"] == ["Inter", "JetBrains Mono", "Newsreader"]


def test_a_failure_is_seen_whatever_is_asked_for(browser: str, site: str) -> None:
    seen = "[...document.querySelectorAll('.notice[role=alert]')].filter(n => n.checkVisibility()).length"
    jobs = [
        {"url": site + path, "scheme": "light", "scripts": False, "eval": seen, **PHONE}
        for path in ("/trust", "/trust?q=keys", "/trust?q=unicorns")
    ]
    assert [one["value"] for one in look(browser, jobs)] == [1, 1, 1]


def test_a_claim_opens_by_keyboard(browser: str, site: str) -> None:
    opened = "document.querySelector('.claim.proven details').open"
    job = {"url": f"{site}/trust", "scheme": "light", "focus": ".claim.proven summary", "eval": opened, **DESKTOP}
    before, after = look(browser, [job, {**job, "keys": ["Enter"]}])
    assert (before["value"], after["value"]) == (False, True)


def test_paper_shows_what_the_screen_folds(browser: str, site: str, tmp_path: Path) -> None:
    folded = "[...document.querySelectorAll('.proof')].filter(p => !p.checkVisibility()).length"
    seen = {"url": f"{site}/trust", "scheme": "light", "eval": folded, **DESKTOP}
    forms = "[...document.querySelectorAll('form, .pager')].filter(p => p.checkVisibility()).length"
    printed = {**seen, "steps": [{"eval": forms}], "media": "print", "pdf": str(tmp_path / "trust.pdf")}
    screen, paper = look(browser, [seen, printed])
    assert screen["value"] > 10
    assert paper["value"] == 0
    assert paper["told"] == [0], "there is nothing to fill in on paper"
    assert (tmp_path / "trust.pdf").read_bytes().startswith(b"%PDF")
