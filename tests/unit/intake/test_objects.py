"""The local object store keeps what it committed and leaves nothing of what it did not."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heldtrue.capabilities.intake.objects import LocalObjects, ObjectMissingError
from heldtrue.kernel.errors import StorageFullError, UnavailableError

NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path)


def files(store_directory: Path) -> list[Path]:
    return [path for path in store_directory.rglob("*") if path.is_file()]


def test_a_committed_object_is_read_back_and_only_its_owner_may(store: LocalObjects, tmp_path: Path) -> None:
    writer = store.create(secrets.token_bytes)
    writer.write(b"a" * 300_000)
    writer.write(b"b")
    assert list(store.older_than(NOW + timedelta(days=1))) == []
    writer.commit()
    assert b"".join(store.read(writer.name)) == b"a" * 300_000 + b"b"
    [path] = files(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    store.delete(writer.name)
    store.delete(writer.name)
    with pytest.raises(ObjectMissingError):
        list(store.read(writer.name))


def test_an_aborted_object_leaves_nothing(store: LocalObjects, tmp_path: Path) -> None:
    writer = store.create(secrets.token_bytes)
    writer.write(b"a")
    writer.abort()
    writer.abort()
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 33, "0" * 31 + "/"])
def test_a_name_leads_nowhere_but_into_the_store(store: LocalObjects, name: str) -> None:
    with pytest.raises(ObjectMissingError):
        list(store.read(name))
    with pytest.raises(ObjectMissingError):
        store.delete(name)


def test_only_what_is_old_is_swept(store: LocalObjects, tmp_path: Path) -> None:
    old, young, left = (store.create(secrets.token_bytes) for _ in range(3))
    old.commit()
    young.commit()
    left.write(b"begun")
    yesterday = (NOW - timedelta(hours=25)).timestamp()
    os.utime(tmp_path / old.name[:2] / old.name, (yesterday, yesterday))
    assert list(store.older_than(NOW - timedelta(hours=24))) == [old.name]
    assert store.remove_unfinished(NOW - timedelta(hours=24)) == 0
    os.utime(tmp_path / "tmp" / left.name, (yesterday, yesterday))
    assert store.remove_unfinished(NOW - timedelta(hours=24)) == 1
    left.abort()


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of one mebibyte, when we may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("a small file system needs the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_named_and_leaves_nothing(small_disk: Path) -> None:
    store = LocalObjects(small_disk)
    kept = store.create(secrets.token_bytes)
    kept.write(b"k" * 100_000)
    kept.commit()
    writer = store.create(secrets.token_bytes)
    with pytest.raises(StorageFullError):
        writer.write(b"x" * 2_000_000)
    assert [path.name for path in files(small_disk)] == [kept.name]
    assert b"".join(store.read(kept.name)) == b"k" * 100_000


def test_a_file_size_limit_is_a_full_disk_too(tmp_path: Path) -> None:
    """The same without any right: the kernel refuses to let a file grow."""
    program = f"""
import resource, secrets, signal
from pathlib import Path
from heldtrue.capabilities.intake.objects import LocalObjects
from heldtrue.kernel.errors import StorageFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = LocalObjects(Path({str(tmp_path)!r})).create(secrets.token_bytes)
try:
    for _ in range(8): writer.write(b"x" * 65536)
except StorageFullError:
    print("full")
"""
    assert resource.RLIMIT_FSIZE is not None
    assert signal.SIGXFSZ is not None
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "full\n"
    assert files(tmp_path) == []


def test_a_store_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path / "objects")
    (tmp_path / "objects" / "tmp").rmdir()
    with pytest.raises(UnavailableError):
        store.create(secrets.token_bytes)
