"""Secret values that refuse to print, compare in constant time, and cannot be pickled or serialised by accident."""

from __future__ import annotations

import hmac
from typing import Generic, Never, TypeVar

T = TypeVar("T", str, bytes)


class Secret(Generic[T]):
    """A value that only leaves through `reveal()`; printing, formatting and pickling show nothing of it."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value itself; every call is a place to audit."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __str__(self) -> str:
        return "<secret>"

    def __format__(self, format_spec: str) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_as_bytes(self._value), _as_bytes(other._value))

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> Never:
        raise TypeError("a secret is not pickled")


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
