"""The platform key file: made durably, read only when it is this instance's and nobody else can see or replace it."""

from __future__ import annotations

import os
import re
import secrets
import stat
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from heldtrue.crypto.platform import PlatformKey, create, load
from heldtrue.crypto.wrapping import UnwrapError
from heldtrue.kernel.errors import SettingsError

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Instance:
    """A data directory, and a key path beside it."""

    def __init__(self, folder: Path) -> None:
        self.id: UUID = uuid4()
        self.data = folder / "data"
        self.data.mkdir()
        self.path = folder / "keys" / f"{self.id}.key"
        self.uri = f"file:{self.path}"

    def create(self, uri: str | None = None) -> PlatformKey:
        return create(self.uri if uri is None else uri, self.id, self.data, secrets.token_bytes, NOW)

    def load(self, uri: str | None = None) -> PlatformKey:
        return load(self.uri if uri is None else uri, self.id, self.data)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def test_a_key_made_is_the_key_loaded(instance: Instance) -> None:
    made, loaded = instance.create(), instance.load()
    assert made.id == loaded.id
    assert loaded.unwrap(made.wrap(b"k" * 32)) == b"k" * 32
    assert instance.load(f"file://{instance.path}").id == made.id


@pytest.mark.parametrize("umask", [0, 0o022, 0o277])
def test_the_file_is_for_its_owner_alone_whatever_the_umask(instance: Instance, umask: int) -> None:
    instance.path.parent.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        instance.create()
    finally:
        os.umask(before)
    assert stat.S_IMODE(instance.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(instance.path.parent.stat().st_mode) == 0o700
    assert list(instance.path.parent.iterdir()) == [instance.path]


def test_the_file_says_what_it_is(instance: Instance) -> None:
    key = instance.create()
    lines = instance.path.read_text().splitlines()
    assert lines[:3] == ["heldtrue-platform-key v1", f"instance {instance.id}", f"id {key.id}"]


def test_a_key_is_never_overwritten(instance: Instance) -> None:
    instance.create()
    before = instance.path.read_bytes()
    with pytest.raises(SettingsError, match="exists already"):
        instance.create()
    assert instance.path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o700, 0o601])
def test_a_key_that_others_can_read_is_refused(instance: Instance, mode: int) -> None:
    instance.create()
    instance.path.chmod(mode)
    with pytest.raises(SettingsError, match="0600") as caught:
        instance.load()
    assert "chmod 600" in caught.value.advice


def test_a_key_that_others_can_replace_is_refused(instance: Instance) -> None:
    instance.create()
    instance.path.parent.chmod(0o777)
    with pytest.raises(SettingsError, match="replace"):
        instance.load()
    instance.path.parent.chmod(0o1777)
    instance.load()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_key_of_another_user_is_refused(instance: Instance) -> None:
    instance.create()
    os.chown(instance.path, 12345, 12345)
    with pytest.raises(SettingsError, match="another user"):
        instance.load()


def test_a_key_inside_the_data_directory_is_refused_before_anything_is_written(instance: Instance) -> None:
    inside = f"file:{instance.data}/keys/a.key"
    for uri in (inside, f"file:{instance.data}/../data/a.key"):
        with pytest.raises(SettingsError, match="inside the data directory"):
            instance.create(uri)
    assert list(instance.data.iterdir()) == []


def test_a_link_into_the_data_directory_is_seen_through(instance: Instance, tmp_path: Path) -> None:
    instance.create()
    hidden = instance.data / "hidden.key"
    instance.path.rename(hidden)
    instance.path.symlink_to(hidden)
    with pytest.raises(SettingsError, match="inside the data directory"):
        instance.load()
    (tmp_path / "door").symlink_to(instance.data)
    with pytest.raises(SettingsError, match="inside the data directory"):
        instance.load(f"file:{tmp_path}/door/hidden.key")


def test_another_instances_key_is_refused_by_name(instance: Instance) -> None:
    instance.create()
    mine, instance.id = instance.id, uuid4()
    with pytest.raises(SettingsError, match=str(mine)):
        instance.load()


@pytest.mark.parametrize("uri", ["awskms:alias/x", "openbao:transit/x", "/etc/key", "", "FILE:/etc/key", "env:KEY"])
def test_an_unknown_scheme_says_which_exist(instance: Instance, uri: str) -> None:
    with pytest.raises(SettingsError, match=re.escape("this version has: file")) as caught:
        instance.load(uri)
    assert "file:/" in caught.value.advice


def test_a_relative_path_is_refused(instance: Instance) -> None:
    for uri in ("file:key", "file://key", "file:"):
        with pytest.raises(SettingsError, match="relative"):
            instance.load(uri)


def test_a_missing_key_says_so(instance: Instance) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        instance.load()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "\n",
        lambda text: text.replace("v1", "v2"),
        lambda text: text.replace("ck_", "key_"),
        lambda text: text.replace("\nkey ", "\nkey A"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\xff" * 2000,
    ],
)
def test_an_altered_file_is_refused_and_its_key_is_not_in_the_message(instance: Instance, change: object) -> None:
    instance.create()
    text = instance.path.read_text()
    material = text.splitlines()[3].removeprefix("key ")
    instance.path.write_text(change(text))  # type: ignore[operator]
    with pytest.raises(SettingsError, match="not a platform key file") as caught:
        instance.load()
    assert material not in str(caught.value) + caught.value.advice


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_what_is_no_file_is_refused_without_waiting_for_it(instance: Instance, kind: str) -> None:
    instance.path.parent.mkdir()
    if kind == "directory":
        instance.path.mkdir()
    else:
        os.mkfifo(instance.path, 0o600)
    with pytest.raises(SettingsError, match="not a regular file"):
        instance.load()


def test_a_crash_while_writing_leaves_no_key_of_that_name(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", crash)
        with pytest.raises(SettingsError, match="No space left"):
            instance.create()
    assert not instance.path.exists()
    instance.create()


def test_a_key_travels_to_a_child_process_as_a_secret(instance: Instance) -> None:
    key = instance.create()
    handed = key.to_bytes()
    assert "secret" in repr(handed)
    again = PlatformKey.from_bytes(handed)
    assert again.id == key.id
    assert again.unwrap(key.wrap(b"k" * 32)) == b"k" * 32


def test_another_platform_key_unwraps_nothing(instance: Instance, tmp_path: Path) -> None:
    wrapped = instance.create().wrap(b"k" * 32)
    (tmp_path / "b").mkdir()
    with pytest.raises(UnwrapError):
        Instance(tmp_path / "b").create().unwrap(wrapped)
    for broken in (b"", wrapped[:-1], wrapped[:-8], wrapped + bytes(8), bytes(40)):
        with pytest.raises(UnwrapError):
            instance.load().unwrap(broken)
