"""The permit without which no control is broken, and how one is.

No setting turns any of these on. They are changes to a process that was forked for one run, over an instance that this
process builds in an empty scratch directory: without a permit for such a directory nothing is changed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.arena import Arena
from heldtrue.kernel.errors import DeniedError

PREFIX = "heldtrue-scratch-"


class NotScratchError(DeniedError):
    """A control is broken in the process of a scratch run only; this is none."""

    code = "not-scratch"


@dataclass(frozen=True, slots=True)
class Permit:
    """Says that this process works on a scratch directory; it holds in no other process."""

    directory: Path
    process: int

    def check(self) -> None:
        """Raise unless it was given to this very process."""
        if self.process != os.getpid():
            raise NotScratchError


def permit(directory: Path) -> Permit:
    """Return a permit for the scratch *directory*; raise `NotScratchError` for any other."""
    if not directory.name.startswith(PREFIX) or (directory / "instance.json").exists():
        raise NotScratchError
    return Permit(directory, os.getpid())


Before = Callable[[Permit], AbstractContextManager[None]]
Within = Callable[[Permit, Arena], AbstractContextManager[Arena]]


def nothing_before(_permit: Permit) -> AbstractContextManager[None]:
    """Change nothing before the scratch instance is built."""
    return nullcontext()


def nothing_within(_permit: Permit, arena: Arena) -> AbstractContextManager[Arena]:
    """Change nothing in the scratch instance."""
    return nullcontext(arena)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One broken control."""

    name: str
    what: str
    """What is wrong with it, in one sentence."""
    before: Before = nothing_before
    """Applied before the scratch instance is built, and inherited by its processes."""
    within: Within = nothing_within
    """Applied to the scratch instance once it runs."""


@contextmanager
def replaced(given: Permit, *changes: tuple[str, object]) -> Generator[None]:
    """Put other values in the places `module:name` or `module:Class.name`, and the old ones back at the end."""
    given.check()
    with ExitStack() as stack:
        for place, value in changes:
            module, _, path = place.partition(":")
            *holders, name = path.split(".")
            holder: Any = importlib.import_module(module)
            for part in holders:
                holder = getattr(holder, part)
            if not hasattr(holder, name):
                raise AttackHinderedError(f"there is no {place} to break")
            old = holder.__dict__[name]
            setattr(holder, name, value)
            stack.callback(setattr, holder, name, old)
        yield
