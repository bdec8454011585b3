"""The public pages in a real browser: for everybody, in light and dark, on a phone and on paper, without a script."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.browser import scenes

from heldtrue.http.headers import protective
from heldtrue.http.route import CacheClass
from heldtrue.trust.render import ASSETS

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
    pages = scenes.render()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            content, kind = ASSETS.get(
                path.removeprefix("/assets/"), (pages.get(self.path), "text/html; charset=utf-8")
            )
            self.send_response(200 if content is not None else 404)
            for name, value in protective(kind, CacheClass.PAGE):
                if name != "strict-transport-security":
                    self.send_header(name, value)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def look(browser: str, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have the browser do *jobs* and return what it saw."""
    ran = subprocess.run(
        ["node", "look.mjs"], cwd=HERE, input=json.dumps({"executable": browser, "jobs": jobs}), capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


def test_everybody_can_read_every_page(browser: str, site: str) -> None:
    bright, dark = {"scheme": "light", **DESKTOP}, {"scheme": "dark", **PHONE}
    jobs = [
        {"url": site + path, "axe": True, "open": path == "/trust", **view}
        for path, view in (
            ("/trust", bright), ("/trust", dark), ("/claim", bright), ("/index", dark), ("/first", bright),
            ("/empty", dark), ("/notice", bright),
        )
    ]  # fmt: skip
    for seen in look(browser, jobs):
        assert seen["violations"] == [], seen
        assert seen["passes"] > 20


def test_nothing_is_asked_of_others_and_nothing_is_complained_of(browser: str, site: str) -> None:
    for seen in look(browser, [{"url": site + path, "scheme": "light", **DESKTOP} for path in ("/trust", "/claim")]):
        assert (seen["status"], seen["foreign"], seen["failed"], seen["messages"]) == (200, [], [], [])


def test_a_phone_never_scrolls_sideways(browser: str, site: str) -> None:
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    narrow = {"width": 320, "height": 640}
    jobs = [
        {"url": site + path, "scheme": "light", "open": path == "/trust", "eval": wide, **size}
        for path in ("/trust", "/claim", "/index")
        for size in (PHONE, narrow)
    ]
    assert [seen["value"] for seen in look(browser, jobs)] == [0] * len(jobs)


def test_the_fonts_are_our_own(browser: str, site: str) -> None:
    loaded = "[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family.replaceAll('\"', '')).sort()"
    (seen,) = look(browser, [{"url": f"{site}/trust", "scheme": "light", "eval": loaded, "open": True, **DESKTOP}])
    assert seen["value"] == ["Inter", "JetBrains Mono", "Newsreader"]


def test_the_states_filter_without_a_script(browser: str, site: str) -> None:
    shown = "[...document.querySelectorAll('.claim')].filter(c => c.checkVisibility()).map(c => c.dataset.state)"
    jobs = [
        {"url": f"{site}/trust", "scheme": "light", "click": f"#show-{state}", "eval": shown, **DESKTOP}
        for state in ("failing", "stale", "promised", "all")
    ]
    failing, stale, promised, everything = (seen["value"] for seen in look(browser, jobs))
    assert set(failing) == {"failing"}
    assert set(stale) == {"stale"}
    assert set(promised) == {"promised"}
    assert len(everything) == len(scenes.catalogue().claims)


def test_a_failure_is_seen_whatever_is_filtered(browser: str, site: str) -> None:
    seen = "[...document.querySelectorAll('.notice')].filter(n => n.checkVisibility()).length"
    jobs = [{"url": f"{site}/trust", "scheme": "light", "click": "#show-proven", "eval": seen, **PHONE}]
    assert look(browser, jobs)[0]["value"] == 1


def test_a_claim_opens_by_keyboard(browser: str, site: str) -> None:
    opened = "document.querySelector('.claim.proven details').open"
    job = {"url": f"{site}/trust", "scheme": "light", "focus": ".claim.proven summary", "eval": opened, **DESKTOP}
    before, after = look(browser, [job, {**job, "keys": ["Enter"]}])
    assert (before["value"], after["value"]) == (False, True)


def test_paper_shows_what_the_screen_folds(browser: str, site: str, tmp_path: Path) -> None:
    folded = "[...document.querySelectorAll('.proof')].filter(p => !p.checkVisibility()).length"
    seen = {"url": f"{site}/trust", "scheme": "light", "eval": folded, **DESKTOP}
    printed = {**seen, "media": "print", "pdf": str(tmp_path / "trust.pdf")}
    screen, paper = look(browser, [seen, printed])
    assert screen["value"] > 10
    assert paper["value"] == 0
    assert (tmp_path / "trust.pdf").read_bytes().startswith(b"%PDF")
