"""The command line as a test types it: as a program of its own, or in this process."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from instance import HELDTRUE, Instance

from heldtrue.app.cli import commands
from heldtrue.app.cli import run as run_line


def run(*arguments: str | Path, status: int = 0) -> str:
    done = subprocess.run([HELDTRUE, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def asked(*arguments: str | Path) -> object:
    return json.loads(run(*arguments, "--json"))


@dataclass
class Line:
    """Who types."""

    instance: Instance
    capsys: pytest.CaptureFixture[str]
    key: Path | None = None

    def printed(self, status: int, *arguments: str | Path, errors: bool = False) -> str:
        """Run a command that exits with *status*; return what it printed, or what it said of *errors*."""
        words = [*map(str, arguments), "--data-dir", str(self.instance.data)]
        words += ["--credential-file", str(self.key)] if self.key is not None else []
        self.capsys.readouterr()
        code = run_line(commands([words[0]]), words)
        said = self.capsys.readouterr()
        assert code == status, (words, said.out + said.err)
        return said.err if errors else said.out

    def __call__(self, *arguments: str | Path) -> Any:
        """Run a command and return the JSON that it printed."""
        return json.loads(self.printed(0, *arguments, "--json"))

    def refused(self, status: int, why: str, *arguments: str | Path) -> None:
        """Run a command that is refused in one sentence that has *why* in it."""
        said = self.printed(status, *arguments, errors=True)
        assert said.startswith("heldtrue: ")
        assert why in said


def written(path: Path, text: str, mode: int = 0o644) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path
