"""A laboratory with attacks that behave badly; a program of its own, because it forks. Prints one JSON line a run."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, broken, held
from heldtrue.claims.broken import PREFIX
from heldtrue.claims.laboratory import Laboratory
from heldtrue.claims.model import Against
from heldtrue.db import dsn
from heldtrue.kernel.errors import SettingsError


class Scene:
    """What an attack of this program gets."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory


class Arenas:
    """Arenas that are only a directory."""

    @contextmanager
    def live(self, place: Place) -> Generator[Any]:
        yield Scene(None)

    @contextmanager
    def scratch(self, directory: Path, _parts: object) -> Generator[Any]:
        (directory / "filled").write_bytes(b"x" * 1000)
        yield Scene(directory)


def fine(_scene: Any) -> Finding:
    return held(f"pid {os.getpid()}", probes=1)


def crashes(_scene: Any) -> Finding:
    raise RuntimeError("secret value 4711")


def hindered(_scene: Any) -> Finding:
    raise AttackHinderedError("no receiver")


def hangs(_scene: Any) -> Finding:
    if os.fork() == 0:
        time.sleep(60)
    time.sleep(60)
    return held("too late", probes=1)


def vanishes(_scene: Any) -> Finding:
    os._exit(3)


def sees(scene: Any) -> Finding:
    try:
        dsn.admitted("host=db.example dbname=x user=y")
    except SettingsError:
        return held("refused", probes=1)
    return broken(f"accepted in {scene.directory}", probes=1)


def attack(run: Any, place: Place = Place.OBSERVE, limit: float = 5.0) -> Attack:
    return Attack(
        name=f"g.{run.__name__}",
        place=place,
        tries=("Try.",),
        run=run,
        breaks="any-dsn",
        limit=timedelta(seconds=limit),
    )


TABLE = {
    a.name: a
    for a in (attack(fine), attack(crashes), attack(hindered), attack(hangs, limit=0.5), attack(vanishes),
              attack(sees, Place.SCRATCH))
}  # fmt: skip


def main() -> None:
    home = Path(tempfile.mkdtemp())
    (home / f"{PREFIX}999999999-left").mkdir()  # of a laboratory that was killed
    with Laboratory.open(TABLE, Arenas(), home) as laboratory:
        for name, tried in TABLE.items():
            began = time.monotonic()
            found = laboratory.run(tried, Against.CONTROL)
            line = {"attack": name, "outcome": found.outcome, "detail": found.detail, "took": time.monotonic() - began}
            print(json.dumps(line))
        seen = laboratory.run(TABLE["g.sees"], Against.BROKEN)
        print(json.dumps({"attack": "against broken", "outcome": seen.outcome, "detail": seen.detail}))
        seen = laboratory.run(TABLE["g.sees"], Against.CONTROL)
        print(json.dumps({"attack": "after broken", "outcome": seen.outcome, "detail": seen.detail}))
    left = sorted(path.name for path in home.iterdir())
    print(json.dumps({"attack": "left", "outcome": "", "detail": json.dumps(left)}))
    try:
        dsn.admitted("host=db.example dbname=x user=y")
        print(json.dumps({"attack": "here", "outcome": "broken", "detail": ""}))
    except SettingsError:
        print(json.dumps({"attack": "here", "outcome": "held", "detail": ""}))
    home.rmdir()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
