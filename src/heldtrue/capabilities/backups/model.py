"""What a backup is: its manifest, its files, and how they are sealed and signed for. No database, no processes.

A backup is a directory:

    manifest.json     what follows, in clear, with an HMAC-SHA256 over it
    database.sealed   pg_dump of the schema `heldtrue`
    keystore.sealed   pg_dump of the schema `keystore`: keep it apart from the rest, and for less long
    objects/<name>    large bodies, as they lie in the object store: sealed already

Both dumps are sealed (docs/spec/sealing.md) each under a random key of its own, which the manifest carries wrapped
under the platform key. The manifest's HMAC key comes from the main one, so nobody without the platform key makes or
alters a backup; an Ed25519 signature would let others check what only that key's holder can use.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec

from heldtrue.crypto.canonical import canonicalize
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import Context, DataKey
from heldtrue.crypto.wrapping import UnwrapError
from heldtrue.kernel.errors import ConflictError, IntegrityError, SettingsError, UnavailableError
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret

FORMAT = "heldtrue-backup/1"
MANIFEST = "manifest.json"
DATABASE = "database.sealed"
KEYSTORE = "keystore.sealed"
OBJECTS = "objects"
RESTORED = "RESTORED"
"""Beside the tiles, read by the sequencer: it signs nothing until the operator decided how the log goes on."""
RESTORING = "RESTORING"
"""In a data directory while it is restored into; nothing starts from a half."""
_LABEL = b"heldtrue/backup-manifest/v1\0"


class BackupFailedError(UnavailableError):
    """The backup was not made, and what there was of it is removed; the message says why."""

    code = "backup-failed"


class BackupBrokenError(IntegrityError):
    """The backup is not as it was made; restore another one."""

    code = "backup-broken"


class ForeignBackupError(IntegrityError):
    """The backup does not open under this platform key; give the key file of the instance that made it."""

    code = "backup-foreign"


class KeystoreMissingError(IntegrityError):
    """The keystore's part of the backup is not there, and without it nothing opens; bring it from where it is kept."""

    code = "backup-keystore-missing"


class NotEmptyError(ConflictError):
    """A restore goes into an empty data directory only; name another."""

    code = "not-empty"


class RestoreFailedError(UnavailableError):
    """The restore did not come to its end; remove the data directory and begin again."""

    code = "restore-failed"


class NewerBackupError(SettingsError):
    """The backup was made by a newer version; restore it with that version or a later one."""

    code = "backup-newer"


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the backup: its path within, its size in bytes and the SHA-256 of these, in hex."""

    path: str
    size: int
    sha256: str


class WrappedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data key of the backup, AES-KWP under the platform key, in base64."""

    id: str
    wrapped: str


class LogState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log as the backup holds it, and the last checkpoint that was published before it was begun."""

    generation: int
    size: int
    checkpoint: str | None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a restore needs to know and to check."""

    format: str
    id: str
    made_at: str
    version: str
    instance_id: str
    identity: str
    """`instance.json` as it was."""
    origin: str
    migration: int
    rows: dict[str, int]
    log: LogState
    platform_key: str
    """Id of the platform key that wraps `keys`."""
    keys: dict[str, WrappedKey]
    files: list[File]
    mac: str = ""

    def signed_bytes(self) -> bytes:
        """Return what the HMAC covers: everything but itself, in canonical form."""
        return _LABEL + canonicalize(msgspec.to_builtins(msgspec.structs.replace(self, mac="")))


@dataclass(frozen=True, slots=True)
class Step:
    """How far a backup or a restore is."""

    name: str
    done: int
    total: int | None
    """None where it is not known before."""


Progress = Callable[[Step], None]


def silent(_: Step) -> None:
    """Show no progress."""


def context(instance: UUID, backup: str, file: str) -> Context:
    """Return the place that a sealed file of a backup is bound to."""
    return Context("", instance, "backup", file, backup, "backup")


def signed(manifest: Manifest, main: DataKey) -> Manifest:
    """Return *manifest* with its HMAC."""
    return msgspec.structs.replace(manifest, mac=_mac(manifest, main).hex())


def judge(manifest: Manifest, main: DataKey) -> None:
    """Return when the HMAC holds; raise `BackupBrokenError` otherwise."""
    if not hmac.compare_digest(_mac(manifest, main).hex(), manifest.mac):
        raise BackupBrokenError("the manifest was altered: its signature does not hold")


def _mac(manifest: Manifest, main: DataKey) -> bytes:
    key = hmac.digest(main.material.reveal(), _LABEL, hashlib.sha256)
    return hmac.digest(key, manifest.signed_bytes(), hashlib.sha256)


def wrapped(key: DataKey, platform: PlatformKey) -> WrappedKey:
    """Return *key* as the manifest carries it."""
    return WrappedKey(str(key.id), base64.b64encode(platform.wrap(key.material.reveal())).decode())


def unwrapped(manifest: Manifest, name: str, platform: PlatformKey) -> DataKey:
    """Return the data key *name* of the backup; raise `ForeignBackupError` under another platform key."""
    try:
        found = manifest.keys[name]
        return DataKey(CryptoKeyId.parse(found.id), Secret(platform.unwrap(base64.b64decode(found.wrapped))))
    except UnwrapError as error:
        raise ForeignBackupError(
            f"the backup is of instance {manifest.instance_id} and does not open under platform key {platform.id}",
            advice=f"Give the key file {manifest.instance_id}.key (key {manifest.platform_key}).",
        ) from error
    except (KeyError, ValueError) as error:
        raise BackupBrokenError("the manifest names no usable key") from error


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest as it lies in *directory*, unproven: `verify` proves it."""
    path = directory / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise BackupBrokenError(
            f"{directory} holds no manifest: it is no backup, or one that was cut short", advice="Use another backup."
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BackupBrokenError(f"{path} cannot be read as a manifest") from error
    if manifest.format != FORMAT:
        raise NewerBackupError(f"the backup has format {manifest.format!r}, this version reads {FORMAT!r}")
    return manifest
