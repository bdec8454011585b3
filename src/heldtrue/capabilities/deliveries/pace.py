"""How many deliveries may be on their way, to each endpoint and in all, and which endpoints rest."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.deliveries.schedule import THROTTLING, pause


class Pace:
    """The sender's view of what it has under way; used from one thread."""

    def __init__(self, total: int, each: int) -> None:
        self._total = total
        self._each = each
        self._under_way: Counter[UUID] = Counter()
        self._resting: dict[UUID, tuple[datetime, int]] = {}

    @property
    def free(self) -> int:
        """How many more deliveries may be claimed."""
        return self._total - self._under_way.total()

    def room(self, now: datetime) -> dict[UUID, int]:
        """Return how many more each endpoint takes, for those that take fewer than all."""
        room = {endpoint: max(self._each - count, 0) for endpoint, count in self._under_way.items()}
        for endpoint, (until, _) in self._resting.items():
            if now < until:
                room[endpoint] = 0
        return room

    def begin(self, endpoint: UUID) -> None:
        """Note that a delivery is under way."""
        self._under_way[endpoint] += 1

    def end(self, endpoint: UUID) -> None:
        """Note that a delivery is not under way any more."""
        self._under_way[endpoint] -= 1
        if self._under_way[endpoint] <= 0:
            del self._under_way[endpoint]

    def answered(self, endpoint: UUID, response: Response, now: datetime) -> None:
        """Let the endpoint rest when it asked for that; forget its rest when it took a delivery."""
        if response.status in THROTTLING:
            _, consecutive = self._resting.get(endpoint, (now, 0))
            self._resting[endpoint] = (now + pause(consecutive + 1, response.retry_after), consecutive + 1)
        elif response.delivered:
            self._resting.pop(endpoint, None)
