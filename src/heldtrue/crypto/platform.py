"""The platform key, which wraps all others, behind a URI (today `file:`); its custody never shows in callers."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import UUID

from heldtrue.crypto.guarded import Guarded
from heldtrue.crypto.wrapping import KEY_SIZE, unwrap, wrap
from heldtrue.kernel.errors import BadInputError, SettingsError
from heldtrue.kernel.ids import CryptoKeyId, Entropy
from heldtrue.kernel.secret import Secret

HEADER = "heldtrue-platform-key v1"
_FILE = re.compile(
    re.escape(HEADER) + r"\ninstance (?P<instance>[0-9a-f-]{36})\nid (?P<id>\w+)\nkey (?P<key>[A-Za-z0-9+/]{43}=)\n"
)
_MAX_FILE = 1024
SCHEMES = ("file",)


class PlatformKey(Guarded):
    """AES-256 under which tenant and signing keys are wrapped."""

    __slots__ = ("_material", "id")

    def __init__(self, id: CryptoKeyId, material: Secret[bytes]) -> None:  # noqa: A002 - the name of the thing
        if len(material.reveal()) != KEY_SIZE:
            raise ValueError("a platform key has 32 bytes")
        self.id = id
        self._material = material

    def wrap(self, key: bytes) -> bytes:
        """Return *key* wrapped with AES-KWP."""
        return wrap(self._material.reveal(), key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the key in *wrapped*; raise `UnwrapError` where it was wrapped under another platform key."""
        return unwrap(self._material.reveal(), wrapped)

    def to_bytes(self) -> Secret[bytes]:
        """Return id and key, 48 bytes, to be handed to a child process through an inherited pipe and nowhere else."""
        return Secret(self.id.value.bytes + self._material.reveal())

    @classmethod
    def from_bytes(cls, handed: Secret[bytes]) -> Self:
        """Return the key that `to_bytes` made."""
        data = handed.reveal()
        return cls(CryptoKeyId(UUID(bytes=data[:16])), Secret(data[16:]))


def load(uri: str, instance_id: UUID, data_dir: Path) -> PlatformKey:
    """Return the platform key at *uri*; raise `SettingsError` unless it is this instance's, and kept safely."""
    path = _place(uri, data_dir)
    match = _FILE.fullmatch(_read(path))
    if match is None:
        raise SettingsError(
            f"{path} is not a platform key file: its first line should be {HEADER!r}",
            advice="Put back the file that was made at first start, unchanged; nothing opens without it.",
        )
    if match["instance"] != str(instance_id):
        raise SettingsError(
            f"{path} is the platform key of instance {match['instance']}, and this is instance {instance_id}",
            advice="Set platform_key to the file that is named after this instance.",
        )
    try:
        return PlatformKey(CryptoKeyId.parse(match["id"]), Secret(base64.b64decode(match["key"], validate=True)))
    except (BadInputError, binascii.Error, ValueError) as error:
        raise SettingsError(f"{path} is not a platform key file: it was altered", advice="Restore the file.") from error


def create(uri: str, instance_id: UUID, data_dir: Path, entropy: Entropy, now: datetime) -> PlatformKey:
    """Make the platform key of a new instance at *uri*, and return it once it is durable; never overwrite one."""
    path = _place(uri, data_dir)
    key = PlatformKey(CryptoKeyId.new(now, entropy), Secret(entropy(KEY_SIZE)))
    material = base64.b64encode(key.to_bytes().reveal()[16:]).decode()
    text = f"{HEADER}\ninstance {instance_id}\nid {key.id}\nkey {material}\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, text.encode())
    except FileExistsError as error:
        raise SettingsError(
            f"{path} exists already and is not overwritten: it may be the only key to another instance's data",
            advice="Set platform_key to a new path, or start with the data directory that the key belongs to.",
        ) from error
    except OSError as error:
        raise SettingsError(
            f"the platform key cannot be written to {path}: {error.strerror}",
            advice="Set platform_key to a path that this user may write, outside the data directory.",
        ) from error
    return load(uri, instance_id, data_dir)


def _place(uri: str, data_dir: Path) -> Path:
    """Return the path that *uri* names; refuse other schemes and anything inside the data directory."""
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in SCHEMES:
        raise SettingsError(
            f"platform_key has the scheme {scheme!r}, and this version has: {', '.join(SCHEMES)}",
            advice="Write platform_key as file:/etc/heldtrue/keys/<instance id>.key.",
        )
    path = Path(rest.removeprefix("//"))
    if not path.is_absolute():
        raise SettingsError(
            f"platform_key names the relative path {str(path)!r}",
            advice="Write an absolute path: file:/etc/heldtrue/keys/<instance id>.key.",
        )
    if path.resolve().is_relative_to(data_dir.resolve()):
        raise SettingsError(
            f"the platform key {path} lies inside the data directory, so that whoever copies one has both",
            advice=f"Move it out of {data_dir}, for instance to /etc/heldtrue/keys/, and set platform_key to it.",
        )
    return path


def _read(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsError(
            f"the platform key {path} cannot be read: {error.strerror}",
            advice="Put the key file back; without it nothing that is stored can be opened.",
        ) from error
    try:
        _judge(path, os.fstat(descriptor))
        return os.read(descriptor, _MAX_FILE).decode("ascii", "replace")
    finally:
        os.close(descriptor)


def _judge(path: Path, status: os.stat_result) -> None:
    """Refuse a key that anybody but this user (or root) can read or replace."""
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(f"the platform key {path} is not a regular file", advice="Point platform_key at a file.")
    if stat.S_IMODE(status.st_mode) & 0o177:
        raise SettingsError(
            f"the platform key {path} has mode {stat.S_IMODE(status.st_mode):04o}; it must be 0600",
            advice=f"Run: chmod 600 {path} — and if others could read it, treat it as known to them.",
        )
    if status.st_uid not in {os.geteuid(), 0}:
        raise SettingsError(
            f"the platform key {path} belongs to another user",
            advice=f"Run, as root: chown {os.geteuid()} {path}",
        )
    folder = path.resolve().parent.stat()
    if folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        raise SettingsError(
            f"others can replace the platform key: its directory {path.resolve().parent} is writable by them",
            advice=f"Run: chmod go-w {path.resolve().parent}",
        )


def _write_new(path: Path, data: bytes) -> None:
    """Write *data* durably to *path*, which must not exist; a crash leaves a whole file or none of that name."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)  # unlike a rename, this never replaces a key that is there
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
