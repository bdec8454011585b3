"""Write a package with one claim of the operator's own: claim, attack, broken control, and a test that fails."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from heldtrue.kernel.errors import ConflictError, SettingsError

_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "src/{name}/__init__.py": "init.py.txt",
    "src/{name}/claims.toml": "claims.toml.txt",
    "src/{name}/control.py": "control.py.txt",
    "src/{name}/attack.py": "attack.py.txt",
    "tests/test_attack.py": "test_attack.py.txt",
}
"""Path in the package by template; `NAME` in a template is the package's name."""


class TakenError(ConflictError):
    """There is something of that name already; choose another, or another --into."""

    code = "taken"


def write(name: str, into: Path) -> list[Path]:
    """Write the package *name* below *into* and return its files; raise `TakenError` where it exists."""
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{name!r} is not a package's name", advice="Use a to z, 0 to 9 and _, a letter first.")
    home = into / name
    if home.exists():
        raise TakenError(f"{home} exists already")
    templates = files(__package__ or "heldtrue.claims").joinpath("stub_files")
    made: list[Path] = []
    for path, template in FILES.items():
        target = home / path.format(name=name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(templates.joinpath(template).read_text("utf-8").replace("NAME", name), "utf-8")
        made.append(target)
    return made
