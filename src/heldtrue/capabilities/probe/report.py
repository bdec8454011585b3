"""The report of a run: everything for the operator, and closed words and counts for the log."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from heldtrue.attack import path_of
from heldtrue.capabilities.ledger.model import canonical, instant
from heldtrue.capabilities.probe.model import Ended, Finding, Outcome, RouteResult, counted, outcome

VERSION = 1
MODULES = tuple(
    f"heldtrue.capabilities.probe.{name}"
    for name in (
        "assess",
        "file",
        "inventory",
        "judge",
        "model",
        "plan",
        "report",
        "runner",
        "sender",
        "values",
        "wallet",
    )
)
"""The modules that decide what a probe sends and what it sees."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one run."""

    target: str
    """The base URL."""
    started_at: datetime
    finished_at: datetime
    requests: int
    ended: Ended
    results: Sequence[RouteResult]
    version: str

    @property
    def findings(self) -> list[Finding]:
        """Every finding, in the order of the routes."""
        return [finding for result in self.results for finding in result.findings]

    @property
    def judged(self) -> int:
        """How many routes were judged."""
        return sum(result.judged for result in self.results)

    @property
    def outcome(self) -> Outcome:
        """What the run says."""
        return outcome(self.ended, self.judged, len(self.findings))

    def coverage(self) -> dict[str, int]:
        """Return what was tried, in counts."""
        return {
            "routes": len(self.results),
            "judged": self.judged,
            "not_judged": len(self.results) - self.judged,
            "checks_made": sum(len(result.made) for result in self.results),
            "checks_not_made": sum(len(result.unmade) for result in self.results),
            "requests": self.requests,
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything; credentials are in none of it."""
        return {
            "v": VERSION,
            "target": self.target,
            "started_at": instant(self.started_at),
            "finished_at": instant(self.finished_at),
            "outcome": str(self.outcome),
            "ended": str(self.ended),
            "coverage": self.coverage(),
            "statement": self.statement(),
            "findings": [finding.to_json() for finding in self.findings],
            "routes": [result.to_json() for result in self.results],
            "tool": {"version": self.version, "source_sha256": source_sha256()},
        }

    def statement(self) -> str:
        """Return the coverage as a sentence that claims no more than what was tried."""
        some = self.coverage()
        kinds = sorted({check for result in self.results for check in result.made})
        return (
            f"{some['judged']} of {some['routes']} routes were judged by {some['checks_made']} checks of"
            f" {len(kinds)} kinds in {some['requests']} requests; nothing is said of the other {some['not_judged']}"
            f" routes and of {some['checks_not_made']} checks that were not made."
        )

    def record(self, *, publish_target: bool) -> dict[str, Any]:
        """Return the members that are sent to be recorded: closed words, counts and digests."""
        host = (urlsplit(self.target).hostname or "").lower()
        return {
            "target": host if publish_target else None,
            "target_sha256": hashlib.sha256(host.encode()).hexdigest(),
            "started_at": instant(self.started_at),
            "finished_at": instant(self.finished_at),
            "ended": str(self.ended),
            "coverage": self.coverage(),
            "not_judged": counted([result.not_judged for result in self.results if result.not_judged is not None]),
            "checks": counted([check for result in self.results for check in result.made]),
            "findings": counted([finding.check for finding in self.findings]),
            "report_sha256": hashlib.sha256(canonical(self.to_json())).hexdigest(),
            "tool_version": self.version,
            "source_sha256": source_sha256(),
        }


def source_sha256() -> str:
    """Return SHA-256 over the sources, as `sha256sum FILES | sha256sum` prints it when run in `src/`."""
    lines: list[str] = []
    for name in MODULES:
        file = Path(importlib.import_module(name).__file__ or "")
        lines.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {path_of(name, file)}\n")
    return hashlib.sha256("".join(sorted(lines, key=lambda line: line[66:])).encode()).hexdigest()
