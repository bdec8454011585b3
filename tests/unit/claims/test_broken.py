"""Controls are broken in scratch processes only, and put back afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heldtrue.attack import AttackHinderedError
from heldtrue.claims import broken
from heldtrue.claims.broken.permit import nothing_before
from heldtrue.db import dsn
from heldtrue.kernel.errors import SettingsError

CLEAR = "host=db.example dbname=x user=y sslmode=disable"


def scratch(tmp_path: Path) -> Path:
    directory = tmp_path / f"{broken.PREFIX}test"
    directory.mkdir()
    return directory


def test_a_live_directory_gets_no_permit(tmp_path: Path) -> None:
    with pytest.raises(broken.NotScratchError):
        broken.permit(tmp_path)
    directory = scratch(tmp_path)
    (directory / "instance.json").write_text("{}")
    with pytest.raises(broken.NotScratchError):
        broken.permit(directory)


def test_a_permit_holds_in_no_other_process(tmp_path: Path) -> None:
    foreign = broken.Permit(scratch(tmp_path), os.getpid() + 1)
    for control in broken.CONTROLS.values():
        if control.before is not nothing_before:
            with pytest.raises(broken.NotScratchError), control.before(foreign):
                raise AssertionError("it was broken")


def test_what_was_broken_is_whole_again_afterwards(tmp_path: Path) -> None:
    with broken.CONTROLS["any-dsn"].before(broken.permit(scratch(tmp_path))):
        dsn.admitted(CLEAR)
    with pytest.raises(SettingsError):
        dsn.admitted(CLEAR)


def test_a_control_that_is_not_where_it_was_hinders_rather_than_passes(tmp_path: Path) -> None:
    given = broken.permit(scratch(tmp_path))
    with pytest.raises(AttackHinderedError), broken.replaced(given, ("heldtrue.db.dsn:gone", None)):
        raise AssertionError("nothing was there to break")
