"""What is sent to be recorded of a probe, and what a list of recorded ones shows: closed words, counts, digests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from heldtrue.capabilities.probe.model import Check, Ended, Outcome, Unmade

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$(?!\\n)")]
Host = Annotated[str, msgspec.Meta(pattern="^[a-z0-9:._-]{1,253}$(?!\\n)", description="The target's host name.")]
Number = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Coverage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much was tried."""

    routes: Number
    judged: Number
    not_judged: Number
    checks_made: Number
    checks_not_made: Number
    requests: Number


class RecordProbe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of one run of `heldtrue probe`."""

    target_sha256: Sha256
    """SHA-256 of the target's host name in lower case."""
    started_at: Moment
    finished_at: Moment
    ended: Ended
    coverage: Coverage
    report_sha256: Sha256
    """SHA-256 of the full report in canonical JSON (RFC 8785)."""
    tool_version: Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z.+-]{1,40}$(?!\\n)")]
    source_sha256: Sha256
    not_judged: dict[Unmade, Number] = {}
    checks: dict[Check, Number] = {}
    findings: dict[Check, Number] = {}
    target: Host | None = None
    """The host name itself, to be published; null to publish its digest only."""


class RecordedProbe(msgspec.Struct, frozen=True, kw_only=True):
    """A probe in the log: a proof file of `heldtrue-verify proof` once `proof` is there."""

    id: str
    """Of its entry in the log."""
    recorded_at: datetime
    outcome: Outcome
    entry: dict[str, Any]
    """The signed document, as the log has it."""
    proof: str | None
    """`tlog-proof` text; null until a signed checkpoint covers the entry."""
