"""A page with many claims is read whole: its JSON and its HTML, page by page."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from heldtrue_verify.fetch import Server
from heldtrue_verify.paging import whole_page
from heldtrue_verify.verdicts import MalformedError


class Pages:
    """Answers like a server with three pages."""

    def __init__(self, follows: str = "/trust.json?page={}") -> None:
        self.follows = follows

    def get(self, path: str) -> bytes:
        number = int(path.partition("=")[2] or 1)
        if not path.startswith("/trust.json"):
            return f"<p>{number}</p>".encode()
        page: dict[str, Any] = {"claims": [{"id": f"c{number}"}], "total": 3}
        page["next"] = self.follows.format(number + 1) if number < 3 else None
        return json.dumps(page).encode()


def test_all_pages_are_one() -> None:
    page, html = whole_page(cast("Server", Pages()))
    assert page["claims"] == [{"id": "c1"}, {"id": "c2"}, {"id": "c3"}]
    assert html == "<p>1</p><p>2</p><p>3</p>"


@pytest.mark.parametrize("follows", ["https://elsewhere.example/{}", "/trust.json", "/trust.json?page=1"])
def test_a_next_page_that_leads_astray_is_refused(follows: str) -> None:
    with pytest.raises(MalformedError):
        whole_page(cast("Server", Pages(follows)))
