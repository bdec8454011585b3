"""The way out as it is configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.dialer import CONCURRENCY, TIMEOUT, Dialer


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Where deliveries may go, and how many at once."""

    allow: AllowList = field(default_factory=AllowList)
    ca_file: Path | None = None
    """An authority that is trusted for allow-listed addresses, and for these only."""
    authorities: str | None = None
    """The same as PEM text, read before the process gave up the right to read the file."""
    timeout: timedelta = TIMEOUT
    concurrency: int = CONCURRENCY

    def dialer(self) -> Dialer:
        """Return a dialer; call it inside the event loop."""
        return Dialer(
            self.allow,
            ca_file=self.ca_file,
            authorities=self.authorities,
            timeout=self.timeout,
            concurrency=self.concurrency,
        )
