"""The files of a backup: written durably, read back hashed."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from heldtrue.capabilities.backups.model import BackupBrokenError, File
from heldtrue.kernel.errors import StorageFullError

CHUNK = 1 << 20


def write(root: Path, path: str, chunks: Iterable[bytes]) -> File:
    """Write *chunks* to a new file *path* below *root*, 0600 and fsynced, and return what it is."""
    digest, size = hashlib.sha256(), 0
    target = root / path
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StorageFullError(f"there is no room for {target}; free space, or name another place") from error
        raise
    sync_directory(target.parent)
    return File(path, size, digest.hexdigest())


def read(root: Path, file: File) -> Iterator[bytes]:
    """Yield the bytes of *file*; raise `BackupBrokenError` at its end where they are not those that were written."""
    digest, size = hashlib.sha256(), 0
    path = inside(root, file.path)
    try:
        with path.open("rb") as source:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                yield chunk
    except FileNotFoundError as error:
        raise BackupBrokenError(f"{file.path} is missing from the backup") from error
    if size != file.size:
        raise BackupBrokenError(f"{file.path} has {size} bytes of {file.size}: the backup was cut short or altered")
    if digest.hexdigest() != file.sha256:
        raise BackupBrokenError(f"{file.path} was altered: its SHA-256 is not the one in the manifest")


def inside(root: Path, path: str) -> Path:
    """Return *path* below *root*; raise for one that would lead out of it."""
    parts = Path(path).parts
    if not parts or Path(path).is_absolute() or ".." in parts:
        raise BackupBrokenError(f"the manifest names {path[:80]!r}, which is no path within a backup")
    return root.joinpath(*parts)


def sync_directory(path: Path) -> None:
    """Make the names in *path* durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
