"""A reader's browser checks the page against a real log, and catches what was altered."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import pytest
from tests.browser.test_pages import DESKTOP, browser, look
from tests.store.test_claims_engine import World, world
from tests.store.test_claims_trust import attacked

from heldtrue.capabilities.ledger.generations import current
from heldtrue.capabilities.ledger.note import ED25519, VerifierKey
from heldtrue.http.headers import protective
from heldtrue.http.route import CacheClass
from heldtrue.trust.routes import AssetPath, EvidencePath

pytestmark = pytest.mark.browser
__all__ = ["browser", "world"]
DONE = "#verdict:is(.proven, .failing)"
SAID = "[...document.querySelectorAll('#steps li')].map(li => [li.className, li.textContent])"


class Server:
    """The trust pages of a world, with one thing altered when asked for."""

    def __init__(self, table: dict[str, Callable[..., Any]], altered: str = "") -> None:
        self.table = table
        self.altered = altered

    def answer(self, path: str) -> tuple[bytes, str]:
        if path == "/trust.json":
            return msgspec.json.encode(self.table["/trust.json"]()), "application/json"
        if path == "/log/checkpoint":
            note = self.table["/trust.json"]().checkpoint.note
            return note.encode(), "text/plain"
        if found := re.fullmatch(r"/trust/evidence/([^/]+)/(.+)", path):
            file = self.table["/trust/evidence/{attack}/{file}"](EvidencePath(attack=found[1], file=found[2]))
            told = msgspec.json.encode(file)
            return (told.replace(b'"held"', b'"lost"') if self.altered == "evidence" else told), "application/json"
        if path.startswith("/assets/"):
            page = self.table["/assets/{path:path}"](AssetPath(path=path.removeprefix("/assets/")))
        else:
            page = self.table[path]()
        content = page.content
        if self.altered == "page" and path == "/trust":
            content = content.replace(b'data-state="proven"', b'data-state="failing"', 1)
        return content, page.content_type


@contextmanager
def serving(server: Server) -> Generator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            content, kind = server.answer(self.path)
            self.send_response(200)
            for name, value in protective(kind, CacheClass.PAGE):
                if name != "strict-transport-security":
                    self.send_header(name, value)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def test_a_browser_checks_the_page_and_catches_what_was_altered(browser: str, world: World) -> None:
    with world.database.system() as tx:
        origin = current(tx)
    pin = str(VerifierKey(origin.origin, ED25519, origin.public))
    other = str(VerifierKey(origin.origin, ED25519, bytes(32)))
    table = attacked(world)
    tries = (("", pin), ("evidence", pin), ("page", pin), ("key", other), ("typed", pin[:-6] + "AAAA=="))
    jobs: list[dict[str, Any]] = []
    with ExitStack() as stack:
        for altered, key in tries:
            url = stack.enter_context(serving(Server(table, altered)))
            filled = {"fill": ["#pin", key], "wait": "#verify:not([hidden])"}
            steps = [filled, {"click": "#verify button"}, {"wait": DONE, "eval": SAID}]
            jobs.append({"url": f"{url}/trust/verify", "scheme": "light", **DESKTOP, "steps": steps})
        found = look(browser, jobs)
    assert [one["foreign"] for one in found] == [[]] * len(tries), "nothing is asked of others"
    seen = {altered: one["told"][0] for (altered, _), one in zip(tries, found, strict=True)}
    states = {altered: [state for state, _ in said] for altered, said in seen.items()}
    assert states[""] == ["proven"] * 6, json.dumps(seen[""])
    assert states["evidence"][:4] == ["proven", "proven", "proven", "failing"]
    assert "is not entry" in seen["evidence"][3][1]
    assert states["page"][-1] == "failing"
    assert "its JSON as proven" in seen["page"][-1][1]
    assert states["key"] == ["proven", "failing"]
    assert states["typed"] == ["failing"]


def test_without_scripts_the_page_says_what_to_do_instead(browser: str, world: World) -> None:
    with serving(Server(attacked(world))) as url:
        job = {
            "url": f"{url}/trust/verify",
            "scheme": "dark",
            "scripts": False,
            **DESKTOP,
            "eval": "document.body.innerText",
        }
        (one,) = look(browser, [job])
    assert "needs scripts" in one["value"]
    assert "heldtrue-verify page" in one["value"]
