"""The users that processes run as: made once by root, and dropped to for good after a fork."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
from dataclasses import dataclass

from heldtrue.db.launch import create_service_user
from heldtrue.kernel.errors import SettingsError

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine without a login."""

    name: str
    uid: int
    gid: int


def service_account(name: str) -> Account | None:
    """Return the account *name*, made when absent; None when not started as root, where nothing is dropped."""
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        found = create_service_user(name)
    if found.pw_uid == 0:
        raise SettingsError("service_user is root", advice="Name a user without rights; the default is made for you.")
    return Account(name, found.pw_uid, found.pw_gid)


def confine(account: Account | None, parent: int) -> None:
    """Become *account* for good, die with *parent*, gain nothing ever again, leave no core; in a fresh child only.

    The death signal comes after the change of user: the kernel clears it at that change (prctl(2)).
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if account is not None:
        _drop_to(account)
        os.environ.update(HOME="/nonexistent", USER=account.name, LOGNAME=account.name)
    _seclude()
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")


def become(account: Account) -> None:
    """Become *account* for good, in a child that is confined already; the death signal is asked for again."""
    parent = os.getppid()
    _drop_to(account)
    _seclude()
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")


def _drop_to(account: Account) -> None:
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)


def _seclude() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in (
        (_PR_SET_NO_NEW_PRIVS, 1),
        (_PR_SET_DUMPABLE, 0),
        (_PR_SET_PDEATHSIG, int(signal.SIGKILL)),
    ):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def entitle(name: str) -> None:
    """Show this process as `heldtrue-NAME` in `top` and `ps -o comm`, 15 letters at most (prctl(2), PR_SET_NAME)."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, f"heldtrue-{name}".encode()[:15], 0, 0, 0)
