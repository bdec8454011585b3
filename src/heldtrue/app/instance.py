"""The instance on disk: its identity, its directories, and the lock that keeps a second copy out."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import msgspec
import orjson

from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.ids import Entropy, uuid7

VERSION = 1
"""Of `instance.json`; older files are migrated at start, newer ones refused."""

STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a version of `instance.json` to the next; there has been one version so far."""

RESTORING = "RESTORING"
"""Lies in a data directory while a restore fills it (see `heldtrue.capabilities.backups`)."""

SERVICE_DIRS = ("objects", "log", "run")
"""Directories of the data directory that belong to the service user."""


class AlreadyRunningError(SettingsError):
    """Another copy runs on this data directory; stop it, or choose another directory."""

    code = "already-running"


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is fixed at first start."""

    version: int
    instance_id: str
    origin: str
    created: str

    @property
    def uuid(self) -> UUID:
        """The instance id."""
        return UUID(hex=self.instance_id)


@dataclass(frozen=True, slots=True)
class DataDir:
    """The layout of a data directory."""

    root: Path

    @property
    def identity(self) -> Path:
        """`instance.json`."""
        return self.root / "instance.json"

    @property
    def lock(self) -> Path:
        """The lock file; it holds the pid of the copy that runs."""
        return self.root / "lock"

    @property
    def config(self) -> Path:
        """The settings file that is read when no other is named."""
        return self.root / "heldtrue.toml"

    @property
    def objects(self) -> Path:
        """Large sealed bodies."""
        return self.root / "objects"

    @property
    def log(self) -> Path:
        """Tiles and checkpoint."""
        return self.root / "log"

    @property
    def tls(self) -> Path:
        """The local authority and its certificate."""
        return self.root / "tls"

    @property
    def run(self) -> Path:
        """What lives only while the instance runs."""
        return self.root / "run"

    @property
    def clock(self) -> Path:
        """The latest time that the instance told."""
        return self.root / "clock"

    @property
    def places(self) -> Path:
        """Where platform key and database were at the last start, as URIs; for commands that are not told."""
        return self.root / "places.json"

    @property
    def serving(self) -> Path:
        """Address and pid while the instance serves, for commands on this machine."""
        return self.root / "serving.json"

    @property
    def pin(self) -> Path:
        """The log's verifier key, to be published; nothing secret."""
        return self.root / "log.pin"


def default_data_dir() -> Path:
    """Return `/var/lib/heldtrue` for root, else `~/.local/share/heldtrue`."""
    if os.geteuid() == 0:
        return Path("/var/lib/heldtrue")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "heldtrue"


def default_key_dir() -> Path:
    """Return where platform keys live unless a setting says otherwise: outside every data directory."""
    if os.geteuid() == 0:
        return Path("/etc/heldtrue/keys")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "heldtrue/keys"


def prepare(path: Path, service: tuple[int, int] | None) -> DataDir:
    """Make the data directory with tight modes; *service* is the uid and gid that its service directories go to.

    Started as root the directory can be crossed (0711) but not listed, and each part belongs to its own user;
    otherwise it is 0700.
    """
    data = DataDir(path.expanduser().absolute())
    try:
        data.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (data.root / RESTORING).exists():
            raise SettingsError(
                f"a restore into {data.root} did not come to its end", advice="Remove the directory and restore again."
            )
        found = data.root.stat()
        if found.st_uid != os.geteuid():
            raise SettingsError(
                f"{data.root} belongs to uid {found.st_uid}, not to you",
                advice="Start as that user, or choose another --data-dir.",
            )
        if not data.identity.exists() and _foreign(data.root):
            raise SettingsError(
                f"{data.root} is not empty and not a Heldtrue data directory", advice="Choose an empty --data-dir."
            )
        data.root.chmod(0o711 if service else 0o700)
        for name in SERVICE_DIRS:
            part = data.root / name
            part.mkdir(mode=0o700, exist_ok=True)
            if service:
                os.chown(part, *service)
            part.chmod(0o700)
        data.tls.mkdir(mode=0o755, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the data directory {data.root} cannot be used: {error.strerror}", advice="Choose another --data-dir."
        ) from error
    return data


class Lock:
    """The hold on a data directory; it ends with the process, however that ends."""

    def __init__(self, data: DataDir) -> None:
        descriptor = os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise AlreadyRunningError(
                f"another copy, process {holder}, runs on {data.root}", advice="Stop it, or choose another --data-dir."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next copy in."""
        os.close(self._descriptor)


def holder(data: DataDir) -> int | None:
    """Return the pid of the copy that runs on *data*, or None."""
    try:
        descriptor = os.open(data.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


def load(data: DataDir) -> Identity | None:
    """Return the identity of *data*, or None before its first start; refuse one written by a newer Heldtrue."""
    try:
        raw = cast("dict[str, Any]", orjson.loads(data.identity.read_bytes()))
        version = raw.get("version") if isinstance(raw, dict) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        if isinstance(version, int) and version > VERSION:
            raise SettingsError(
                f"{data.root} was written by a newer Heldtrue (layout {version}, this one knows {VERSION})",
                advice="Start that version or a later one.",
            )
        return msgspec.convert(migrated(raw), Identity)
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, msgspec.ValidationError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{data.identity} is damaged: {error}", advice="Restore it from a backup; it is not secret."
        ) from error


def migrated(raw: dict[str, Any]) -> dict[str, Any]:
    """Return *raw* in the present version's form, one step a version."""
    while raw["version"] < VERSION:
        raw = STEPS[raw["version"]](raw)
    return raw


def draft(origin: str | None, now: datetime, entropy: Entropy) -> Identity:
    """Return a new identity, which is nobody's until it is kept."""
    instance_id = uuid7(now, entropy).hex
    created = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Identity(VERSION, instance_id, origin or f"localhost/{instance_id}", created)


def keep(data: DataDir, identity: Identity) -> None:
    """Write *identity* durably: from now on this data directory is an instance."""
    write_durably(data.identity, msgspec.json.format(msgspec.json.encode(identity)) + b"\n", 0o644)


def settle_origin(identity: Identity, asked: str | None) -> str:
    """Return the origin; refuse a setting that differs from what was fixed at first start."""
    if asked is not None and asked != identity.origin:
        raise SettingsError(
            f"origin is {identity.origin!r} since the first start and cannot become {asked!r}",
            advice="Remove the setting; `heldtrue log succeed` opens a new origin when the old one is lost.",
        )
    return identity.origin


def write_durably(path: Path, content: bytes, mode: int) -> None:
    """Write *content* to *path* with *mode* so that a crash leaves the old file or the new one, never half of one."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def is_private(path: Path) -> bool:
    """Return whether nobody but the owner may read *path*."""
    return not stat.S_IMODE(path.stat().st_mode) & 0o077


def _foreign(root: Path) -> bool:
    ours = {"lock", "heldtrue.toml", "clock", "pg", "tls", "lost+found", *SERVICE_DIRS}
    return any(entry.name not in ours and not entry.name.startswith(".") for entry in root.iterdir())


def noted(data: DataDir) -> dict[str, str]:
    """Return what the running instance wrote down of itself; nothing when there is none."""
    try:
        return cast("dict[str, str]", orjson.loads(data.serving.read_bytes()))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
