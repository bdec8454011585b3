"""What a claim asks for by the log: its attacks, how often, and how long a result counts; and when that became less.

The separate verifier finds the same, and refuses a page that does not say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"))


@dataclass(frozen=True, slots=True)
class Terms:
    """What one schedule entry asks for."""

    attacks: tuple[str, ...]
    cadence_s: int
    max_age_s: int
    withdrawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosening:
    """An entry by which a claim asks for less than before."""

    index: int
    at: datetime
    how: str


def terms_of(entry: Mapping[str, Any]) -> Terms:
    """Return what a schedule entry asks for."""
    return Terms(tuple(entry["attacks"]), entry["cadence_s"], entry["max_age_s"], bool(entry.get("withdrawn", False)))


def looser(old: Terms, new: Terms) -> str:
    """Return how *new* asks for less than *old*, in words; empty where it does not."""
    less = [f"without the attack {name}" for name in old.attacks if name not in new.attacks]
    if new.max_age_s > old.max_age_s:
        less.append(f"a result counts for {_length(new.max_age_s)}, not {_length(old.max_age_s)}")
    if new.cadence_s > old.cadence_s:
        less.append(f"attacked every {_length(new.cadence_s)}, not {_length(old.cadence_s)}")
    if new.withdrawn and not old.withdrawn:
        less.append("withdrawn")
    return ", ".join(less)


def _length(seconds: int) -> str:
    for unit, name in _UNITS:
        if seconds >= 2 * unit:
            return f"{round(seconds / unit)} {name}"
    return f"{seconds} seconds"
