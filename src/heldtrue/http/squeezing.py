"""Compression of answers (RFC 9110, sections 8.4 and 12.5): text that any cache may keep, and nothing else.

Where a secret and what the caller sent stand in one answer, its compressed length tells the secret (BREACH). So it
depends on the cache class alone: what a cache may keep for everybody has no secret in it, and only that is compressed.
"""

from __future__ import annotations

import gzip
import re
from functools import lru_cache

from heldtrue.http.incoming import Reply
from heldtrue.http.route import CacheClass

SMALLEST = 1024
"""Bytes below which compression saves no packet."""
_NONE = re.compile(r"q=0(\.0{0,3})?")


def varies(reply: Reply) -> bool:
    """Return whether an answer has a compressed form: public text, whole, of some length."""
    return (
        reply.cache is not CacheClass.PRIVATE
        and reply.content is not None
        and len(reply.content) >= SMALLEST
        and _is_text(reply.content_type)
    )


def accepted(header: str) -> bool:
    """Return whether an `Accept-Encoding` allows gzip: named, or `*`, and not with the weight 0."""
    said: dict[str, str] = {}
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        said[coding.strip()] = weight.replace(" ", "")
    weight = said.get("gzip", said.get("*"))
    return weight is not None and _NONE.fullmatch(weight) is None


@lru_cache(maxsize=64)
def packed(content: bytes) -> bytes:
    """Return *content* compressed; what is asked for again, as each static file is, is compressed once."""
    return gzip.compress(content, 6, mtime=0)


def _is_text(content_type: str) -> bool:
    media = content_type.partition(";")[0]
    return media.startswith("text/") or media.endswith(("json", "xml"))
