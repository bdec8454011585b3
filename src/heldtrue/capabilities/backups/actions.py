"""Make a backup, and prove one. What a crash leaves: a directory without a manifest, which is no backup."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from heldtrue.capabilities.backups import dumps, files, model
from heldtrue.capabilities.backups.model import (
    BackupFailedError,
    File,
    KeystoreMissingError,
    LogState,
    Manifest,
    NotEmptyError,
    Progress,
    Step,
)
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import Context, DataKey, Sealer
from heldtrue.db.binaries import Programs
from heldtrue.kernel.errors import IntegrityError
from heldtrue.kernel.ids import Entropy, uuid7
from heldtrue.kernel.secret import Secret

ReadObject = Callable[[str], Iterable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The instance that is backed up; it may run meanwhile."""

    admin: Secret[str]
    """DSN of a role that sees every row."""
    programs: Programs
    read_object: ReadObject
    """Yields a large body by name; raises an `IntegrityError` when there is none."""
    identity: Path
    """`instance.json`."""
    log_dir: Path
    platform: PlatformKey
    instance_id: UUID
    origin: str
    version: str


def backup(source: Source, to: Path, *, now: datetime, entropy: Entropy, progress: Progress = model.silent) -> Manifest:
    """Write a backup of *source* to the new or empty directory *to* and return its manifest."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise NotEmptyError(f"{to} is not an empty directory", advice="Name a new directory for each backup.")
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _written(source, to, now, entropy, progress)
    except BaseException:
        for path in to.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


def _written(source: Source, to: Path, now: datetime, entropy: Entropy, progress: Progress) -> Manifest:
    name = uuid7(now, entropy).hex
    keys = {part: DataKey.generate(entropy, now) for part in ("database", "keystore")}
    # Read before the snapshot is taken: what was published by then is in the database, or the log is broken.
    published = source.log_dir / "checkpoint"
    checkpoint = published.read_text() if published.exists() else None
    with dumps.snapshot(source.admin) as moment:
        parts: list[File] = []
        for path, schema, key in (
            (model.DATABASE, "heldtrue", keys["database"]),
            (model.KEYSTORE, "keystore", keys["keystore"]),
        ):
            chunks = dumps.dump(source.admin, source.programs, schema, moment)
            place = model.context(source.instance_id, name, path)
            parts.append(files.write(to, path, _sealed(key, place, _counted(path, chunks, progress))))
        parts.extend(_objects(source, to, moment.objects, progress))
    manifest = model.signed(
        Manifest(
            format=model.FORMAT,
            id=name,
            made_at=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            version=source.version,
            instance_id=source.instance_id.hex,
            identity=source.identity.read_text(),
            origin=source.origin,
            migration=moment.migration,
            rows=moment.rows,
            log=LogState(moment.generation, moment.log_size, checkpoint),
            platform_key=str(source.platform.id),
            keys={part: model.wrapped(key, source.platform) for part, key in keys.items()},
            files=parts,
        ),
        keys["database"],
    )
    encoded = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
    files.write(to, model.MANIFEST + ".draft", [encoded])
    (to / (model.MANIFEST + ".draft")).rename(to / model.MANIFEST)
    files.sync_directory(to)
    return manifest


def _objects(source: Source, to: Path, names: list[str], progress: Progress) -> Iterator[File]:
    for number, name in enumerate(names, 1):
        try:
            yield files.write(to, f"{model.OBJECTS}/{name}", source.read_object(name))
        except IntegrityError as error:
            if dumps.still_named(source.admin, name):
                raise BackupFailedError(f"the object {name} is named in the database and cannot be read") from error
            (to / model.OBJECTS / name).unlink(missing_ok=True)  # erased since the snapshot, as it should be
        progress(Step("objects", number, len(names)))


def _sealed(key: DataKey, place: Context, chunks: Iterable[bytes]) -> Iterator[bytes]:
    sealer = Sealer(key, place)
    yield sealer.start()
    for chunk in chunks:
        yield sealer.update(chunk)
    yield sealer.finish()


def _counted(name: str, chunks: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        done += len(chunk)
        yield chunk
        progress(Step(name, done, None))


def verify(
    directory: Path, platform: PlatformKey, *, keystore: Path | None = None, progress: Progress = model.silent
) -> Manifest:
    """Prove the backup in *directory*, every byte of it, and return its manifest.

    *keystore*: where `keystore.sealed` lies when it is kept apart. Raises `BackupBrokenError`, `ForeignBackupError`,
    `KeystoreMissingError`.
    """
    manifest = model.read_manifest(directory)
    model.judge(manifest, model.unwrapped(manifest, "database", platform))
    model.unwrapped(manifest, "keystore", platform)
    total, done = sum(file.size for file in manifest.files), 0
    for file in manifest.files:
        for chunk in files.read(place_of(directory, file, keystore), file):
            done += len(chunk)
            progress(Step("verify", done, total))
    return manifest


def place_of(directory: Path, file: File, keystore: Path | None) -> Path:
    """Return the directory that *file* lies in; raise `KeystoreMissingError` where the keystore's part is not there."""
    if file.path != model.KEYSTORE:
        return directory
    place = keystore.parent if keystore is not None else directory
    if not (place / model.KEYSTORE).exists():
        raise KeystoreMissingError(
            f"{place / model.KEYSTORE} is not there",
            advice="Put keystore.sealed of this backup back, or name where it is kept.",
        )
    return place
