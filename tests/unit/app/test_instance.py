"""The data directory: who may use it, who else runs on it, what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from heldtrue.app import instance
from heldtrue.app.instance import AlreadyRunningError, Identity, Lock
from heldtrue.kernel.errors import SettingsError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def kept(folder: Path) -> Identity:
    data = instance.prepare(folder, None)
    identity = instance.draft(None, NOON, os.urandom)
    instance.keep(data, identity)
    return identity


def test_a_data_directory_is_private(tmp_path: Path) -> None:
    data = instance.prepare(tmp_path / "data", None)
    assert data.root.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in data.root.iterdir()} == {"objects", "log", "run", "tls"}


def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("dear")
    with pytest.raises(SettingsError, match="not empty"):
        instance.prepare(tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_an_identity_is_kept_and_found(tmp_path: Path) -> None:
    identity = kept(tmp_path)
    assert instance.load(instance.prepare(tmp_path, None)) == identity
    assert identity.origin == f"localhost/{identity.instance_id}"


def test_no_identity_before_the_first_start(tmp_path: Path) -> None:
    assert instance.load(instance.prepare(tmp_path, None)) is None


def test_a_newer_layout_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    kept(tmp_path)
    file = tmp_path / "instance.json"
    newer = {**msgspec.json.decode(file.read_bytes()), "version": instance.VERSION + 1, "news": True}
    file.write_bytes(msgspec.json.encode(newer))
    before = file.read_bytes()
    with pytest.raises(SettingsError, match="newer Heldtrue"):
        instance.load(instance.prepare(tmp_path, None))
    assert file.read_bytes() == before


def test_an_older_layout_is_brought_up_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "VERSION", 3)
    monkeypatch.setattr(
        instance,
        "STEPS",
        {1: lambda raw: {**raw, "version": 2, "seen": [1]}, 2: lambda raw: {**raw, "version": 3, "seen": [1, 2]}},
    )
    assert instance.migrated({"version": 1}) == {"version": 3, "seen": [1, 2]}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 1}', '{"version": "1"}'])
def test_a_damaged_identity_is_an_error_not_a_new_instance(tmp_path: Path, text: str) -> None:
    kept(tmp_path)
    (tmp_path / "instance.json").write_text(text)
    with pytest.raises(SettingsError, match="damaged"):
        instance.load(instance.prepare(tmp_path, None))


def test_the_origin_is_fixed_at_first_start(tmp_path: Path) -> None:
    identity = kept(tmp_path)
    assert instance.settle_origin(identity, None) == identity.origin
    assert instance.settle_origin(identity, identity.origin) == identity.origin
    with pytest.raises(SettingsError, match="since the first start"):
        instance.settle_origin(identity, "log.example.com")


def test_a_second_copy_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    data = instance.prepare(tmp_path, None)
    assert instance.holder(data) is None
    lock = Lock(data)
    second = f"""
from pathlib import Path
from heldtrue.app import instance
try:
    instance.Lock(instance.DataDir(Path({str(tmp_path)!r})))
except instance.AlreadyRunningError as error:
    print(error.message)
"""
    said = subprocess.run([sys.executable, "-c", second], capture_output=True, text=True, check=True).stdout
    assert f"process {os.getpid()}," in said
    assert instance.holder(data) == os.getpid()
    lock.release()
    assert instance.holder(data) is None
    Lock(data).release()


def test_the_same_process_is_a_second_copy_too(tmp_path: Path) -> None:
    data = instance.prepare(tmp_path, None)
    lock = Lock(data)
    with pytest.raises(AlreadyRunningError):
        Lock(data)
    lock.release()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    instance.write_durably(path, b"one", 0o600)
    instance.write_durably(path, b"two", 0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".x.new").symlink_to(victim)
    instance.write_durably(tmp_path / "x", b"one", 0o600)
    assert victim.read_text() == "mine"
