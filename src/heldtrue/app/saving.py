"""What backups and restores need of an instance, whether it serves or not."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from psycopg.conninfo import make_conninfo

from heldtrue.app import boot, instance, maintenance
from heldtrue.app.accounts import service_account
from heldtrue.app.instance import DataDir
from heldtrue.app.reach import reachable
from heldtrue.app.secret_uri import resolve_secret
from heldtrue.app.services import object_store
from heldtrue.app.settings import Settings
from heldtrue.app.version import RELEASE
from heldtrue.capabilities.backups import actions, restore
from heldtrue.capabilities.backups.actions import Source
from heldtrue.capabilities.backups.model import Manifest, Progress
from heldtrue.capabilities.backups.restore import Restored
from heldtrue.crypto import platform
from heldtrue.db import binaries, dsn
from heldtrue.db.embedded import DATABASE, SUPERUSER
from heldtrue.kernel.errors import SettingsError, UnavailableError
from heldtrue.kernel.secret import Secret


def save(path: Path, to: Path, config: Path | None, progress: Progress) -> Manifest:
    """Back the instance in *path* up to the new directory *to*; it may serve meanwhile."""
    data = DataDir(path.expanduser().absolute())
    with _source(data, config) as source:
        return actions.backup(source, to, now=datetime.now(UTC), entropy=secrets.token_bytes, progress=progress)


def bring_back(
    directory: Path,
    path: Path,
    *,
    platform_key: str | None,
    keystore: Path | None,
    database: str | None,
    service_user: str,
    progress: Progress,
) -> Restored:
    """Restore the backup in *directory* into the new data directory *path*."""
    data = DataDir(path.expanduser().absolute())
    instance_id = restore.instance_of(directory)
    uri = platform_key or f"file:{instance.default_key_dir() / instance_id.hex}.key"
    key = platform.load(uri, instance_id, data.root)
    account = service_account(service_user)
    data.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = None
    if database is not None:
        server = restore.Database(dsn.admitted(resolve_secret(database).reveal()), binaries.bundled())
    return restore.restore(
        directory,
        reachable(data.root),
        key,
        entropy=secrets.token_bytes,
        keystore=keystore,
        database=server,
        owner=(account.uid, account.gid) if account else None,
        progress=progress,
    )


@contextmanager
def _source(data: DataDir, config: Path | None) -> Generator[Source]:
    if instance.holder(data) is None:
        with maintenance.stopped(data.root, config) as (home, base):
            yield _as_source(data, home.settings, base.admin)
        return
    settings = maintenance.settings_of(data, config)
    yield _as_source(data, settings, running_admin(data, settings))


def _as_source(data: DataDir, settings: Settings, admin: Secret[str]) -> Source:
    identity = instance.load(data)
    if identity is None:
        raise SettingsError(f"{data.root} holds no instance", advice="Name the right --data-dir.")
    return Source(
        admin=admin,
        programs=binaries.bundled(),
        read_object=object_store(settings.objects, data.objects).read,
        identity=data.identity,
        log_dir=data.log,
        platform=platform.load(boot.key_uri(settings, identity), identity.uuid, data.root),
        instance_id=identity.uuid,
        origin=identity.origin,
        version=RELEASE,
    )


def running_admin(data: DataDir, settings: Settings) -> Secret[str]:
    """Return the superuser's DSN of the database that another process runs, by what lies in the data directory."""
    if settings.database != "embedded":
        return dsn.admitted(resolve_secret(settings.database).reveal())
    home = data.root / "pg"
    try:
        cluster = next(home.glob("data-[0-9]*"))
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        password = (home / "superuser").read_text()
    except (OSError, StopIteration) as error:
        raise UnavailableError(
            f"the database in {home} cannot be reached: {error}",
            advice="Run this as the user who started the instance.",
        ) from error
    port, told = lines[3], Path(lines[4])
    place = home / "socket" if (home / "socket").exists() else told
    return Secret(make_conninfo(host=str(place), port=port, user=SUPERUSER, password=password, dbname=DATABASE))
