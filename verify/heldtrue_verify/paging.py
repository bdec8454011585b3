"""A trust document that has several pages, as one."""

from __future__ import annotations

from heldtrue_verify.canonical import JsonObject, parse_object
from heldtrue_verify.fetch import Server
from heldtrue_verify.verdicts import MalformedError

MOST_PAGES = 1000


def whole_page(server: Server) -> tuple[JsonObject, str]:
    """Read every page of a document that has several: its claims as one list, and the HTML of all."""
    page, html = parse_object(server.get("/trust.json")), server.get("/trust").decode("utf-8", "replace")
    claims, after = page.get("claims"), page.get("next")
    for number in range(2, MOST_PAGES + 1):
        if after is None:
            break
        path = f"/trust.json?page={number}"
        if after != path or not isinstance(claims, list):
            raise MalformedError("The page's JSON names a next page that is none.")
        more = parse_object(server.get(path))
        found, after = more.get("claims"), more.get("next")
        claims = [*claims, *(found if isinstance(found, list) else [])]
        html += server.get(f"/trust?page={number}").decode("utf-8", "replace")
    return {**page, "claims": claims}, html
