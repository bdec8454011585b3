"""Headers that every answer carries, whatever happened."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from heldtrue.http.route import CacheClass

HTML_POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self' data:; script-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
SECURITY = [
    ("strict-transport-security", "max-age=63072000"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
]


def protective(content_type: str, cache: CacheClass) -> Sequence[tuple[str, str]]:
    """Return the headers that protect a reader of an answer of this type and cache class; nothing third-party loads."""
    return _protective(content_type.startswith("text/html"), cache)


@lru_cache
def _protective(html: bool, cache: CacheClass) -> Sequence[tuple[str, str]]:
    return (
        *SECURITY,
        ("content-security-policy", HTML_POLICY if html else DATA_POLICY),
        ("cross-origin-resource-policy", "same-origin" if cache is CacheClass.PRIVATE else "cross-origin"),
        ("cache-control", cache.value),
    )


def complete(
    content_type: str, cache: CacheClass, ours: list[tuple[str, str]], given: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return all headers of an answer, each name once.

    What an action gave replaces a protective header, so that it can be stricter; caching and what is *ours* it cannot
    touch.
    """
    if not given:
        return [*ours, *protective(content_type, cache)]
    fixed = {name for name, _ in ours} | {"cache-control", "content-length", "content-type"}
    chosen = {name: value for name, value in given if name not in fixed}
    return [*ours, *{**dict(protective(content_type, cache)), **chosen}.items()]
