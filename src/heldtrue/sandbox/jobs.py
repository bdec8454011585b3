"""What is asked of the sandbox, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

MIB = 1 << 20
Language = Literal["python", "javascript", "builtin"]
Outcome = Literal["ok", "error", "timeout", "memory", "output", "crashed", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one run may use. Sizes in bytes; the kernel or the runner stops whatever goes beyond."""

    wall_ms: int = 5_000
    cpu_seconds: int = 5
    memory: int = 256 * MIB
    scratch: int = 64 * MIB
    files: int = 64
    processes: int = 16
    outputs: int = 100
    output_bytes: int = 8 * MIB
    """All outputs of a run together."""
    log_bytes: int = 64 * 1024
    question_bytes: int = MIB + 64 * 1024
    """One call to the broker, with its headers."""
    answer_bytes: int = 3 * MIB
    """What the broker answers to it."""


@dataclass(frozen=True, slots=True)
class JobFile:
    """Bytes as they came, with what their sender said of them."""

    name: str | None
    content_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """A file that a transform attached to an output: one of the payload's attachments, or bytes of the transform's."""

    of: int | None = None
    """The attachment's number; None: bytes."""
    name: str = ""
    content_type: str = ""
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One execution of one transform over one payload."""

    tenant: str
    """Opaque; a zygote that served one tenant never serves another."""
    language: Language
    code: bytes = field(repr=False)
    """Defines `transform(payload, context)`; for `builtin` the name of a shipped transform."""
    payload: JobFile
    meta: Mapping[str, Any]
    """`{"id", "source", "received_at", "envelope"}` of the payload."""
    attachments: Sequence[JobFile] = ()
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The configuration of the customer's instance."""
    limits: RunLimits = RunLimits()
    egress: str | None = field(default=None, repr=False)
    """What the broker knows this run by; None: it calls nobody. The run itself is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run gave; nothing in it is trusted to be more than what that run wished to say."""

    outcome: Outcome
    outputs: tuple[bytes, ...] = field(default=(), repr=False)
    """One JSON document each (UTF-8), in order; empty when `transform` returned nothing."""
    files: tuple[tuple[OutputFile, ...], ...] = field(default=(), repr=False)
    """What is attached to each output; empty where nothing is attached to any."""
    logs: tuple[str, ...] = ()
    logs_cut: bool = False
    error: str | None = None
    """For the developer: the exception and the lines of their code; never a path of the host."""
    wall_ms: int
    cpu_ms: int
    peak_bytes: int | None
    sandbox: str
    """Identity of the environment: `sha256:…` over interpreter, sources, guest packages and level."""
    level: str
    """At which it was isolated; see `levels.Level`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Which walls stand, and what stands within them."""

    level: str
    """See `levels.Level`."""
    sandbox: str
    missing: Mapping[str, str]
    """Layer → why this machine does not have it."""
    memory_by: str
    """What holds the sum of memory: `cgroup2`, `cgroup1` or `supervised`."""
