"""The attack: a try to make a published sentence false, and what came of it.

An attack is a row of data with one function. It gets an arena, which holds everything it may touch, and returns a
finding. It changes nothing that belongs to anybody: `observe` only looks, `synthetic` works on two organisations that
exist for nothing else, `scratch` works on an instance of its own that is thrown away afterwards.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum, unique
from pathlib import Path
from typing import TYPE_CHECKING

from heldtrue.kernel.errors import HeldtrueError

if TYPE_CHECKING:
    from heldtrue.attack.arena import Arena


COMMON = ("heldtrue.attack.arena", "heldtrue.attack.caller")
"""Modules that every attack sees through."""


@unique
class Place(StrEnum):
    """Where an attack runs, and so what it may do."""

    OBSERVE = "observe"
    """The live instance; looks, and changes nothing."""
    SYNTHETIC = "synthetic"
    """The live instance; organisations that belong to nobody, or transactions that are rolled back."""
    SCRATCH = "scratch"
    """An instance made for this run; killing, filling, flooding and breaking happen here only."""


@unique
class Outcome(StrEnum):
    """What came of one run of an attack."""

    HELD = "held"
    BROKEN = "broken"
    ERROR = "error"
    """The attack crashed or ran out of time; what cannot be attacked does not count as held."""
    MISSING = "missing"
    """An intent was logged and no result came."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What an attack saw: whether the control held, how much was tried, and one sentence."""

    outcome: Outcome
    coverage: Mapping[str, int]
    """Counts of what was tried, by name: `{"routes": 41, "requests": 164}`; never empty, ASCII names."""
    detail: str

    @property
    def held(self) -> bool:
        """Whether the control withstood the attack."""
        return self.outcome is Outcome.HELD


def held(detail: str, **coverage: int) -> Finding:
    """Return the finding of a control that withstood."""
    return Finding(Outcome.HELD, coverage, detail)


def broken(detail: str, **coverage: int) -> Finding:
    """Return the finding of a control that gave way."""
    return Finding(Outcome.BROKEN, coverage, detail)


def judged(faults: Sequence[str], detail: str, **coverage: int) -> Finding:
    """Return broken with the first of *faults* and how many there are, or held with *detail* when there is none."""
    if not faults:
        return held(detail, **coverage)
    more = f" And {len(faults) - 1} more." if len(faults) > 1 else ""
    return broken(f"{faults[0]}{more}", **coverage)


class AttackHinderedError(HeldtrueError):
    """The attack could not be carried out, so it says nothing about the control; see what stood in its way."""

    code = "attack-hindered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One way to make a sentence false."""

    name: str
    """`<capability>.<what>`; ASCII, stable, part of addresses and of the log."""
    place: Place
    tries: tuple[str, ...]
    """What is tried, in the reader's words, one sentence a step."""
    run: Callable[[Arena], Finding]
    breaks: str
    """The deliberately broken control that this attack has to see through; its name in `heldtrue.claims.broken`."""
    needs: tuple[str, ...] = ()
    """Modules beside the attack's own whose source decides what it can see."""
    parts: tuple[str, ...] = ()
    """What a scratch instance must have for it beside web and worker: `runner`, `mail`, `receivers`, low `limits`."""
    limit: timedelta = timedelta(seconds=60)
    """How long it may take; over that the run counts as an error."""
    declares: str = ""
    """What it was told to try, where that is not in its source: its digest is part of the source's."""
    sources: Mapping[str, str] = field(init=False)
    """SHA-256 of each source file by its path below `src/`, read when the process starts."""

    def __post_init__(self) -> None:
        found = _sources((self.run.__module__, *self.needs, *COMMON))
        if self.declares:
            found["declaration"] = hashlib.sha256(self.declares.encode()).hexdigest()
        object.__setattr__(self, "sources", found)

    @property
    def source_sha256(self) -> str:
        """SHA-256 over the sources, as `sha256sum FILES | sha256sum` prints it when run in `src/`."""
        lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(self.sources.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


def _sources(modules: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in modules:
        module = importlib.import_module(name)
        if module.__file__ is None:
            raise AttackHinderedError(f"module {name} has no source file: an attack's source must be readable")
        path = Path(module.__file__)
        found[path_of(name, path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def path_of(module: str, file: Path) -> str:
    """Return a module's file as its path below `src/`."""
    parts = module.split(".")
    return "/".join([*parts, "__init__.py"] if file.name == "__init__.py" else [*parts[:-1], parts[-1] + ".py"])
