"""How many connections there are, from whom, and how often each source was refused; used from one thread."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from heldtrue.capabilities.mail.terms import Terms
from heldtrue.http.limits import Gcra


class Guard:
    """Admits connections, and counts what each source does."""

    def __init__(self, terms: Terms, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._terms = terms
        self._open: Counter[str] = Counter()
        self._arrivals = Gcra("connections", terms.connection_rate, monotonic)
        self._refusals = Gcra("refusals", terms.refusal_rate, monotonic)
        self._organisations = Gcra("organisation", terms.organisation_rate, monotonic)

    def enter(self, source: str) -> str | None:
        """Count a connection of *source* and return None, or return why it is not let in (a closed word)."""
        if self._open.total() >= self._terms.connections:
            return "smtp-connections"
        if self._open[source] >= self._terms.connections_per_source:
            return "smtp-connections-of-source"
        if not self._refusals.look(source).admitted:
            return "smtp-refused-too-often"
        if not self._arrivals.take(source).admitted:
            return "smtp-connection-rate"
        self._open[source] += 1
        return None

    def leave(self, source: str) -> None:
        """Count the end of a connection that was let in."""
        self._open[source] -= 1
        if not self._open[source]:
            del self._open[source]

    def refused(self, source: str) -> bool:
        """Count a refused command of *source*; return whether it may go on."""
        return self._refusals.take(source).admitted

    def message(self, organisation: str) -> float | None:
        """Count a message for *organisation*; return None, or the seconds after which there is room."""
        standing = self._organisations.take(organisation)
        return None if standing.admitted else standing.retry_after

    @property
    def open(self) -> int:
        """How many connections there are."""
        return self._open.total()


class Memory:
    """The clear text of messages under way, counted in bytes; used from one thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    def take(self, size: int) -> bool:
        """Reserve *size* bytes; False where there is no room."""
        if self._held + size > self._most:
            return False
        self._held += size
        return True

    def give_back(self, size: int) -> None:
        """Free *size* bytes."""
        self._held -= size

    @property
    def held(self) -> int:
        """How many bytes are reserved."""
        return self._held
