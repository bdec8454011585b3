"""What the witness has cosigned: one file, replaced whole and synced before a signature leaves the process.

A witness without its record would sign a second history, so a missing file is an error and is never made by itself.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from heldtrue_verify.canonical import canonicalize, parse_object, text_in
from heldtrue_verify.verdicts import MalformedError, UnusableError


class Record:
    """The newest checkpoint by origin, as its log signed it; one process holds it at a time."""

    def __init__(self, path: Path) -> None:
        """Take the record; refuse one that is missing, damaged, or held by another process."""
        self._path = path.absolute()
        self._lock = _hold(self._path.with_name(self._path.name + ".lock"))
        try:
            self._notes = self._read()
        except UnusableError:
            self.close()
            raise

    def _read(self) -> dict[str, str]:
        path = self._path
        try:
            whole = parse_object(path.read_bytes())
            return {origin: text_in(whole, origin) for origin in whole}
        except FileNotFoundError as error:
            raise UnusableError(
                f"{path} is not there. A witness that lost its record must not sign under the same key: "
                "make a new key with `heldtrue-witness new`, and tell those who pinned the old one."
            ) from error
        except (OSError, MalformedError) as error:
            raise UnusableError(f"{path} cannot be used as a record: {error}") from error

    @staticmethod
    def create(path: Path) -> None:
        """Write an empty record where there is none."""
        if path.exists():
            raise UnusableError(f"{path} exists already; it is not overwritten.")
        _write(path.absolute(), b"{}")

    def newest(self, origin: str) -> str | None:
        """Give the newest checkpoint of *origin* that was cosigned."""
        return self._notes.get(origin)

    def put(self, origin: str, note: str) -> None:
        """Keep a checkpoint in place of the one before; when this returns, it survives a power cut."""
        notes = {**self._notes, origin: note}
        _write(self._path, canonicalize({**notes}))
        self._notes = notes

    def close(self) -> None:
        """Let another process take the record."""
        os.close(self._lock)


def _hold(path: Path) -> int:
    """Take the lock beside the record; it ends with the process, however that ends."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UnusableError(f"{path} cannot be made: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise UnusableError(f"Another witness holds {path.with_suffix('')}.") from error
    return lock


def _write(path: Path, data: bytes) -> None:
    """Write beside, sync, rename, sync the directory."""
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(draft).unlink()
            raise
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise UnusableError(f"The record cannot be written to {path}: {error.strerror}.") from error
