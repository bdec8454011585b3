"""Base62 of a fixed width: 0-9A-Za-z, big-endian, left-padded with `0`, so that text sorts and selects as one word."""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)}


def encode(number: int, width: int) -> str:
    """Return *number* in *width* letters; raise `OverflowError` where it does not fit."""
    letters: list[str] = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        letters.append(ALPHABET[rest])
    if number:
        raise OverflowError(f"the number does not fit into {width} letters")
    return "".join(reversed(letters))


def decode(text: str) -> int:
    """Return the number written as *text*; raise `KeyError` for a letter outside the alphabet."""
    number = 0
    for letter in text:
        number = number * 62 + _VALUE[letter]
    return number
