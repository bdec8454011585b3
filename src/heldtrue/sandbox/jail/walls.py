"""The order in which the walls go up around a run; each step names itself in its error."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from heldtrue.sandbox.jail import calls, landlock, root
from heldtrue.sandbox.jail.allowed import allow_list
from heldtrue.sandbox.jail.layers import Layers
from heldtrue.sandbox.jail.syscalls import machine


class WallError(Exception):
    """A wall could not be put up; the run must not begin."""

    def __init__(self, layer: str, why: str) -> None:
        super().__init__(f"{layer}: {why}")
        self.layer = layer
        self.why = why


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the kernel is told a run may have at most."""

    memory: int
    scratch: int
    files: int
    processes: int
    cpu_seconds: int


@dataclass(frozen=True, slots=True)
class Ground:
    """What the walls stand on: the host's /proc, who we are outside, where the image's /usr is, what stays open."""

    proc: int
    outer_uid: int
    outer_gid: int
    libraries: str
    keep: frozenset[int]


@contextmanager
def wall(layer: str) -> Generator[None]:
    """Turn what goes wrong within into an error that names *layer*."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise WallError(layer, str(error)) from error


def namespaces(layers: Layers, *, privileged: bool) -> int:
    """Return the flags of `clone`; without privilege a namespace needs a user namespace to own it."""
    flags = 0
    for wanted, flag in (
        (layers.pid, calls.NEW_PID), (layers.mount, calls.NEW_NS), (layers.net, calls.NEW_NET),
        (layers.ipc, calls.NEW_IPC), (layers.uts, calls.NEW_UTS), (layers.cgroup_ns, calls.NEW_CGROUP),
    ):  # fmt: skip
        flags |= flag if wanted else 0
    if layers.user or (flags and not privileged):
        flags |= calls.NEW_USER
    return flags


def build(layers: Layers, ceilings: Ceilings, ground: Ground, flags: int) -> None:
    """Put up the walls, in the only order in which all of them hold."""
    if flags & calls.NEW_USER:
        with wall("user namespace"):
            root.map_ids(ground.proc, ground.outer_uid, ground.outer_gid)
    if layers.uts:
        with wall("uts namespace"):
            calls.set_host_name(b"sandbox")
    if layers.close_fds:
        with wall("descriptors"):
            calls.close_all_but({0, 1, 2, *ground.keep})
    if layers.mount:
        with wall("root"):
            root.enter_empty(ceilings.scratch, ground.libraries)
    if layers.rlimits:
        with wall("limits"):
            limit(ceilings)
    if layers.caps:
        with wall("capabilities"):
            calls.drop_capabilities()
    _signals(layers)
    _promises(layers, ground)
    if layers.seccomp:
        with wall("seccomp"):
            calls.install_filter(allow_list(machine(), alone=os.getpid()) if not layers.pid else _filter())


@cache
def _filter() -> bytes:
    return allow_list(machine())


def prepare(proc: int) -> None:
    """Do in the zygote what is the same for every run: assemble the filter, and see how much is mapped."""
    _filter()
    descriptor = os.open("self/statm", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        _MAPPED[0] = int(os.read(descriptor, 100).split()[0]) * resource.getpagesize()
    finally:
        os.close(descriptor)


def _signals(layers: Layers) -> None:
    """Ask to die with the zygote, after the capabilities went: their change takes the wish back, silently."""
    if layers.death_signal:
        with wall("death signal"):
            calls.prctl(calls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if layers.undumpable:
        with wall("undumpable"):
            calls.prctl(calls.PR_SET_DUMPABLE, 0)


def _promises(layers: Layers, ground: Ground) -> None:
    if layers.no_new_privs or layers.landlock or layers.seccomp:
        with wall("no_new_privs"):
            calls.prctl(calls.PR_SET_NO_NEW_PRIVS, 1)
    if layers.mdwe:
        with wall("mdwe"):
            calls.prctl(calls.PR_SET_MDWE, calls.MDWE_REFUSE_EXEC_GAIN)
    if layers.landlock:
        with wall("landlock"):
            landlock.restrict(
                [ground.libraries], [root.SCRATCH] if layers.mount else [],
                files=layers.landlock_files, net=layers.landlock_net, scope=layers.landlock_scope,
            )  # fmt: skip


def limit_values(ceilings: Ceilings, *, mapped: int) -> tuple[tuple[int, int], ...]:
    """Return (rlimit, value); *mapped* bytes of address space are the warm interpreter's own."""
    return (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_SIGPENDING, 64),
        (resource.RLIMIT_STACK, 8 << 20),
        (resource.RLIMIT_FSIZE, ceilings.scratch),
        (resource.RLIMIT_NOFILE, ceilings.files),
        (resource.RLIMIT_NPROC, ceilings.processes),
        (resource.RLIMIT_AS, ceilings.memory + mapped),
    )


def limit(ceilings: Ceilings) -> None:
    """Set the rlimits, hard and soft alike: a soft signal would not stop a namespace's first process."""
    for which, asked in limit_values(ceilings, mapped=address_space()):
        hard = resource.getrlimit(which)[1]
        lowest = asked if hard == resource.RLIM_INFINITY else min(asked, hard)
        resource.setrlimit(which, (lowest, lowest))
    resource.setrlimit(resource.RLIMIT_CPU, (ceilings.cpu_seconds, ceilings.cpu_seconds + 1))


def address_space() -> int:
    """Return how many bytes the warm interpreter has mapped; the zygote looked, because a run sees no /proc."""
    return _MAPPED[0]


_MAPPED = [512 << 20]
