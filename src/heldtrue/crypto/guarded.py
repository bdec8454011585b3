"""What every holder of key material has in common: it shows nothing of it, and is not copied out by accident."""

from __future__ import annotations

from typing import Never


class Guarded:
    """A holder of key material: printing names the type only, and pickling or copying is refused."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: key material, not shown>"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> Never:
        raise TypeError(f"{type(self).__name__} holds key material and is not pickled or copied")
