"""The commands for an instance that does not run: a lost credential is replaced, a stopped log is checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import asked, run
from instance import Instance

pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]


def test_a_lost_operators_credential_is_replaced_and_the_old_one_dies(tmp_path: Path) -> None:
    instance = Instance(tmp_path, ("--no-claims",))
    try:
        instance.start()
        old = instance.operator_key()
        assert instance.stop() == 0
        run("renew-operator", "--save", tmp_path / "new", "--data-dir", instance.data)
        instance.start()
        assert instance.call("GET", "/v1/organisations", key=old).status == 401
        assert instance.call("GET", "/v1/organisations", key=(tmp_path / "new").read_text().strip()).status == 200
    finally:
        instance.stop()


def test_a_stopped_log_is_checked(tmp_path: Path) -> None:
    instance = Instance(tmp_path, ("--no-claims",))
    try:
        instance.start()
        instance.organisation("checked")
    finally:
        assert instance.stop() == 0
    (report,) = asked("log", "check", "--data-dir", instance.data)  # type: ignore[misc]
    assert report["published"] == report["size"] > 0
    newest = f"{report['size']}"
    tile = next(path for path in (instance.data / "log/tile/0").rglob(newest) if path.is_file())
    tile.write_bytes(bytes(len(tile.read_bytes())))
    assert "heldtrue:" in run("log", "check", "--data-dir", instance.data, status=1)
