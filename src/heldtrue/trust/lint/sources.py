"""From what was named on the command line, a file or an address, to a page and to what it is held against."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from heldtrue.trust.lint import hypertext, markdown
from heldtrue.trust.lint.fetching import LARGEST, Fetcher, UnreadablePageError
from heldtrue.trust.lint.model import Page
from heldtrue.trust.lint.rules.vendors import listed

BEST = ("failing", "stale", "promised", "attested", "proven")
"""From worst to best: what a row is worth is what the best of its claims is worth."""


def page_of(name: str, fetcher: Fetcher) -> Page:
    """Return the page that *name* is: a URL over https, an HTML file, or Markdown."""
    text, is_html = _text(name, fetcher)
    return (hypertext if is_html else markdown).read(text, name)


def states_of(name: str, fetcher: Fetcher) -> dict[str, str]:
    """Return the best state of each row in a trust document (`/trust.json`)."""
    told = _json(name, fetcher)
    best: dict[str, str] = {}
    for claim in cast("list[Mapping[str, Any]]", told.get("claims", [])):
        for row in claim.get("rows", []):
            best[row] = max(best.get(row, "failing"), claim.get("state", "failing"), key=BEST.index)
    if not best:
        raise UnreadablePageError(f"{name} lists no claims", advice="Name a trust document, as /trust.json.")
    return best


def processors_of(name: str, fetcher: Fetcher) -> frozenset[str]:
    """Return the names of the sub-processors in a list: the JSON of such a page, or a page with the list on it."""
    if name.endswith(".json"):
        told = _json(name, fetcher)
        names = {found.lower() for found in _names(told)}
    else:
        names = set(listed(page_of(name, fetcher)))
    if not names:
        raise UnreadablePageError(f"{name} names no sub-processors", advice="Name the page with the list on it.")
    return frozenset(names)


def _names(value: object) -> list[str]:
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        own = [name for name in (members.get("name"), members.get("legal_name")) if isinstance(name, str)]
        return own + [name for inner in members.values() for name in _names(inner)]
    if isinstance(value, list):
        return [name for inner in cast("list[object]", value) for name in _names(inner)]
    return []


def _json(name: str, fetcher: Fetcher) -> dict[str, Any]:
    text, _ = _text(name, fetcher)
    try:
        return msgspec.json.decode(text.encode(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UnreadablePageError(f"{name} is not a JSON object: {error}") from error


def _text(name: str, fetcher: Fetcher) -> tuple[str, bool]:
    if "://" in name:
        text, kind = fetcher.get(name)
        return text, "html" in kind or (not kind and "<html" in text[:2000].lower())
    path = Path(name)
    try:
        if path.stat().st_size > LARGEST:
            raise UnreadablePageError(f"{name} is over {LARGEST} bytes", advice="Lint a part of it.")
        text = path.read_text("utf-8")
    except OSError as error:
        raise UnreadablePageError(f"{name} cannot be read: {error.strerror}", advice="Check the path.") from error
    except UnicodeDecodeError as error:
        raise UnreadablePageError(f"{name} is not UTF-8 text: {error}") from error
    return text, path.suffix.lower() in {".html", ".htm", ".xhtml"} or text.lstrip()[:14].lower() == "<!doctype html"
