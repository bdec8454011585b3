"""System calls that the standard library does not offer, each with an error that names the call."""

from __future__ import annotations

import ctypes
import os
import struct

from heldtrue.sandbox.jail import syscalls

LIBC = ctypes.CDLL(None, use_errno=True)
HELD = ctypes.PyDLL(None, use_errno=True)
"""The same without letting go of the interpreter's lock: for `clone`, whose child must hold it."""

NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET = (
    0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
)  # fmt: skip
CLONE_PIDFD = 0x1000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_SET_MDWE = (
    1,
    4,
    24,
    38,
    47,
    65,
)
PR_CAP_AMBIENT_CLEAR_ALL = 4
MDWE_REFUSE_EXEC_GAIN = 1
SECCOMP_SET_MODE_FILTER = 1
_CAPABILITY_VERSION_3 = 0x2008_0522


class CallError(OSError):
    """The kernel refused a call; the message names it, and the errno says why."""

    def __init__(self, number: int, call: str) -> None:
        super().__init__(number, f"{call}: {os.strerror(number)}")
        self.call = call


def check(answer: int, call: str) -> int:
    """Return *answer*, or raise what errno says about *call*."""
    if answer < 0:
        raise CallError(ctypes.get_errno(), call)
    return answer


def _text(value: str | None) -> bytes | None:
    return None if value is None else os.fsencode(value)


def unshare(flags: int) -> None:
    """Leave the namespaces that *flags* name."""
    check(LIBC.unshare(flags), f"unshare({flags:#x})")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount as mount(2)."""
    answer = LIBC.mount(_text(source), _text(target), _text(kind), ctypes.c_ulong(flags), _text(data))
    check(answer, f"mount({kind or 'bind'}, {flags:#x})")


def pivot_into(target: str) -> None:
    """Make the mount at *target* the root and let go of the old one (pivot_root(2), "pivot_root(".", ".")")."""
    os.chdir(target)
    check(LIBC.syscall(syscalls.PIVOT_ROOT[syscalls.machine()], b".", b"."), "pivot_root")
    check(LIBC.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


def prctl(option: int, second: int = 0, third: int = 0) -> int:
    """Call prctl(2)."""
    zero = ctypes.c_ulong(0)
    return check(LIBC.prctl(option, ctypes.c_ulong(second), ctypes.c_ulong(third), zero, zero), f"prctl({option})")


def set_host_name(name: bytes) -> None:
    """Name this uts namespace."""
    check(LIBC.sethostname(name, len(name)), "sethostname")


def drop_capabilities() -> None:
    """Empty every capability set: bounding, ambient, inheritable, permitted, effective."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        if LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # EINVAL: past the last that this kernel knows; EPERM: none is held that could be dropped
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    check(LIBC.capset(header, bytes(24)), "capset")


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor that is not in *keep*."""
    low = 0
    for number in [*sorted(keep), 0x8000_0000]:
        if number > low:
            check(LIBC.syscall(syscalls.CLOSE_RANGE, low, number - 1, 0), "close_range")
        low = number + 1


def clone(flags: int) -> tuple[int, int]:
    """Fork into new namespaces; return (pid, pidfd) in the parent and (0, -1) in the child, as `os.fork` would."""
    python = ctypes.pythonapi
    descriptor = ctypes.c_int(-1)
    number = syscalls.BY_MACHINE[syscalls.machine()]["clone"]
    arguments = (ctypes.c_ulong(flags | CLONE_PIDFD | 17), None, ctypes.byref(descriptor), None, None)  # 17: SIGCHLD
    python.PyOS_BeforeFork()
    pid = HELD.syscall(number, *arguments)
    error = ctypes.get_errno()
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0, -1
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise CallError(error, f"clone({flags:#x})")
    return pid, descriptor.value


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install_filter(program: bytes) -> None:
    """Put a seccomp program over this process for good."""
    buffer = ctypes.create_string_buffer(program, len(program))
    described = _Program(len(program) // 8, ctypes.addressof(buffer))
    number = syscalls.SECCOMP[syscalls.machine()]
    check(LIBC.syscall(number, SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(described)), "seccomp")
