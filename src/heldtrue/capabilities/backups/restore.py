"""Restore a backup into an empty data directory. Nothing starts from a half: a marker lies there until the end.

Tiles and checkpoints are not in a backup: the sequencer makes tiles anew from the entries, and signs nothing before the
operator resumed the log with the last checkpoint that was published, or opened a new origin (docs/architecture.md,
"What commits when").
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec

from heldtrue.capabilities.backups import actions, dumps, files, model
from heldtrue.capabilities.backups.model import (
    BackupBrokenError,
    Manifest,
    NewerBackupError,
    NotEmptyError,
    Progress,
    RestoreFailedError,
    Step,
)
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import Opener
from heldtrue.db import migrate, roles
from heldtrue.db.binaries import Programs
from heldtrue.db.embedded import EmbeddedServer
from heldtrue.kernel.ids import Entropy
from heldtrue.kernel.secret import Secret

PutObject = Callable[[str, Iterable[bytes]], None]


@dataclass(frozen=True, slots=True)
class Database:
    """A database server of the operator's own to restore into; its database is empty."""

    admin: Secret[str]
    programs: Programs


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came back."""

    manifest: Manifest
    data_dir: Path
    recovered_size: int
    """Entries in the log; more may have been published after the backup was made."""


def restore(
    directory: Path,
    data_dir: Path,
    platform: PlatformKey,
    *,
    entropy: Entropy,
    keystore: Path | None = None,
    database: Database | None = None,
    put_object: PutObject | None = None,
    owner: tuple[int, int] | None = None,
    progress: Progress = model.silent,
) -> Restored:
    """Restore the backup in *directory* into the empty *data_dir*, after every byte of it was proven.

    *database*: a server of one's own; None starts the embedded one in *data_dir* (call from the main thread).
    *put_object* stores a large body elsewhere than in the data directory. *owner*: uid and gid of the service user,
    which bodies and log are given to.
    """
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise NotEmptyError(f"{data_dir} is not an empty directory", advice="Name a new data directory.")
    manifest = actions.verify(directory, platform, keystore=keystore, progress=progress)
    _judge_version(manifest)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
    files.write(data_dir, model.RESTORING, [manifest.id.encode()])
    backup = _Backup(directory, manifest, platform, keystore, progress)
    if database is None:
        with EmbeddedServer(data_dir) as server:
            _fill(backup, Database(server.start(), server.programs), entropy)
    else:
        if migrate.present(database.admin) != 0:
            raise NotEmptyError("the database is not empty", advice="Create a new one and name it in the DSN.")
        _fill(backup, database, entropy)
    for name in ("objects", "log"):
        (data_dir / name).mkdir(mode=0o700)
    backup.put_objects(put_object or local_objects(data_dir / "objects"))
    files.write(data_dir / "log", model.RESTORED, [json.dumps({"recovered_size": manifest.log.size}).encode()])
    for name in ("objects", "log"):
        if owner is not None:
            _give(owner, data_dir / name)
    files.write(data_dir, "instance.json", [manifest.identity.encode()])
    (data_dir / model.RESTORING).unlink()
    files.sync_directory(data_dir)
    return Restored(manifest=manifest, data_dir=data_dir, recovered_size=manifest.log.size)


def instance_of(directory: Path) -> UUID:
    """Return which instance the backup says to be of, so that its platform key can be found; unproven."""
    return UUID(hex=model.read_manifest(directory).instance_id)


def local_objects(root: Path) -> PutObject:
    """Return what stores bodies below *root* as the local object store lays them out."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(name: str, chunks: Iterable[bytes]) -> None:
        files.write(root, f"{name[:2]}/{name}", chunks)

    return put


def _judge_version(manifest: Manifest) -> None:
    known = len(migrate.shipped())
    if manifest.migration > known:
        raise NewerBackupError(
            f"the backup has schema {manifest.migration} (version {manifest.version}), this version knows {known}"
        )
    try:
        identity = msgspec.json.decode(manifest.identity, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise BackupBrokenError("the manifest carries no readable identity") from error
    if UUID(hex=str(identity.get("instance_id"))).hex != manifest.instance_id:
        raise BackupBrokenError("the manifest contradicts itself about whose backup it is")


def _fill(backup: _Backup, database: Database, entropy: Entropy) -> None:
    """Make the schema as it was, fill it, compare, and only then bring it up to date."""
    rows = backup.manifest.rows
    roles.establish(database.admin, entropy)
    migrate.migrate(database.admin, migrate.shipped()[: backup.manifest.migration])
    # The keystore first: the other schema's rows refer to its keys.
    for path, key in ((model.KEYSTORE, "keystore"), (model.DATABASE, "database")):
        dumps.load(database.admin, database.programs, backup.opened(path, key))
    found = dumps.counts(database.admin, rows)
    if wrong := sorted(name for name, count in rows.items() if found[name] != count):
        raise RestoreFailedError(f"these tables did not come back whole: {', '.join(wrong)}")
    migrate.migrate(database.admin)


@dataclass(frozen=True, slots=True)
class _Backup:
    """A proven backup and what opens it."""

    directory: Path
    manifest: Manifest
    platform: PlatformKey
    keystore: Path | None
    progress: Progress

    def opened(self, path: str, key: str) -> Iterator[bytes]:
        """Yield the plaintext of a sealed file."""
        file = next((file for file in self.manifest.files if file.path == path), None)
        if file is None:
            raise BackupBrokenError(f"the manifest names no {path}")
        place = model.context(UUID(hex=self.manifest.instance_id), self.manifest.id, path)
        opener = Opener(model.unwrapped(self.manifest, key, self.platform), place)
        done = 0
        for chunk in files.read(actions.place_of(self.directory, file, self.keystore), file):
            done += len(chunk)
            yield opener.update(chunk)
            self.progress(Step(path, done, file.size))
        yield opener.finish()

    def put_objects(self, put: PutObject) -> None:
        """Hand each large body to *put*."""
        prefix = f"{model.OBJECTS}/"
        found = [file for file in self.manifest.files if file.path.startswith(prefix)]
        for number, file in enumerate(found, 1):
            put(file.path.removeprefix(prefix), files.read(self.directory, file))
            self.progress(Step("objects", number, len(found)))


def _give(owner: tuple[int, int], root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        os.chown(path, *owner, follow_symlinks=False)
