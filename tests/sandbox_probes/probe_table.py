"""The probes as a table: what attacks, and which layers stop it, each of them alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heldtrue.sandbox.levels import Layers

GUEST = Path(__file__).parent / "guest"
ROOT = os.geteuid() == 0
NAMESPACES = frozenset({"pid", "mount", "net", "ipc", "uts", "cgroup_ns"})
LANDLOCK = frozenset({"landlock_files", "landlock_net", "landlock_scope"})
FILES = frozenset({"mount", "landlock_files"})
SECCOMP = frozenset({"seccomp"})
ONCE = frozenset({"single_use"})
ANOTHER = frozenset({"user", *LANDLOCK})
"""What keeps a process from inspecting another one."""
FOREIGN = frozenset({"service_user", "caps"})
"""What does so when the sandbox was started by root: another user, or no capability."""


def own_groups() -> list[str]:
    """Return the control groups of this process that are not the top."""
    paths = [line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()]
    return sorted({path for path in paths if path != "/"})


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One attack. *stops* are the layers of which any single one stops it, whoever runs the sandbox."""

    name: str
    theme: str
    stops: frozenset[str]
    root: frozenset[str] = frozenset()
    """Layers that stop it, too, when the sandbox is started by root."""
    tester: frozenset[str] = frozenset()
    """Layers that stop it, too, when an ordinary user starts the sandbox."""
    bites: str = "both"
    """Who can do it at all without any layer: `both`, `root`, `tester` (an ordinary user), or `nobody` here."""
    beside: frozenset[str] = frozenset()
    """Layers that stand in every trial of this probe, because a layer of *stops* means nothing without them."""
    forks: bool = False
    """It forks. RLIMIT_NPROC counts every process of the user where no user namespace bounds the count, and may
    hinder it by chance; and where no pid namespace ends what it forks, seccomp lets it make threads alone."""
    ends: frozenset[str] = frozenset()
    """Outcomes, besides an orderly refusal, by which it may be stopped."""
    limits: dict[str, int] = field(default_factory=dict[str, int])
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    reached: int = 1
    """What it must return at least to have escaped."""
    patient: float = 0.0
    """Seconds that it stays where a layer that looks on now and then is to notice it."""
    survives: bool = False
    """It has escaped when a process of its lives on after the run, whatever it returned."""
    first: str | None = None
    """An attack of the same theme that another run makes before it."""

    def __str__(self) -> str:
        return self.name

    @property
    def layers(self) -> frozenset[str]:
        """Return the layers that stop it here."""
        return self.stops | (self.root if ROOT else self.tester)

    @property
    def possible(self) -> bool:
        """Say whether who runs the tests could do it without any layer."""
        return self.bites in {"both", "root" if ROOT else "tester"}

    def code(self, attack: str | None = None) -> str:
        """Return the transform."""
        return code_of(self.theme)


def code_of(theme: str) -> str:
    """Return the source of a theme with its prelude and the entry."""
    entry = "\n\ndef transform(payload, context):\n    return answered(globals()[context['attack']], context)\n"
    return "\n\n".join((GUEST / f"{name}.py").read_text() for name in ("prelude", theme)) + entry


def in_force(names: frozenset[str]) -> frozenset[str]:
    """Return what stands with these: filters need no_new_privs, an ordinary user's namespaces a user namespace."""
    stand = set(names)
    if stand & {*LANDLOCK, "seccomp"}:
        stand.add("no_new_privs")
    if stand & NAMESPACES and (not ROOT or "service_user" in stand):
        stand.add("user")
    return frozenset(stand)


ALL = frozenset(Layers().plain())


def rows(theme: str, *names: str, **common: Any) -> list[Probe]:
    """Return probes that differ in name alone."""
    return [Probe(name=name, theme=theme, **common) for name in names]


READING = [
    Probe(name="own_environment", theme="reading", stops=frozenset({"empty_env"})),
    Probe(
        # CAP_PERFMON reads a foreign environment past Landlock's domains, so these count for an ordinary user alone;
        # and the zygote, which is of the same user as the run, has the environment too where it is not emptied
        name="server_environment",
        theme="reading",
        stops=frozenset({"user", *FILES}),
        root=frozenset({"caps"}),
        tester=LANDLOCK,
    ),
    Probe(name="first_process", theme="reading", stops=FILES),
    Probe(name="server_memory_by_file", theme="reading", stops=ANOTHER | FILES, root=FOREIGN),
    Probe(name="server_memory_by_call", theme="reading", stops=ANOTHER | SECCOMP | {"pid"}, root=FOREIGN),
    Probe(name="ptrace_another", theme="reading", stops=ANOTHER | SECCOMP | {"pid"}, root=FOREIGN, forks=True),
    Probe(name="inherited_descriptor", theme="reading", stops=frozenset({"close_fds"})),
]
FILE = [
    *rows("files", "read_host_file", "write_host_file", "host_device", stops=FILES),
    *rows("files", "symbolic_link", "hard_link", stops=FILES | SECCOMP),
    Probe(name="device_node", theme="files", stops=FILES | SECCOMP | {"user"}, root=FOREIGN, bites="root"),
    Probe(name="existence", theme="files", stops=frozenset({"mount"})),
    # a read-only bind of the host's libraries is a way to the file system that they lie on: `mount` is no wall here
    Probe(name="file_handle", theme="files", stops=SECCOMP | {"user", "landlock_files"}, root=FOREIGN, bites="root"),
]
NETWORK = [
    *rows("network", "tcp_loopback", "tcp_mapped", stops=SECCOMP | {"net", "landlock_net"}),
    # Landlock's rule is about connect(2) and bind(2) of TCP: not about sending first, other protocols, datagrams
    *rows("network", "tcp_fast_open", "multipath_tcp", "datagram", "metadata_address", stops=SECCOMP | {"net"}),
    Probe(name="unix_path", theme="network", stops=SECCOMP | {"mount"}),
    Probe(name="abstract_socket", theme="network", stops=SECCOMP | {"net", "landlock_scope"}),
    Probe(name="datagram_pair_path", theme="network", stops=SECCOMP | {"mount"}),
    Probe(name="datagram_pair_abstract", theme="network", stops=SECCOMP | {"net", "landlock_scope"}),
    *rows("network", "vsock", "netlink", stops=SECCOMP),
    Probe(name="raw_socket", theme="network", stops=SECCOMP, forks=True),
]
INTERFACE = [
    # a ring's memory counts as locked; who may lock without limit is not held by it
    Probe(name="io_uring", theme="interfaces", stops=SECCOMP | {"rlimits"}, beside=frozenset({"caps"})),
    *rows("interfaces", "key_ring", "userfault", "perf", "watch_everything", stops=SECCOMP),
    *rows("interfaces", "bpf", "kernel_log", stops=SECCOMP | {"user"}, root=FOREIGN, bites="root"),
    *rows("interfaces", "nested_namespaces", "new_mounting", "clone3", stops=SECCOMP, forks=True),
    Probe(name="mounting", theme="interfaces", stops=SECCOMP | {"landlock_files"}, forks=True),
    Probe(name="x32", theme="interfaces", stops=SECCOMP, ends=frozenset({"crashed"})),
    *rows("interfaces", "interrupt_80", "memory_file_executed", "rwx_two_views", stops=SECCOMP, forks=True),
    *rows("interfaces", "written_program", "host_program", "rwx_file", stops=SECCOMP | FILES, forks=True),
    Probe(
        name="exec_as_root",
        theme="interfaces",
        stops=SECCOMP | FILES | {"user", "no_new_privs"},
        bites="tester",
        forks=True,
    ),
    *rows(
        "interfaces",
        "rwx_anonymous",
        "rwx_later",
        "rwx_personality",
        "rwx_segment",
        stops=SECCOMP | {"mdwe"},
        forks=True,
    ),
    # what is not dumpable belongs to root in /proc, and root with its capabilities inspects it all the same
    Probe(name="rwx_proc_mem", theme="interfaces", stops=SECCOMP | FILES, tester=frozenset({"undumpable"}), forks=True),
    Probe(
        name="rwx_ptrace", theme="interfaces", stops=SECCOMP | {"undumpable"}, beside=frozenset({"caps"}), forks=True
    ),
    Probe(
        name="terminal_injection",
        theme="interfaces",
        stops=SECCOMP | FILES,
        root=frozenset({"service_user"}),
        forks=True,
    ),
    Probe(
        name="kill_another",
        theme="interfaces",
        stops=SECCOMP | {"pid", "landlock_scope"},
        root=frozenset({"service_user"}),
    ),
    Probe(name="host_name", theme="interfaces", stops=frozenset({"uts"})),
    # on a machine where the server is in no group of its own there is nothing to learn
    Probe(
        name="host_control_group",
        theme="interfaces",
        stops=FILES | {"cgroup_ns"},
        bites="both" if own_groups() else "nobody",
    ),
    Probe(name="shared_segment", theme="interfaces", stops=SECCOMP | {"ipc"}),
]
TENANT = [
    Probe(name="previous_globals", theme="tenants", stops=frozenset({"single_use"}), first="leave"),
    # whoever stays in the same process stays in the same namespaces
    Probe(name="previous_files", theme="tenants", stops=FILES, first="leave", beside=ONCE),
    Probe(name="previous_segment", theme="tenants", stops=SECCOMP | {"ipc"}, first="leave", beside=ONCE),
    Probe(name="previous_key", theme="tenants", stops=SECCOMP | {"user"}, first="leave", beside=ONCE),
]
MIB = 1 << 20
SHORT_OF_MEMORY = {"memory": 64 * MIB, "wall_ms": 60_000, "processes": 32}
KILLED = frozenset({"memory", "crashed"})
BOMB = [
    # root as such is not counted by RLIMIT_NPROC: the run must be somebody else's; a control group is made for a run
    # that is alone in its process
    Probe(
        name="fork_bomb",
        theme="bombs",
        stops=frozenset({"rlimits", "cgroup"}),
        beside=ONCE | {"service_user"},
        reached=80,
        forks=True,
        context={"bound": 80},
        limits={"processes": 16, "wall_ms": 60_000},
    ),
    Probe(
        name="memory_bomb",
        theme="bombs",
        stops=frozenset({"rlimits", "cgroup", "supervised"}),
        reached=160,
        ends=KILLED,
        patient=30,
        beside=ONCE,
        context={"bound": 160},
        limits=SHORT_OF_MEMORY,
    ),
    # an rlimit is each process's own: it does not know the sum
    Probe(
        name="memory_spread",
        theme="bombs",
        stops=frozenset({"cgroup", "supervised"}),
        ends=KILLED,
        patient=30,
        forks=True,
        beside=ONCE,
        context={"bound": 40, "parts": 4},
        limits=SHORT_OF_MEMORY,
    ),
    # killing goes to the first process of a namespace; where there is none, seccomp lets a run make threads alone
    Probe(
        name="double_fork",
        theme="bombs",
        stops=frozenset({"pid", "seccomp"}),
        beside=ONCE,
        forks=True,
        survives=True,
    ),
    Probe(
        name="deaf",
        theme="bombs",
        stops=frozenset({"rlimits", "supervised"}),
        beside=ONCE,
        ends=KILLED | {"timeout"},
        context={"seconds": 3},
        limits={"cpu_seconds": 1, "wall_ms": 60_000},
    ),
    *rows("bombs", "scratch_bomb", stops=FILES, reached=24, context={"bound": 24}, limits={"scratch": 8 * MIB}),
    *rows("bombs", "inode_bomb", stops=FILES, reached=5000, context={"bound": 5000}),
    # without a root of its own a run has no directory to write to under Landlock: with one, this limit alone decides
    *rows(
        "bombs",
        "large_file",
        stops=frozenset({"rlimits"}),
        beside=frozenset({"mount"}),
        context={"bound": 100},
        limits={"scratch": 8 * MIB},
    ),
    *rows(
        "bombs",
        "descriptor_bomb",
        stops=frozenset({"rlimits"}),
        reached=200,
        context={"bound": 200},
        limits={"files": 64},
    ),
]
PROBES: list[Probe] = [*READING, *FILE, *NETWORK, *INTERFACE, *TENANT, *BOMB]
