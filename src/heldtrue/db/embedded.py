"""The embedded server: PostgreSQL on a unix socket in the data directory, as a child that dies with us.

Starting after a crash is starting: what an earlier run left (a postmaster, its backends, a pid file, a half-made
cluster) is cleared by the same code each time. There is never a second server: a lock is held while one is ours.
"""

from __future__ import annotations

import fcntl
import grp
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from heldtrue.db import binaries, launch
from heldtrue.db.configuration import CONFIGURATION, HBA, PORT, written
from heldtrue.db.launch import RunAs
from heldtrue.kernel.errors import ConflictError, SettingsError, UnavailableError
from heldtrue.kernel.secret import Secret

SERVICE_USER = "heldtrue-db"
SUPERUSER = "heldtrue_superuser"
DATABASE = "heldtrue"
_NOBODY = 2**31 - 1
"""A process id that no process has: above the kernel's limit of 2^22."""
_SOCKET_ROOM = 107 - len(f"/.s.PGSQL.{PORT}.lock")
"""sun_path holds 108 bytes with its final NUL (unix(7))."""


class AlreadyRunningError(ConflictError):
    """Another process already runs the database of this data directory; stop it first."""

    code = "already-running"


class ServerFailedError(UnavailableError):
    """The embedded database did not start; read the log that the message names."""

    code = "database-failed"


class EmbeddedServer:
    """PostgreSQL in `<data_dir>/pg`, run by *service_user* when we are root, else by ourselves."""

    def __init__(
        self,
        data_dir: Path,
        service_user: str | None = None,
        *,
        client_group: str | None = None,
        tuning: Mapping[str, str] | None = None,
        programs: binaries.Programs | None = None,
    ) -> None:
        """Prepare; nothing happens before `start`.

        *client_group* may enter the socket's directory (the group of the processes that ask); *tuning* overrides
        sizes, as `shared_buffers`; *programs* are used where they lie, instead of the wheel's.
        """
        self.home = data_dir.resolve() / "pg"
        self.log = self.home / "server.log"
        self._data_dir = data_dir.resolve()
        self._service_user = service_user or SERVICE_USER
        self._client_group = client_group
        self._configuration = {**CONFIGURATION, **(tuning or {})}
        self._who = RunAs()
        self._lock: IO[bytes] | None = None
        self._postmaster: subprocess.Popen[bytes] | None = None
        self._given = programs
        self._programs: binaries.Programs | None = None
        self._dsn: Secret[str] | None = None

    # ------------------------------------------------------------------ life

    def start(self) -> Secret[str]:
        """Start the server, making the cluster on the first start, and return the superuser's DSN.

        Call it from the main thread: the server is told to end when the thread that started it ends. Calling it
        again after the server died starts it again; while it runs, that only returns the DSN.
        """
        if self._dsn is not None and self.alive():
            return self._dsn
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(mode=0o711, exist_ok=True)
        self._take_lock()
        try:
            self._who = self._choose_user()
            self._programs = self._choose_programs()
            self._clear_leftovers()
            password = self._superuser_password()
            self._make_cluster(password)
            self._write_configuration()
            self._launch()
            self._dsn = self._wait_until_ready(password)
        except BaseException:
            self.stop()
            raise
        return self._dsn

    def stop(self, patience: float = 30.0) -> None:
        """Shut down: clients are disconnected, the state is written out; forced after *patience* seconds."""
        if self._postmaster is not None and self._postmaster.poll() is None:
            patience = min(patience, 1.0) if self.stuck() else patience
            for how, wait in ((signal.SIGINT, patience), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
                self._postmaster.send_signal(how)
                try:
                    self._postmaster.wait(wait)
                    break
                except subprocess.TimeoutExpired:
                    continue
        self._postmaster = None
        if self._lock is not None:
            # Closing alone would leave it with the children that were forked meanwhile and hold the same open file.
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            self._lock.close()
            self._lock = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._postmaster.pid if self.alive() and self._postmaster else None

    def alive(self) -> bool:
        """Return whether the postmaster runs."""
        return self._postmaster is not None and self._postmaster.poll() is None

    def stuck(self) -> bool:
        """Return whether the postmaster runs, takes nobody in, and nothing in it works towards that.

        PostgreSQL 18 can get there: when the process that recovers after a crash is itself killed, the postmaster waits
        for processes that nobody ends. While recovery works, however long, this is False. Ask twice, some seconds
        apart, before you believe it.
        """
        if not self.alive() or self._dsn is None:
            return False
        try:
            psycopg.connect(self._dsn.reveal(), connect_timeout=3).close()
        except psycopg.OperationalError:
            return not launch.any_titled(launch.processes_in(self.cluster, "postgres"), "postgres: startup")
        return False

    def abandon(self) -> None:
        """End a stuck postmaster at once; the next `start` clears up what it leaves and recovers."""
        if self._postmaster is not None:
            self._postmaster.kill()
            self._postmaster.wait()

    @property
    def programs(self) -> binaries.Programs:
        """The installation in use, client programs included; known after `start`."""
        return self._programs or binaries.bundled()

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.home / f"data-{self.programs.major}"

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ------------------------------------------------------------------ steps of starting

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        handle = (self.home / "lock").open("ab")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.close()
            raise AlreadyRunningError(
                f"another process runs the database in {self.home}", advice="Stop it, or use another data directory."
            ) from error
        self._lock = handle

    def _choose_user(self) -> RunAs:
        if os.geteuid() != 0:
            return RunAs()
        try:
            entry = pwd.getpwnam(self._service_user)
        except KeyError:
            entry = launch.create_service_user(self._service_user)
        return RunAs(entry.pw_uid, entry.pw_gid)

    def _choose_programs(self) -> binaries.Programs:
        if self._given is not None:
            return self._given
        found = binaries.bundled()
        return binaries.copied(found, self.home) if self._who.changes else found

    def _clear_leftovers(self) -> None:
        """End processes of an earlier run, then take its number from the pid file: it may be somebody else's by now."""
        if self._postmaster is not None:
            self._postmaster.wait()
            self._postmaster = None
        cluster = self.cluster
        for how, patience in ((signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
            left = launch.processes_in(cluster, "postgres")
            if not left:
                break
            launch.end(left, how, patience)
        else:
            raise ServerFailedError(f"processes {left} of an earlier run in {cluster} do not end")
        for stale in self._socket_directory().glob(".s.PGSQL.*"):
            stale.unlink()
        pid_file = cluster / "postmaster.pid"
        if pid_file.exists():
            # Its other lines lead the server to the shared memory of the earlier run, which it then frees.
            _, _, rest = pid_file.read_text().partition("\n")
            pid_file.write_text(f"{_NOBODY}\n{rest}")

    def _superuser_password(self) -> Secret[str]:
        """Return the superuser's password, ours alone to read, made before the cluster that it opens."""
        path = self.home / "superuser"
        if not path.exists():
            draft = self.home / f".superuser-{secrets.token_hex(6)}"
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as out:
                out.write(secrets.token_urlsafe(32))
                out.flush()
                os.fsync(out.fileno())
            draft.rename(path)
        return Secret(path.read_text())

    def _make_cluster(self, password: Secret[str]) -> None:
        others = [path.name for path in self.home.glob("data-*") if path != self.cluster and path.suffix != ".new"]
        if others and not self.cluster.exists():
            raise SettingsError(
                f"{self.home} holds {others[0]}, made by another major version than {self.programs.version}",
                advice="Back up with the version that made it and restore into a new data directory with this one.",
            )
        if self.cluster.exists():
            return
        draft = self.cluster.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._give_away(draft)
        handle = os.memfd_create("password")  # never on disk; opened again by name, as initdb wants a file
        try:
            os.write(handle, password.reveal().encode())
            made = launch.run(
                self._who, draft,
                [self.programs.path("initdb"), "-D", str(draft), "-U", SUPERUSER, f"--pwfile=/dev/fd/{handle}",
                 "--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums",
                 "--locale=C", *self._locale_provider()],
                pass_fds=(handle,),
            )  # fmt: skip
        finally:
            os.close(handle)
        if made.returncode != 0:
            raise self._unreachable(made.stderr) or ServerFailedError(f"initdb failed: {made.stderr.strip()[-2000:]}")
        draft.rename(self.cluster)

    def _locale_provider(self) -> list[str]:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if self.programs.major >= 17 else []

    def _write_configuration(self) -> None:
        settings = {**self._configuration, "unix_socket_directories": str(self._socket_directory())}
        for name, text in (("postgresql.conf", written(settings)), ("pg_hba.conf", HBA)):
            path = self.cluster / name
            draft = path.with_suffix(".draft")
            draft.write_text(text)
            draft.chmod(0o600)
            self._give_away(draft)
            draft.replace(path)

    def _launch(self) -> None:
        if self.log.exists() and self.log.stat().st_size > 8_000_000:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.log.chmod(0o600)
            # SIGQUIT when we die: nobody is left to ask, and recovery is what a start does anyway.
            self._postmaster = subprocess.Popen(
                launch.command(
                    self._who, self.cluster, [self.programs.path("postgres"), "-D", str(self.cluster)],
                    dies_with_us=signal.SIGQUIT,
                ),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=launch.clean_environment(),
            )  # fmt: skip

    def _wait_until_ready(self, password: Secret[str], patience: float = 60.0) -> Secret[str]:
        base = make_conninfo(host=str(self._socket_directory()), port=PORT, user=SUPERUSER, password=password.reveal())
        deadline = time.monotonic() + patience
        while True:
            if not self.alive():
                raise self._failure()
            try:
                with psycopg.connect(make_conninfo(base, dbname="postgres"), autocommit=True) as admin:
                    found = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                    if found is None:
                        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
                return Secret(make_conninfo(base, dbname=DATABASE))
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise self._failure() from error
                time.sleep(0.02)  # between two tries of a condition, bounded by the deadline

    def _failure(self) -> Exception:
        tail = self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""
        return self._unreachable(tail) or ServerFailedError(
            f"the database did not start, see {self.log}: {tail.strip()}"
        )

    def _unreachable(self, said: str) -> SettingsError | None:
        if "ermission denied" not in said:
            return None
        return SettingsError(
            f"user {self._service_user} cannot reach {self.home}",
            advice="Let others pass through its parent directories (chmod o+x), or choose a data directory "
            "below /var/lib.",
        )

    # ------------------------------------------------------------------ places

    def _socket_directory(self) -> Path:
        """Return the socket's directory, private to the server and *client_group*, in a path short enough to bind."""
        directory = self.home / "socket"
        if len(os.fsencode(directory)) > _SOCKET_ROOM:
            short = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
            directory = _short_home() / f"heldtrue-{os.geteuid()}-{short}"
        directory.mkdir(mode=0o700, exist_ok=True)
        owner = directory.lstat()
        if owner.st_uid not in {os.geteuid(), self._who.uid} or directory.is_symlink():
            raise SettingsError(
                f"{directory} is not ours", advice="Remove it, or use a shorter path of data directory."
            )
        if self._who.changes:
            group = -1 if self._client_group is None else grp.getgrnam(self._client_group).gr_gid
            os.chown(directory, self._who.uid or -1, group)
        directory.chmod(0o710 if self._client_group else 0o700)
        return directory

    def _give_away(self, path: Path) -> None:
        if self._who.uid is not None and self._who.gid is not None:
            os.chown(path, self._who.uid, self._who.gid)


def _short_home() -> Path:
    run = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108 - private
    return run if os.access(run, os.W_OK) else Path("/tmp")  # noqa: S108 - a 0700 directory of our own is made in it
