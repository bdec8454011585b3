"""What the operator asks of a running worker through its directory: to pause attacks, or to run one now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from heldtrue.app.instance import DataDir
from heldtrue.kernel.errors import UnavailableError

FOLDER = "claims.requests"


def leave(data: DataDir, name: str) -> None:
    """Leave the empty file *name* in the directory `run`, owned as that is."""
    path = data.run / name
    try:
        path.touch(mode=0o600)
        owner = data.run.stat()
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be written: {error.strerror}", advice="Run this as the user who started the instance."
        ) from error


def take_back(data: DataDir, name: str) -> None:
    """Remove the file *name* from the directory `run`."""
    try:
        (data.run / name).unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"{data.run / name} cannot be removed: {error.strerror}",
            advice="Run this as the user who started the instance.",
        ) from error


def ask(data: DataDir, attack: str, against: str) -> None:
    """Ask the worker to run *attack* once."""
    folder = data.run / FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            owner = data.run.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise UnavailableError(
            f"{folder} cannot be made: {error.strerror}", advice="Run this as the user who started the instance."
        ) from error
    leave(data, f"{FOLDER}/{attack}@{against}")


def asked(run: Path) -> Iterator[tuple[str, str]]:
    """Yield and remove what was asked for: attack and what it is to be run against."""
    folder = run / FOLDER
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        attack, _, against = path.name.partition("@")
        path.unlink()
        yield attack, against
