"""Assemble classic BPF for seccomp: the few instructions that an allow-list needs, and nothing else.

A program is a list of blocks, one a system call; every block ends in a return, so that no jump reaches further than
its block.
Source: `linux/filter.h`, `linux/seccomp.h`, seccomp(2).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
KILL_PROCESS, ERRNO, ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
X32_BIT = 0x4000_0000
LONGEST = 4096
"""BPF_MAXINSNS: the kernel takes no longer program."""

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Masked:
    """Hold when the low 32 bits of an argument, masked, equal a value."""

    argument: int
    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """Hold when an argument, all 64 bits of it, is one of some values below 2**32."""

    argument: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NotAll:
    """Hold unless all of some low bits of an argument are set."""

    argument: int
    mask: int


Check = Masked | OneOf | NotAll


@dataclass(frozen=True, slots=True)
class Rule:
    """Allow a system call when every check holds; answer *otherwise* (an errno) when one does not."""

    number: int
    checks: tuple[Check, ...] = ()
    otherwise: int = 1
    never: bool = False
    """Answer *otherwise* whatever the arguments are."""


def program(architecture: int, rules: Sequence[Rule], *, default: int) -> bytes:
    """Return the filter: a foreign architecture or the x32 interface kills, a call without a rule answers errno
    *default*.
    """
    lines: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, X32_BIT),
        (RETURN, 0, 0, KILL_PROCESS),
    ]
    for rule in rules:
        body = _body(rule)
        lines += [(EQUAL, 0, len(body), rule.number), *body]
    lines.append((RETURN, 0, 0, ERRNO | default))
    if len(lines) > LONGEST:
        raise ValueError(f"the filter has {len(lines)} instructions; the kernel takes {LONGEST}")
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _body(rule: Rule) -> list[Instruction]:
    refuse: Instruction = (RETURN, 0, 0, ERRNO | rule.otherwise)
    if rule.never:
        return [refuse]
    lines: list[Instruction] = []
    for check in rule.checks:
        lines += _one_of(check, refuse) if isinstance(check, OneOf) else _masked(check, refuse)
    return [*lines, (RETURN, 0, 0, ALLOW)]


def _masked(check: Masked | NotAll, refuse: Instruction) -> list[Instruction]:
    compare: Instruction = (EQUAL, 1, 0, check.value) if isinstance(check, Masked) else (EQUAL, 0, 1, check.mask)
    return [(LOAD, 0, 0, ARGUMENTS_AT + 8 * check.argument), (AND, 0, 0, check.mask), compare, refuse]


def _one_of(check: OneOf, refuse: Instruction) -> list[Instruction]:
    low = ARGUMENTS_AT + 8 * check.argument  # both architectures are little-endian
    count = len(check.values)
    lines: list[Instruction] = [(LOAD, 0, 0, low + 4), (EQUAL, 1, 0, 0), refuse, (LOAD, 0, 0, low)]
    lines += [(EQUAL, count - index, 0, value) for index, value in enumerate(check.values)]
    return [*lines, refuse]
