"""The allow-list: which system calls a customer's code may make, and with which arguments.

What is not named answers EPERM: io_uring, keyctl, bpf, perf, ptrace, mount, unshare, setns, userfaultfd, memfd,
execve and every socket among them. `clone3` answers ENOSYS, because its arguments lie in memory where no filter can
read them; libc then uses `clone`.
"""

from __future__ import annotations

import errno

from heldtrue.sandbox.jail.bpf import Check, Masked, NotAll, OneOf, Rule, program
from heldtrue.sandbox.jail.syscalls import BY_MACHINE

ARCHITECTURE = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
NEW_NAMESPACE = 0x7E02_0000 | 0x80
"""CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET; and TIME, which shares a byte with the exit signal."""
SHARED_THREAD = 0x0001_0000 | 0x0000_0100
"""CLONE_THREAD and CLONE_VM."""
EXECUTE = 4
NOT_BOTH = NotAll(2, 2 | EXECUTE)
"""PROT_WRITE and PROT_EXEC at once."""
AF_UNIX, SOCK_STREAM = 1, 1
"""The only pair of sockets: a datagram socket would take an address with each message, and reach whoever listens."""

TERMINAL_AND_FLAGS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what `open` and `subprocess` ask; never TIOCSTI nor
TIOCLINUX.
"""
DESCRIPTOR_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""F_DUPFD to F_SETLKW, the locks of open descriptions, F_DUPFD_CLOEXEC, F_GETPIPE_SZ."""
NAME_ONLY = (15, 16)
"""PR_SET_NAME, PR_GET_NAME."""
ITSELF = OneOf(0, (0,))


def allow_list(machine: str, *, alone: int | None = None) -> bytes:
    """Return the program for *machine*; *alone* is the pid of a process without a pid namespace: it may neither fork
    nor signal others.
    """
    numbers = BY_MACHINE[machine]
    checks = _checks(alone)
    rules: list[Rule] = []
    for name, number in numbers.items():
        if name == "clone3":
            rules.append(Rule(number, otherwise=errno.ENOSYS, never=True))
        elif name == "socket":
            rules.append(Rule(number, otherwise=errno.EACCES, never=True))
        else:
            rules.append(Rule(number, checks.get(name, ()), otherwise=errno.EPERM))
    return program(ARCHITECTURE[machine], rules, default=errno.EPERM)


def _checks(alone: int | None) -> dict[str, tuple[Check, ...]]:
    checks: dict[str, tuple[Check, ...]] = {
        "clone": (Masked(0, NEW_NAMESPACE, 0),),
        "mmap": (NOT_BOTH,),
        "mprotect": (Masked(2, EXECUTE, 0),),
        "ioctl": (OneOf(1, TERMINAL_AND_FLAGS),),
        "fcntl": (OneOf(1, DESCRIPTOR_COMMANDS),),
        "prctl": (OneOf(0, NAME_ONLY),),
        "prlimit64": (ITSELF,),
        "socketpair": (OneOf(0, (AF_UNIX,)), Masked(1, 0xF, SOCK_STREAM)),
        "sendto": (OneOf(4, (0,)),),
    }
    if alone is not None:
        checks["clone"] = (*checks["clone"], Masked(0, SHARED_THREAD, SHARED_THREAD))
        checks["kill"] = checks["tgkill"] = (OneOf(0, (alone,)),)
    return checks
