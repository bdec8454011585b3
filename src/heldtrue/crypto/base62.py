"""Base62 of a fixed width: 0-9A-Za-z, big-endian, left-padded with `0`, so that text sorts and selects as one word."""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_CHUNK = 62**10
"""Ten letters at a time, so that most of the arithmetic is on small numbers."""
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)}


def encode(number: int, width: int) -> str:
    """Return *number* in *width* letters; raise `OverflowError` where it does not fit."""
    if number < 0 or number >= 62**width:
        raise OverflowError(f"the number does not fit into {width} letters")
    pairs: list[str] = []
    for _ in range(0, width, 10):
        number, chunk = divmod(number, _CHUNK)
        for _ in range(5):
            chunk, pair = divmod(chunk, 62 * 62)
            pairs.append(_PAIRS[pair])
    return "".join(reversed(pairs))[-width:] if width else ""


def decode(text: str) -> int:
    """Return the number written as *text*; raise `KeyError` for a letter outside the alphabet."""
    number = 0
    for letter in text:
        number = number * 62 + _VALUE[letter]
    return number
