"""Keep large sealed bodies: a small protocol, and a local directory that fulfils it.

A crash in the middle leaves a temporary file or an object without a row; `intake.sweep` removes both after 24 hours.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from heldtrue.kernel.errors import IntegrityError, StorageFullError, UnavailableError
from heldtrue.kernel.ids import Entropy

READ_SIZE = 256 * 1024
_NAME = re.compile(r"[0-9a-f]{32}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ObjectMissingError(IntegrityError):
    """The database names an object that the store does not hold; restore the store from a backup."""

    code = "object-missing"


class ObjectWriter(Protocol):
    """An object on its way into the store; it exists for readers only after `commit`."""

    @property
    def name(self) -> str:
        """The name it will have."""
        ...

    def write(self, data: bytes) -> None:
        """Append *data*; raise `StorageFullError` or `UnavailableError`, and then nothing is left behind."""
        ...

    def commit(self) -> None:
        """Make the object durable, then visible; on return a power failure no longer loses it."""
        ...

    def abort(self) -> None:
        """Remove what was written; may be called at any time before `commit`, and twice."""
        ...


class ObjectStore(Protocol):
    """Somewhere that keeps sealed bytes by name. All calls block; run them in a worker thread."""

    def create(self, entropy: Entropy) -> ObjectWriter:
        """Return a writer for a new object with a random name."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of an object; raise `ObjectMissingError` when there is none."""
        ...

    def delete(self, name: str) -> None:
        """Remove the object, durably; one that is gone already is no error."""
        ...

    def older_than(self, moment: datetime) -> Iterator[str]:
        """Yield the names of objects that were committed before *moment*."""
        ...

    def remove_unfinished(self, moment: datetime) -> int:
        """Remove what writers left behind that were last active before *moment*; return how many."""
        ...


def new_name(entropy: Entropy) -> str:
    """Return a random object name; it says nothing of tenant or payload."""
    return entropy(16).hex()


def check_name(name: str) -> str:
    """Return *name* when it is one of ours; a foreign one could lead out of the store."""
    if not _NAME.fullmatch(name):
        raise ObjectMissingError(f"{name[:80]!r} is no name of an object")
    return name


class LocalObjects:
    """A directory: `tmp/<name>` while it is written, then `<first two digits>/<name>`."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        self._tmp = directory / "tmp"
        self._tmp.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self, entropy: Entropy) -> LocalWriter:
        """Return a writer for a new file, readable by nobody else."""
        name = new_name(entropy)
        return LocalWriter(name, self._tmp / name, self._path(name))

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the file's bytes."""
        try:
            file = self._path(name).open("rb")
        except FileNotFoundError as error:
            raise ObjectMissingError(f"object {name} is not in the store") from error
        with file:
            while chunk := file.read(READ_SIZE):
                yield chunk

    def delete(self, name: str) -> None:
        """Unlink the file and fsync its directory."""
        path = self._path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        _fsync_directory(path.parent)

    def older_than(self, moment: datetime) -> Iterator[str]:
        """Yield names by modification time."""
        for shard in sorted(self._root.glob("[0-9a-f][0-9a-f]")):
            for path in shard.iterdir():
                if _NAME.fullmatch(path.name) and _modified(path) < moment:
                    yield path.name

    def remove_unfinished(self, moment: datetime) -> int:
        """Unlink temporary files that were last written before *moment*."""
        stale = [path for path in self._tmp.iterdir() if _modified(path) < moment]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)

    def _path(self, name: str) -> Path:
        return self._root / check_name(name)[:2] / name


class LocalWriter:
    """A file that becomes an object: write, fsync, rename, fsync the directories."""

    def __init__(self, name: str, temporary: Path, final: Path) -> None:
        self._name = name
        self._temporary = temporary
        self._final = final
        self._file: BinaryIO | None = None
        with self._storage():
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "wb", buffering=0)

    @property
    def name(self) -> str:
        """The object's name."""
        return self._name

    def write(self, data: bytes) -> None:
        """Append *data*."""
        with self._storage():
            view = memoryview(data)
            while view:
                view = view[self._open().write(view) or 0 :]

    def commit(self) -> None:
        """Fsync, rename, and fsync the directory; a crash before the last step leaves an orphan at most."""
        with self._storage():
            file = self._open()
            os.fsync(file.fileno())
            file.close()
            self._file = None
            shard = self._final.parent
            if not shard.exists():
                shard.mkdir(mode=0o700, exist_ok=True)
                _fsync_directory(shard.parent)
            self._temporary.rename(self._final)
            _fsync_directory(shard)

    def abort(self) -> None:
        """Close and unlink the temporary file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._temporary.unlink(missing_ok=True)

    def _open(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("the writer is closed")
        return self._file

    @contextmanager
    def _storage(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            self.abort()
            if error.errno in _FULL:
                raise StorageFullError from error
            raise UnavailableError(f"the object store cannot be written: {error.strerror}") from error


def _fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:  # another process removed or renamed it meanwhile: it is not stale
        return datetime.max.replace(tzinfo=UTC)
