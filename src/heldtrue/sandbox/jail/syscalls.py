"""Numbers of the system calls that the filter speaks of, from `asm/unistd_64.h` and `asm-generic/unistd.h`."""

from __future__ import annotations

import os
from collections.abc import Mapping

# fmt: off
X86_64: Mapping[str, int] = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "rt_sigsuspend": 130, "rt_sigtimedwait": 128,
    "rt_sigpending": 127, "ioctl": 16, "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "preadv": 295,
    "pwritev": 296, "faccessat": 269, "faccessat2": 439, "newfstatat": 262, "statx": 332, "openat": 257, "pipe2":
    293, "pselect6": 270, "ppoll": 271, "sched_yield": 24, "mremap": 25, "madvise": 28, "msync": 26, "dup": 32,
    "dup3": 292, "nanosleep": 35, "clock_nanosleep": 230, "getpid": 39, "gettid": 186, "getppid": 110, "getpgid":
    121, "getsid": 124, "exit": 60, "exit_group": 231, "uname": 63, "fcntl": 72, "fsync": 74, "fdatasync": 75,
    "ftruncate": 77, "truncate": 76, "fallocate": 285, "getdents64": 217, "getcwd": 79, "chdir": 80, "renameat":
    264, "renameat2": 316, "mkdirat": 258, "unlinkat": 263, "readlinkat": 267, "umask": 95, "gettimeofday": 96,
    "getrlimit": 97, "getrusage": 98, "times": 100, "getuid": 102, "geteuid": 107, "getgid": 104, "getegid": 108,
    "getresuid": 118, "getresgid": 120, "sigaltstack": 131, "futex": 202, "sched_getaffinity": 204,
    "set_tid_address": 218, "clock_gettime": 228, "clock_getres": 229, "epoll_create1": 291, "epoll_ctl": 233,
    "epoll_pwait": 281, "eventfd2": 290, "set_robust_list": 273, "prlimit64": 302, "getrandom": 318, "rseq": 334,
    "sysinfo": 99, "shutdown": 48, "socketpair": 53, "restart_syscall": 219, "clone": 56, "clone3": 435, "wait4":
    61, "waitid": 247, "kill": 62, "tgkill": 234, "membarrier": 324, "fchmod": 91, "fchmodat": 268, "utimensat":
    280, "flock": 73, "getgroups": 115, "setitimer": 38, "getitimer": 36, "socket": 41, "prctl": 157, "futex_waitv":
    449, "close_range": 436, "recvfrom": 45, "sendto": 44, "fadvise64": 221, "stat": 4, "lstat": 6, "access": 21,
    "open": 2, "pipe": 22, "select": 23, "poll": 7, "dup2": 33, "rename": 82, "mkdir": 83, "rmdir": 84, "unlink":
    87, "readlink": 89, "getpgrp": 111, "chmod": 90, "epoll_wait": 232, "time": 201, "alarm": 37, "pause": 34,
    "creat": 85, "arch_prctl": 158,
}

AARCH64: Mapping[str, int] = {
    "read": 63, "write": 64, "close": 57, "fstat": 80, "lseek": 62, "mmap": 222, "mprotect": 226, "munmap": 215,
    "brk": 214, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "rt_sigsuspend": 133,
    "rt_sigtimedwait": 137, "rt_sigpending": 136, "ioctl": 29, "pread64": 67, "pwrite64": 68, "readv": 65, "writev":
    66, "preadv": 69, "pwritev": 70, "faccessat": 48, "faccessat2": 439, "newfstatat": 79, "statx": 291, "openat":
    56, "pipe2": 59, "pselect6": 72, "ppoll": 73, "sched_yield": 124, "mremap": 216, "madvise": 233, "msync": 227,
    "dup": 23, "dup3": 24, "nanosleep": 101, "clock_nanosleep": 115, "getpid": 172, "gettid": 178, "getppid": 173,
    "getpgid": 155, "getsid": 156, "exit": 93, "exit_group": 94, "uname": 160, "fcntl": 25, "fsync": 82,
    "fdatasync": 83, "ftruncate": 46, "truncate": 45, "fallocate": 47, "getdents64": 61, "getcwd": 17, "chdir": 49,
    "renameat": 38, "renameat2": 276, "mkdirat": 34, "unlinkat": 35, "readlinkat": 78, "umask": 166, "gettimeofday":
    169, "getrlimit": 163, "getrusage": 165, "times": 153, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid":
    177, "getresuid": 148, "getresgid": 150, "sigaltstack": 132, "futex": 98, "sched_getaffinity": 123,
    "set_tid_address": 96, "clock_gettime": 113, "clock_getres": 114, "epoll_create1": 20, "epoll_ctl": 21,
    "epoll_pwait": 22, "eventfd2": 19, "set_robust_list": 99, "prlimit64": 261, "getrandom": 278, "rseq": 293,
    "sysinfo": 179, "shutdown": 210, "socketpair": 199, "restart_syscall": 128, "clone": 220, "clone3": 435,
    "wait4": 260, "waitid": 95, "kill": 129, "tgkill": 131, "membarrier": 283, "fchmod": 52, "fchmodat": 53,
    "utimensat": 88, "flock": 32, "getgroups": 158, "setitimer": 103, "getitimer": 102, "socket": 198, "prctl": 167,
    "futex_waitv": 449, "close_range": 436, "recvfrom": 207, "sendto": 206, "fadvise64": 223,
}
# fmt: on

BY_MACHINE: Mapping[str, Mapping[str, int]] = {"x86_64": X86_64, "aarch64": AARCH64}

# calls of this package alone: `clone` is in the tables, these have no name in libc or need a number of their own
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SECCOMP = {"x86_64": 317, "aarch64": 277}
CLOSE_RANGE = 436
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446


def machine() -> str:
    """Return the architecture as the kernel names it."""
    return os.uname().machine
