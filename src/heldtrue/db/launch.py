"""Start programs as another user, tied to the life of this process; find and end what a crash left behind."""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heldtrue.kernel.errors import SettingsError

# Runs before exec, in a fresh interpreter: a pre-exec function would run between fork and exec of a process that may
# have threads. It begins as the caller, so an interpreter that the service user cannot read is no obstacle.
# PR_SET_PDEATHSIG is cleared by a change of user, hence the order (prctl(2)).
_LAUNCHER = """
import ctypes, os, sys
uid, gid, signal, parent = (int(word) for word in sys.argv[1:5])
directory = sys.argv[5]
if uid >= 0:
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
os.umask(0o077)
if signal:
    ctypes.CDLL(None, use_errno=True).prctl(1, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(3)
try:
    os.chdir(directory)
except OSError as error:
    sys.exit(f"cannot enter {directory}: {error.strerror}")
os.execv(sys.argv[6], sys.argv[6:])
"""


@dataclass(frozen=True, slots=True)
class RunAs:
    """The user that a program runs as; None in both fields: the present one."""

    uid: int | None = None
    gid: int | None = None

    @property
    def changes(self) -> bool:
        """Whether the user is another than the present one."""
        return self.uid is not None


def command(who: RunAs, directory: Path, argv: Sequence[str], *, dies_with_us: signal.Signals | None) -> list[str]:
    """Return the command line that runs *argv* as *who* in *directory*, killed by *dies_with_us* when we end.

    The signal comes when the *thread* that started it ends (prctl(2)): start long-lived programs from the main one.
    """
    if not who.changes and not os.access(sys.executable, os.X_OK):
        # We are a service user already, of an installation that only root can read: util-linux and coreutils serve.
        dying = ["setpriv", "--pdeathsig", dies_with_us.name.removeprefix("SIG")] if dies_with_us else []
        return ["env", "-C", str(directory), *dying, *argv]
    uid = -1 if who.uid is None else who.uid
    gid = -1 if who.gid is None else who.gid
    numbers = [str(uid), str(gid), str(int(dies_with_us or 0)), str(os.getpid())]
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, *numbers, str(directory), *argv]


def run(
    who: RunAs,
    directory: Path,
    argv: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run *argv* to its end as *who* and return its output; the caller judges the exit status."""
    return subprocess.run(
        command(who, directory, argv, dies_with_us=None),
        check=False, capture_output=True, text=True, pass_fds=pass_fds, stdin=subprocess.DEVNULL,
        env=clean_environment() if env is None else dict(env),
    )  # fmt: skip


def clean_environment() -> dict[str, str]:
    """Return the environment that children get: no PG* variables, no secrets of the caller, the C locale."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def processes_in(directory: Path, program: str) -> list[int]:
    """Return the ids of running processes of *program* whose working directory is *directory*.

    Every PostgreSQL process works in its data directory; the ids in a pid file may long belong to somebody else.
    """
    here = directory.stat() if directory.exists() else None
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or here is None:
            continue
        try:
            there = (entry / "cwd").stat()
            same = (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
            if same and (entry / "comm").read_text().strip() == program and _lives(entry):
                found.append(int(entry.name))
        except OSError:
            continue  # it ended meanwhile, or is another user's: those cannot work in a private directory
    return sorted(found)


def any_titled(pids: Sequence[int], title: str) -> bool:
    """Return whether one of *pids* shows a title that begins with *title*, as PostgreSQL's processes do."""
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes().decode("ascii", "replace").startswith(title):
                return True
        except OSError:
            continue  # it ended meanwhile
    return False


def _lives(entry: Path) -> bool:
    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
    return state not in {"Z", "X"}


def end(pids: Sequence[int], how: signal.Signals, patience: float) -> list[int]:
    """Send *how* to *pids*, wait at most *patience* seconds for all to end, and return those that did not."""
    handles: dict[int, int] = {}
    for pid in pids:
        try:
            handles[pid] = os.pidfd_open(pid)
            signal.pidfd_send_signal(handles[pid], how)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + patience
    left: list[int] = []
    for pid, handle in handles.items():
        remaining = max(0.0, deadline - time.monotonic())
        if not select.select([handle], [], [], remaining)[0]:
            left.append(pid)
        os.close(handle)
    return left


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send *how* to this process when its parent ends; call it after any change of user."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(1, int(how), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), errno.errorcode.get(ctypes.get_errno(), "prctl"))


def create_service_user(name: str) -> pwd.struct_passwd:
    """Create the system user *name* without home or shell and return its entry."""
    made = subprocess.run(
        ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
         "--shell", "/usr/sbin/nologin", name],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise SettingsError(
            f"the service user {name} does not exist and could not be created: {made.stderr.strip()}",
            advice=f"Create it: useradd --system --no-create-home --shell /usr/sbin/nologin {name}",
        ) from error
