"""The seccomp program, run by a small interpreter of classic BPF: what it allows, refuses and kills."""

from __future__ import annotations

import errno
import struct

import pytest

from heldtrue.sandbox.jail.allowed import ARCHITECTURE, allow_list
from heldtrue.sandbox.jail.bpf import ALLOW, ERRNO, KILL_PROCESS, LONGEST, Rule, program
from heldtrue.sandbox.jail.syscalls import AARCH64, BY_MACHINE, X86_64

EPERM = ERRNO | errno.EPERM


def judge(code: bytes, number: int, *arguments: int, architecture: int = ARCHITECTURE["x86_64"]) -> int:
    """Run a program over one system call as the kernel would (`struct seccomp_data`), and return its verdict."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(each % 2**64 for each in (*arguments, *[0] * 6)[:6]))
    lines = list(struct.iter_unpack("=HBBI", code))
    at, accumulator = 0, 0
    while True:
        what, true, false, value = lines[at]
        at += 1
        match what:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += true if accumulator == value else false
            case 0x35:
                at += true if accumulator >= value else false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"the filter has an instruction that was not expected: {what:#x}")


@pytest.fixture(scope="module")
def code() -> bytes:
    return allow_list("x86_64")


def call(code: bytes, name: str, *arguments: int) -> int:
    return judge(code, X86_64[name], *arguments)


@pytest.mark.parametrize("name", ["read", "write", "openat", "futex", "exit_group", "mmap", "munmap", "getrandom"])
def test_what_an_interpreter_lives_by_is_allowed(code: bytes, name: str) -> None:
    assert call(code, name) == ALLOW


CLOSED = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "keyctl": 250, "add_key": 248,
    "request_key": 249, "userfaultfd": 323, "memfd_create": 319, "memfd_secret": 447, "bpf": 321, "ptrace": 101,
    "perf_event_open": 298, "mount": 165, "umount2": 166, "unshare": 272, "setns": 308, "execve": 59, "execveat": 322,
    "pivot_root": 155, "chroot": 161, "process_vm_readv": 310, "process_vm_writev": 311, "open_by_handle_at": 304,
    "mknod": 133, "link": 86, "symlink": 88, "pidfd_open": 434, "pidfd_getfd": 438, "kcmp": 312, "vmsplice": 278,
    "splice": 275, "personality": 135, "setuid": 105,
}  # fmt: skip


@pytest.mark.parametrize("number", CLOSED.values(), ids=CLOSED)
def test_what_opens_the_kernel_is_refused(code: bytes, number: int) -> None:
    assert judge(code, number) == EPERM


def test_a_number_that_nobody_knows_yet_is_refused(code: bytes) -> None:
    assert judge(code, 9999) == EPERM


def test_the_x32_interface_and_foreign_architectures_kill(code: bytes) -> None:
    assert judge(code, 0x4000_0000) == KILL_PROCESS
    assert judge(code, X86_64["read"] | 0x4000_0000) == KILL_PROCESS
    assert judge(code, X86_64["read"], architecture=0x4000_0003) == KILL_PROCESS  # i386, by int 0x80


def test_clone_makes_threads_and_processes_but_no_namespaces(code: bytes) -> None:
    assert call(code, "clone", 17) == ALLOW
    for flag in (0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x80):
        assert call(code, "clone", 17 | flag) == EPERM
    assert call(code, "clone3") == ERRNO | errno.ENOSYS


def test_no_socket_of_any_family_and_only_stream_pairs(code: bytes) -> None:
    for family in range(50):
        assert call(code, "socket", family, 1) == ERRNO | errno.EACCES
    assert call(code, "socketpair", 1, 1 | 0x80000) == ALLOW
    assert call(code, "socketpair", 1, 2) == EPERM
    assert call(code, "socketpair", 40, 1) == EPERM
    assert call(code, "sendto", 3, 0, 0, 0, 0) == ALLOW
    assert call(code, "sendto", 3, 0, 0, 0, 0x7FFF_0000_0000) == EPERM


def test_memory_is_never_writable_and_executable(code: bytes) -> None:
    assert call(code, "mmap", 0, 4096, 1 | 4) == ALLOW
    assert call(code, "mmap", 0, 4096, 1 | 2) == ALLOW
    assert call(code, "mmap", 0, 4096, 1 | 2 | 4) == EPERM
    assert call(code, "mprotect", 0, 4096, 1) == ALLOW
    assert call(code, "mprotect", 0, 4096, 1 | 4) == EPERM


def test_terminals_take_no_keys_and_others_limits_stay(code: bytes) -> None:
    assert call(code, "ioctl", 0, 0x5401) == ALLOW
    assert call(code, "ioctl", 0, 0x5412) == EPERM  # TIOCSTI
    assert call(code, "ioctl", 0, 0x541C) == EPERM  # TIOCLINUX
    assert call(code, "ioctl", 0, 0x1_0000_5401) == EPERM  # the kernel would see the low half only; we see both
    assert call(code, "prlimit64", 0, 3) == ALLOW
    assert call(code, "prlimit64", 7, 3) == EPERM
    assert call(code, "prctl", 15) == ALLOW
    assert call(code, "prctl", 4) == EPERM


def test_without_a_pid_namespace_nothing_is_forked_and_nobody_else_signalled() -> None:
    code = allow_list("x86_64", alone=4711)
    thread = 0x0001_0000 | 0x0000_0100
    assert call(code, "clone", 17) == EPERM
    assert call(code, "clone", thread) == ALLOW
    assert call(code, "clone", thread | 0x1000_0000) == EPERM
    assert call(code, "kill", 4711, 15) == ALLOW
    assert call(code, "kill", 1, 15) == EPERM
    assert call(code, "kill", -1, 9) == EPERM
    assert call(code, "tgkill", 1, 1, 9) == EPERM


def test_both_architectures_have_a_program_that_the_kernel_takes() -> None:
    for machine, numbers in BY_MACHINE.items():
        code = allow_list(machine)
        assert len(code) // 8 <= LONGEST
        assert judge(code, numbers["read"], architecture=ARCHITECTURE[machine]) == ALLOW
        assert judge(code, numbers["socket"], 2, architecture=ARCHITECTURE[machine]) == ERRNO | errno.EACCES
    assert len(set(AARCH64.values())) == len(AARCH64)
    assert len(set(X86_64.values())) == len(X86_64)


def test_a_program_that_is_too_long_is_an_error() -> None:
    with pytest.raises(ValueError, match="4096"):
        program(1, [Rule(number) for number in range(3000)], default=errno.EPERM)
