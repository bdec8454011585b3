"""Whether requests can be served: each check with what to do when it fails."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from heldtrue.app.pulse import Pulse
from heldtrue.capabilities.edge.model import STALE_AFTER
from heldtrue.db.tx import Database
from heldtrue.http.ports import Check
from heldtrue.kernel.clock import SystemClock
from heldtrue.kernel.errors import HeldtrueError

SILENT = 15.0
"""Seconds after which a part of the worker counts as gone."""
LEAST_FREE = 256 * 1024 * 1024
WATCHED = ("deliveries", "log")
REFUSED = 1
"""What the log's part leaves in the pulse while nothing is signed."""


class Health:
    """The checks behind `/readyz`."""

    def __init__(
        self, database: Database, pulse: Pulse, clock: SystemClock, data: Path, feed_age: Callable[[], float]
    ) -> None:
        self._database, self._pulse, self._clock, self._data = database, pulse, clock, data
        self._feed_age = feed_age

    def checks(self) -> Sequence[Check]:
        """Return every check. Blocking."""
        return [self._base(), self._feed(), *(self._part(part) for part in WATCHED), self._time(), self._room()]

    def _base(self) -> Check:
        try:
            self._database.ping()
        except HeldtrueError as error:
            return Check("database", ok=False, note=error.message)
        return Check("database", ok=True)

    def _feed(self) -> Check:
        age = self._feed_age()
        if age <= STALE_AFTER:
            return Check("feed", ok=True)
        since = "has not come yet" if math.isinf(age) else f"is {age:.0f} s old"
        return Check("feed", ok=False, note=f"what is known of keys {since}, so nobody is let in")

    def _part(self, part: str) -> Check:
        silence = self._pulse.silence(part)
        if silence is None or silence > SILENT:
            return Check(part, ok=False, note="has not come round; the worker is being started again")
        if part == "log" and self._pulse.number(part) == REFUSED:
            return Check(part, ok=False, note="signs nothing; run `heldtrue doctor`")
        return Check(part, ok=True)

    def _time(self) -> Check:
        behind = self._clock.behind().total_seconds()
        if behind > 1.0:
            return Check("clock", ok=False, note=f"the machine's clock went back {behind:.0f} s; time stands still")
        return Check("clock", ok=True)

    def _room(self) -> Check:
        free = shutil.disk_usage(self._data).free
        if free < LEAST_FREE:
            return Check("disk", ok=False, note=f"{free // 1_000_000} MB free; nothing large is accepted")
        return Check("disk", ok=True)
