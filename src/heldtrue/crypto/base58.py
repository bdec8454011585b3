"""Base58 with the Bitcoin alphabet, as multibase prefix `z` means it (draft-msporny-base58)."""

from __future__ import annotations

from heldtrue.kernel.errors import BadInputError

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_CHUNK = 58**10
"""Ten letters at a time, so that most of the arithmetic is on small numbers."""
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)}


class NotBase58Error(BadInputError):
    """The text holds a letter outside the base58 alphabet; copy it again."""

    code = "not-base58"


def encode(data: bytes) -> str:
    """Return *data* in base58; each leading zero byte is a leading `1`."""
    zeros = len(data) - len(data.lstrip(b"\0"))
    number = int.from_bytes(data)
    pairs: list[str] = []
    while number:
        number, chunk = divmod(number, _CHUNK)
        for _ in range(5):
            chunk, pair = divmod(chunk, 58 * 58)
            pairs.append(_PAIRS[pair])
    return "1" * zeros + "".join(reversed(pairs)).lstrip("1")


def decode(text: str) -> bytes:
    """Return the bytes of *text*; raise `NotBase58Error` for any other letter."""
    number = 0
    for letter in text:
        value = _VALUE.get(letter)
        if value is None:
            raise NotBase58Error(f"{letter!r} is not in the base58 alphabet")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)
