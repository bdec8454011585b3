"""Schedules as the log has them: what was promised to be attacked, how often, and when that became less."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from heldtrue_verify.canonical import JsonObject, instant_in, integer_in, text_in, texts_in
from heldtrue_verify.checkpoint import show_length


@dataclass(frozen=True, slots=True)
class Schedule:
    """What was promised to be attacked, how often, and how old the result may be."""

    claim: str
    sentence: str
    rows: tuple[str, ...]
    attacks: tuple[str, ...]
    cadence: timedelta
    max_age: timedelta
    withdrawn: bool
    at: datetime

    @classmethod
    def read(cls, entry: JsonObject) -> Schedule:
        """Read a `schedule` entry."""
        cadence, age = (timedelta(seconds=integer_in(entry, name)) for name in ("cadence_s", "max_age_s"))
        return cls(
            text_in(entry, "claim"),
            text_in(entry, "sentence"),
            tuple(texts_in(entry, "rows")),
            tuple(texts_in(entry, "attacks")),
            cadence,
            age,
            entry.get("withdrawn") is True,
            instant_in(entry, "at"),
        )

    def looser_than(self, old: Schedule) -> str:
        """Say how these terms ask for less than *old* did; empty where they do not."""
        less = [f"without the attack {name}" for name in old.attacks if name not in self.attacks]
        if self.max_age > old.max_age:
            less.append(f"a result counts for {show_length(self.max_age)}, not {show_length(old.max_age)}")
        if self.cadence > old.cadence:
            less.append(f"attacked every {show_length(self.cadence)}, not {show_length(old.cadence)}")
        if self.withdrawn and not old.withdrawn:
            less.append("withdrawn")
        return ", ".join(less)


@dataclass(frozen=True, slots=True)
class Loosening:
    """An entry by which a claim asks for less than before."""

    claim: str
    index: int
    at: datetime
    how: str
