"""From settings to a ground to stand on: lock, identity, keys, database; the same code at every start."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from heldtrue.app import clockmark, instance
from heldtrue.app.accounts import Account, service_account
from heldtrue.app.instance import DataDir, Identity, Lock
from heldtrue.app.listener import CertificateFiles
from heldtrue.app.pulse import Pulse
from heldtrue.app.reach import leave, reachable
from heldtrue.app.secret_uri import resolve_secret
from heldtrue.app.settings import Settings
from heldtrue.app.settings_post import smarthost
from heldtrue.capabilities.post.smtp import Smarthost
from heldtrue.crypto import platform
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.tls import ensure_local_authority
from heldtrue.db import binaries, dsn, migrate, roles
from heldtrue.db.binaries import Programs
from heldtrue.db.embedded import EmbeddedServer
from heldtrue.db.migrate import Migration
from heldtrue.db.roles import RoleDsns
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.secret import Secret

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Home:
    """An instance whose lock is ours and whose platform key is at hand; its database does not run yet."""

    settings: Settings
    data: DataDir
    shown: Path
    """The data directory as the operator named it; `data` may lead through a private mount."""
    identity: Identity
    platform: PlatformKey
    key_file: Path
    account: Account | None
    clock: SystemClock
    lock: Lock
    first: bool
    """Whether this start made the instance."""
    authorities: str | None = None
    """What destinations may be vouched for by beside the system's authorities, as PEM."""
    smarthost: Smarthost | None = None
    """Who takes our mail, with its password, read before the process gave up the right to read the file."""

    def close(self) -> None:
        """Let the next copy in."""
        if self.data.root != self.shown:
            leave(self.data.root)
        self.lock.release()

    @property
    def operator_file(self) -> Path:
        """Where the operator's first credential goes."""
        return self.key_file.with_suffix(".operator")


@dataclass(frozen=True, slots=True)
class Ground:
    """What children stand on; handed to them by fork, so that nothing of it is on disk, in arguments or environment."""

    home: Home
    dsns: RoleDsns
    programs: Programs | None = None
    """PostgreSQL where a service user can run it; None: the wheel's own."""
    migrations: Sequence[Migration] = ()
    """As they were read before the fork."""
    pulse: Pulse = field(default_factory=Pulse)


@dataclass(frozen=True, slots=True)
class Base:
    """A running database, ours or not."""

    server: EmbeddedServer | None
    admin: Secret[str]
    dsns: RoleDsns
    programs: Programs


def open_home(settings: Settings, path: Path) -> Home:
    """Take the lock on the data directory *path* and return the instance in it, made when there is none."""
    now = datetime.now(UTC)
    authorities = _authorities(settings.destinations.ca_file)
    takes_mail = smarthost(settings.post)
    if settings.database != "embedded":
        external(settings)  # judged before anything is made
    account = service_account(settings.service_user)
    data = instance.prepare(path, (account.uid, account.gid) if account else None)
    shown, lock = data.root, Lock(data)
    try:
        data = DataDir(reachable(data.root))
        identity = instance.load(data)
        first = identity is None
        if identity is None:
            identity = instance.draft(settings.origin, now, secrets.token_bytes)
            key_file, key = _create_key(settings, identity, shown, now)
            instance.keep(data, identity)
        else:
            instance.settle_origin(identity, settings.origin)
            key_file = _key_file(settings, identity)
            key = platform.load(key_uri(settings, identity), identity.uuid, shown)
        clock = clockmark.clock_after(data, now)
    except BaseException:
        lock.release()
        raise
    return Home(settings, data, shown, identity, key, key_file, account, clock, lock, first, authorities, takes_mail)


def _authorities(file: str | None) -> str | None:
    """Return the PEM text of *file*; raise `SettingsError` for what holds no certificate."""
    if file is None:
        return None
    try:
        text = Path(file).read_text("ascii")
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise SettingsError(
            f"destinations.ca_file {file} cannot be used: {error}", advice="Name a readable file of PEM certificates."
        ) from error
    return text


@contextmanager
def database(
    home: Home,
    say: Say = lambda _: None,
    *,
    programs: Programs | None = None,
    migrations: Sequence[Migration] = (),
    tuning: Mapping[str, str] | None = None,
) -> Generator[Base]:
    """Start or reach the database, bring its roles and schema up to date, and stop it at the end when it is ours.

    *programs* and *migrations*: to be used instead of what is installed; *tuning*: of the embedded server.
    """
    server: EmbeddedServer | None = None
    if home.settings.database == "embedded":
        group = home.account.name if home.account else None
        server = EmbeddedServer(home.data.root, client_group=group, programs=programs, tuning=tuning)
        admin = server.start()
    else:
        admin = external(home.settings)
    try:
        dsns = roles.establish(admin, secrets.token_bytes)
        known = list(migrations) or migrate.shipped()
        migrate.migrate(admin, known, lambda step: say(f"database: applied {step.number:04d}_{step.name}"))
        yield Base(server, admin, dsns, server.programs if server else programs or _programs(home))
    finally:
        if server is not None:
            server.stop()


def external(settings: Settings) -> Secret[str]:
    """Return the DSN of the operator's own database; raise `SettingsError` unless it proves who it is."""
    return dsn.admitted(resolve_secret(settings.database).reveal())


def certificate_files(home: Home) -> CertificateFiles:
    """Return the certificate that was set, or the local authority's for localhost, made when there is none."""
    client_ca = None if home.settings.edge.client_ca is None else Path(home.settings.edge.client_ca)
    if home.settings.tls_cert is not None and home.settings.tls_key is not None:
        return CertificateFiles(Path(home.settings.tls_cert), Path(home.settings.tls_key), client_ca)
    made = ensure_local_authority(home.data.tls, home.clock.now())
    return CertificateFiles(made.cert, made.key, client_ca)


def _programs(home: Home) -> Programs:
    """Return PostgreSQL's programs where the service user can run them, though the database is not ours."""
    found = binaries.bundled()
    if home.account is None:
        return found
    place = home.data.root / "pg"
    place.mkdir(mode=0o711, exist_ok=True)
    return binaries.copied(found, place)


def key_uri(settings: Settings, identity: Identity) -> str:
    """Return where the platform key is: where a setting says, else beside the service's own configuration."""
    return settings.platform_key or f"file:{instance.default_key_dir() / identity.instance_id}.key"


def _key_file(settings: Settings, identity: Identity) -> Path:
    return Path(key_uri(settings, identity).removeprefix("file:").removeprefix("//"))


def _create_key(settings: Settings, identity: Identity, shown: Path, now: datetime) -> tuple[Path, PlatformKey]:
    """Make the key before the identity is written: a crash between them leaves a key to nothing, never data without."""
    made = platform.create(key_uri(settings, identity), identity.uuid, shown, secrets.token_bytes, now)
    return _key_file(settings, identity), made
