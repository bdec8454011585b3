"""Landlock: files, network and signals denied to a process by its own wish, as far as the kernel knows how
(landlock(7)).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

from heldtrue.sandbox.jail import syscalls
from heldtrue.sandbox.jail.calls import LIBC, CallError, check

_VERSION = 1
_RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
MAKE_DIR, MAKE_REG, TRUNCATE = 1 << 7, 1 << 8, 1 << 14
READ_ONLY = EXECUTE | READ_FILE | READ_DIR
READ_WRITE = READ_FILE | READ_DIR | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
_FILES_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_FILES = (1 << 16) - 1
_NET = 3
_SCOPE = 3


def abi() -> int:
    """Return the version of Landlock that this kernel speaks; 0 when it speaks none."""
    return max(0, LIBC.syscall(syscalls.LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION))


def restrict(read: Sequence[str], write: Sequence[str], *, files: bool, net: bool, scope: bool) -> None:
    """Deny everything but reading *read* and changing *write*; every TCP port; signals and abstract sockets of
    others.
    """
    version = abi()
    if version < 1:
        raise CallError(ctypes.get_errno(), "landlock_create_ruleset")
    handled = _FILES_BY_ABI.get(version, _ALL_FILES) if files else 0
    attributes = struct.pack("=QQQ", handled, _NET if net else 0, _SCOPE if scope else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    number = LIBC.syscall(syscalls.LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    ruleset = check(number, "landlock_create_ruleset")
    try:
        if files:
            for path in read:
                _allow(ruleset, path, READ_ONLY & handled)
            for path in write:
                _allow(ruleset, path, READ_WRITE & handled)
        check(LIBC.syscall(syscalls.LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        rule = struct.pack("=Qi", access, place)
        answer = LIBC.syscall(syscalls.LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        check(answer, "landlock_add_rule")
    finally:
        os.close(place)
