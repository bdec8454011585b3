"""The canonical form of a JSON text, for most texts ten times faster than by reading and writing it strictly.

A text is taken the short way where orjson is known to read and write the same as `parse_strict` and `canonicalize`;
any other goes the long way, which also finds the words for what is wrong with it.
"""

from __future__ import annotations

import re
from typing import Any, cast

import orjson

from heldtrue.crypto.canonical import MAX_DEPTH, MAX_INTEGER, canonicalize, parse_strict

_NAMES = re.compile(rb'"[ \t\n\r]*:')


class _OutsideError(Exception):
    """The short way does not lead there."""


def canonical_form(text: bytes) -> bytes:
    """Return the RFC 8785 form of the JSON *text*; raise what `parse_strict` and `canonicalize` raise."""
    return _short_way(text) or canonicalize(parse_strict(text))


def _short_way(text: bytes) -> bytes | None:
    """Return the canonical form, None where it is not certain that this is it."""
    if text[:1] not in {b"{", b"["} or b"\\" in text:
        return None
    try:
        value = orjson.loads(text)
        members = _survey(value, MAX_DEPTH)
    except (orjson.JSONDecodeError, _OutsideError):
        return None
    # Without a backslash each name ends in a quote before a colon, so a name that stood twice would be counted twice.
    if len(_NAMES.findall(text)) != members:
        return None
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _survey(value: Any, depth: int) -> int:
    """Return how many members the objects in *value*, an object or an array, have together.

    Raise `_OutsideError` for what both libraries might write differently: names that are not ASCII, whose order is by
    UTF-16; integers beyond 2^53-1; floats that ECMAScript writes as integers or with an exponent; and what is too deep.
    """
    if depth == 0:
        raise _OutsideError
    items: Any
    if type(value) is dict:
        members = len(cast("dict[str, Any]", value))
        for name in cast("dict[str, Any]", value):
            if not name.isascii():
                raise _OutsideError
        items = cast("dict[str, Any]", value).values()
    else:
        members = 0
        items = value
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is dict or kind is list:
            members += _survey(item, depth - 1)
        elif kind is int:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                raise _OutsideError
        elif kind is float and (not 0.001 <= abs(item) < 1e15 or item.is_integer()):
            raise _OutsideError
    return members
