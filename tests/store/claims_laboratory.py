"""Run every attack on a sound scratch instance and against its broken control; print one JSON line a run.

A program of its own, because laboratories are forked from a process with one thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import structlog

from heldtrue.app import claims, preload
from heldtrue.app.settings import Settings
from heldtrue.attack import Attack, AttackHinderedError, Finding, Place
from heldtrue.attack.arena import Arena
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.broken import PREFIX
from heldtrue.claims.laboratory import Laboratory, guarded
from heldtrue.claims.model import Against
from heldtrue.db import binaries
from heldtrue.db.migrate import shipped

FIRST = "registers."
"""Attacks that open the registers: what they are opened with needs no notice, so nobody may have done it before."""


class ScratchOnly:
    """Arenas without a live instance."""

    def __init__(self, above: Any) -> None:
        self._above = above

    def live(self, place: Place) -> AbstractContextManager[Arena]:
        raise AttackHinderedError(f"there is no live instance to {place}")

    def scratch(self, directory: Path, parts: Sequence[str]) -> AbstractContextManager[Arena]:
        return claims.scratch(directory, self._above, parts)


def sound(above: Any, attacks: list[Attack], home: Path) -> Iterator[tuple[Attack, Finding, float]]:
    """Run *attacks* on one sound instance, one after the other."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
    directory.chmod(0o711)
    with claims.scratch(directory, above, [part for one in attacks for part in one.parts]) as arena:
        for attack in sorted(attacks, key=lambda attack: not attack.name.startswith(FIRST)):
            began = time.monotonic()
            with contextlib.closing(arena.caller.twin()) as caller:  # each attack has its own patience
                own = replace(arena, caller=caller)
                yield attack, guarded(attack, lambda attack=attack, own=own: attack.run(own)), time.monotonic() - began


def main() -> None:
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)  # a scratch instance takes the old one
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr), processors=[structlog.processors.JSONRenderer()]
    )
    preload.everything(Settings())  # service users may not be able to read the installation
    home = Path(tempfile.mkdtemp(prefix="heldtrue-laboratory-"))
    home.chmod(0o711)
    above = SimpleNamespace(programs=binaries.copied(binaries.bundled(), home), migrations=shipped())
    wanted = [ATTACKS[name] for name in sys.argv[1:] or ATTACKS]

    def tell(attack: Attack, against: Against, finding: Finding, seconds: float) -> None:
        line = {
            "attack": attack.name,
            "against": str(against),
            "outcome": str(finding.outcome),
            "coverage": dict(finding.coverage),
            "detail": finding.detail,
            "seconds": round(seconds, 1),
        }
        lines.write(json.dumps(line) + "\n")

    try:
        with Laboratory.open({attack.name: attack for attack in wanted}, ScratchOnly(above), home) as laboratory:

            def broken(attack: Attack) -> None:
                began = time.monotonic()
                tell(attack, Against.BROKEN, laboratory.run(attack, Against.BROKEN), time.monotonic() - began)

            with ThreadPoolExecutor(2) as pool:
                list(pool.map(broken, wanted))
        for same in (False, True):  # what needs low limits has an instance of its own: the others would wait for them
            together = [attack for attack in wanted if ("limits" in attack.parts) is same]
            for attack, finding, seconds in sound(above, together, home) if together else ():
                tell(attack, Against.CONTROL, finding, seconds)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
