"""`heldtrue doctor`: what is not safe or not well, and what to do; reads, changes nothing."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from heldtrue.app import boot, clockmark, instance, listener
from heldtrue.app.doctor_disclosure import examine_disclosure
from heldtrue.app.doctor_edge import examine_edge
from heldtrue.app.doctor_egress import examine_egress
from heldtrue.app.doctor_mail import examine_mail
from heldtrue.app.doctor_post import examine_post
from heldtrue.app.doctor_scanning import examine_scanning
from heldtrue.app.doctor_transforms import examine_transforms
from heldtrue.app.doctor_witness import examine_witnesses
from heldtrue.app.findings import Finding, Level
from heldtrue.app.instance import DataDir, Identity
from heldtrue.app.maintenance import settings_of
from heldtrue.app.reach import crossable
from heldtrue.app.settings import Settings
from heldtrue.crypto import platform
from heldtrue.crypto.tls import expires_at
from heldtrue.kernel.errors import HeldtrueError, SettingsError

LEAST_FREE = 2 * 1024**3
OPERATOR_FILE_AGE = 7
"""Days after which the first credential should have been moved to where secrets are kept."""
CERTIFICATE_DAYS = 21


def examine(path: Path, config: Path | None) -> Iterator[Finding]:
    """Yield a finding for everything that can be looked at without stopping the instance."""
    data = DataDir(path.expanduser().absolute())
    try:
        settings = settings_of(data, config)
        yield Finding("settings", Level.OK, "every setting is known and usable")
    except SettingsError as error:
        yield Finding("settings", Level.WRONG, error.message, error.advice)
        return
    yield from _judge_settings(settings)
    yield from examine_edge(settings.edge)
    yield from examine_scanning(settings.scan)
    yield from examine_disclosure(settings)
    yield from examine_post(settings.post)
    yield from examine_mail(settings.mail, Path(settings.tls_cert) if settings.tls_cert else None)
    try:
        identity = instance.load(data)
    except SettingsError as error:
        yield Finding("instance", Level.WRONG, error.message, error.advice)
        return
    if identity is None:
        yield Finding("instance", Level.ADVICE, f"{data.root} has never been started", "Run `heldtrue up`.")
        return
    yield Finding("instance", Level.OK, f"{identity.instance_id}, origin {identity.origin}")
    yield from _directory(data)
    yield from _key(data, identity, settings)
    yield from _operator_file(identity, settings)
    yield from _users(settings)
    yield from _clock(data)
    yield from _disk(data)
    yield from _listening(data, settings)
    yield from examine_transforms(data, settings.transforms)
    yield from examine_egress(data, settings)
    yield from _certificate(data, settings)
    yield from examine_witnesses(data, settings.witness)


def _judge_settings(settings: Settings) -> Iterator[Finding]:
    host, _ = settings.address
    if settings.tls_cert is None and host not in {"127.0.0.1", "::1", "localhost"}:
        yield Finding(
            "certificate",
            Level.WRONG,
            f"listens on {host} with a certificate that vouches for localhost only",
            "Set tls_cert and tls_key.",
        )
    if settings.base_url is None and host in {"0.0.0.0", "::"}:  # noqa: S104 - a comparison
        yield Finding("base_url", Level.WRONG, "receivers get links to localhost", "Set base_url to the public URL.")
    for network in settings.destinations.allow:
        yield Finding(
            "destinations",
            Level.ADVICE,
            f"deliveries may go to {network}",
            "Keep this only if receivers of yours are in that network.",
        )
    if settings.database == "embedded":
        yield Finding("database", Level.OK, "embedded, on a unix socket")
    else:
        yield Finding("database", Level.OK, f"yours, by {settings.database.partition(':')[0]}:")


def _directory(data: DataDir) -> Iterator[Finding]:
    mode = stat.S_IMODE(data.root.stat().st_mode)
    if mode & 0o066:
        yield Finding("data directory", Level.WRONG, f"mode {mode:04o}", f"Run `chmod go-rw {data.root}`.")
    else:
        yield Finding("data directory", Level.OK, f"{data.root}, mode {mode:04o}")
    if os.geteuid() == 0 and not crossable(data.root):
        yield Finding(
            "data directory",
            Level.ADVICE,
            "a parent is closed to service users; a private mount makes a way",
            "A directory below /var/lib needs none.",
        )


def _key(data: DataDir, identity: Identity, settings: Settings) -> Iterator[Finding]:
    uri = boot.key_uri(settings, identity)
    try:
        platform.load(uri, identity.uuid, data.root)
    except HeldtrueError as error:
        yield Finding("platform key", Level.WRONG, error.message, error.advice)
    else:
        yield Finding("platform key", Level.OK, f"{uri}, outside the data directory; keep a copy away from the backups")


def _operator_file(identity: Identity, settings: Settings) -> Iterator[Finding]:
    path = Path(boot.key_uri(settings, identity).removeprefix("file:")).with_suffix(".operator")
    if not path.exists():
        yield Finding("operator credential", Level.OK, "not on this machine's disk")
        return
    days = (time.time() - path.stat().st_mtime) / 86400
    if not instance.is_private(path):
        yield Finding("operator credential", Level.WRONG, f"others may read {path}", f"Run `chmod 600 {path}`.")
    elif days > OPERATOR_FILE_AGE:
        yield Finding(
            "operator credential",
            Level.ADVICE,
            f"{path} has lain there for {days:.0f} days",
            "Move it to where you keep secrets.",
        )
    else:
        yield Finding("operator credential", Level.OK, f"{path}; move it to where you keep secrets")


def _users(settings: Settings) -> Iterator[Finding]:
    if os.geteuid() != 0:
        yield Finding(
            "service users",
            Level.ADVICE,
            "everything runs as you: a break-in has your rights",
            "Start as root, so that every process drops to a user of its own.",
        )
        return
    for name in (settings.service_user, "heldtrue-db"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            yield Finding("service users", Level.ADVICE, f"{name} is made at the next start")
            continue
        shell = Path(found.pw_shell).name
        good = found.pw_uid != 0 and shell in {"nologin", "false"}
        yield Finding(
            "service users",
            Level.OK if good else Level.WRONG,
            f"{name}, uid {found.pw_uid}, shell {found.pw_shell}",
            "" if good else "Take its login and its rights.",
        )


def _clock(data: DataDir) -> Iterator[Finding]:
    now, told = datetime.now(UTC), clockmark.marked(data)
    if told is not None and told > now:
        yield Finding(
            "clock", Level.WRONG, f"behind what was told by {(told - now).total_seconds():.0f} s", "Set it right."
        )
    elif not _synchronised():
        yield Finding(
            "clock",
            Level.ADVICE,
            "nothing seems to keep it right",
            "Run chrony or systemd-timesyncd; proofs bear times.",
        )
    else:
        yield Finding("clock", Level.OK, "kept right")


def _disk(data: DataDir) -> Iterator[Finding]:
    free = shutil.disk_usage(data.root).free
    good = free >= LEAST_FREE
    yield Finding(
        "disk",
        Level.OK if good else Level.ADVICE,
        f"{free / 1024**3:.1f} GiB free",
        "" if good else "Make room: what is not durable is refused.",
    )


def _listening(data: DataDir, settings: Settings) -> Iterator[Finding]:
    pid = instance.holder(data)
    if pid is not None:
        yield Finding("process", Level.OK, f"{pid} serves {instance.noted(data).get('url', settings.public_url)}")
        return
    try:
        listener.bind(*settings.address).close()
    except SettingsError as error:
        yield Finding("port", Level.WRONG, error.message, error.advice)
    else:
        yield Finding("port", Level.OK, f"{settings.listen} is free; nothing runs")


def _certificate(data: DataDir, settings: Settings) -> Iterator[Finding]:
    path = Path(settings.tls_cert) if settings.tls_cert else data.tls / "cert.pem"
    if not path.exists():
        yield Finding("certificate", Level.ADVICE, f"{path} is not there", "It is made, or needed, at the next start.")
        return
    try:
        end = expires_at(path.read_bytes()).timestamp()
    except (OSError, ValueError) as error:
        yield Finding("certificate", Level.WRONG, f"{path} cannot be read: {error}", "Give a PEM certificate.")
        return
    days = (end - time.time()) / 86400
    good = days > CERTIFICATE_DAYS
    yield Finding(
        "certificate",
        Level.OK if good else Level.WRONG,
        f"{path} ends in {days:.0f} days",
        "" if good else "Replace the file; it is read again at once.",
    )


def _synchronised() -> bool:
    """Return whether the kernel's clock is kept right by somebody (adjtimex(2): not TIME_ERROR)."""
    return ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256)) not in {-1, 5}
