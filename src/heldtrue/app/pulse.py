"""Signs of life that the worker leaves and the web process reads, in memory that both inherit."""

from __future__ import annotations

import mmap
import struct
import time

PARTS = ("deliveries", "log", "claims", "sweeps", "flows", "post", "witnesses")
_SLOT = struct.Struct("=dq")


class Pulse:
    """When each part of the worker last came round, and a number it left; made before the fork.

    Time is CLOCK_BOOTTIME, which goes on through suspension and knows no jumps.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SLOT.size * len(PARTS))

    def beat(self, part: str, number: int = 0) -> None:
        """Say that *part* came round now."""
        _SLOT.pack_into(self._memory, PARTS.index(part) * _SLOT.size, _now(), number)

    def silence(self, part: str) -> float | None:
        """Return the seconds since *part* last came round; None if it never did."""
        at, _ = _SLOT.unpack_from(self._memory, PARTS.index(part) * _SLOT.size)
        return _now() - at if at else None

    def number(self, part: str) -> int:
        """Return the number that *part* left."""
        return _SLOT.unpack_from(self._memory, PARTS.index(part) * _SLOT.size)[1]


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
