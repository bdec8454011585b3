"""How many deliveries may be on their way, to each endpoint and in all, so that slow endpoints cannot take every slot.

An endpoint begins with a small window that grows with what it takes and shrinks with what it fails. Once half of all
slots are in use, endpoints that took nothing lately get one slot each; the last quarter is for those that did.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from heldtrue.capabilities.deliveries.dialer import Response
from heldtrue.capabilities.deliveries.schedule import THROTTLING, pause

STRANGER = 2
"""Slots of an endpoint that nothing is known of yet."""
LIVE = timedelta(seconds=2)
"""An endpoint that took a delivery within this time is served however crowded it is."""
SLOW = timedelta(seconds=1)
FORGET = timedelta(minutes=10)


@dataclass(slots=True)
class _Lane:
    """One endpoint, as this process knows it."""

    concurrency: int
    rate: float | None = None
    window: int = STRANGER
    under_way: deque[datetime] = field(default_factory=deque)
    delivered_at: datetime | None = None
    seen_at: datetime | None = None
    rest_until: datetime | None = None
    throttled: int = 0
    probing: bool = False
    tokens: float = 0.0
    filled_at: datetime | None = None

    def fill(self, now: datetime) -> None:
        """Add the tokens that came since the last look; a second's worth at most, one at least."""
        if self.rate is None:
            return
        most = max(self.rate, 1.0)
        if self.filled_at is None:
            self.tokens = most
        else:
            passed = max((now - self.filled_at).total_seconds(), 0.0)
            self.tokens = min(self.tokens + passed * self.rate, most)
        self.filled_at = now

    def live(self, now: datetime) -> bool:
        """Whether it took something lately."""
        return self.delivered_at is not None and now - self.delivered_at < LIVE


class Pace:
    """The sender's view of what it has under way; used from one thread."""

    def __init__(self, total: int, each: int) -> None:
        self._total = total
        self._each = each
        self._lanes: dict[UUID, _Lane] = {}
        self._count = 0

    @property
    def free(self) -> int:
        """How many more deliveries may be claimed."""
        return self._total - self._count

    def crowded(self, now: datetime, *, proven: bool) -> bool:
        """Return whether more is under way, to endpoints of this kind, than they would take on top of it."""
        lanes = [lane for lane in self._lanes.values() if lane.live(now) is proven]
        under_way = sum(len(lane.under_way) for lane in lanes)
        return under_way > min(sum(self._slots(lane, now) for lane in lanes), max(self.free, 0))

    @property
    def strangers(self) -> int:
        """How many slots an endpoint gets that nothing is known of."""
        return self._unproven(STRANGER)

    def room(self, now: datetime) -> dict[UUID, int]:
        """Return how many more each known endpoint takes."""
        for endpoint in [known for known, lane in self._lanes.items() if self._forgettable(lane, now)]:
            del self._lanes[endpoint]
        return {endpoint: self._slots(lane, now) for endpoint, lane in self._lanes.items()}

    def share(self, now: datetime, *, proven: bool) -> dict[UUID, int]:
        """Return the same of endpoints that took something lately, or of all others; 0 for those that are not meant."""
        return {known: slots if self.proven(known, now) is proven else 0 for known, slots in self.room(now).items()}

    def proven(self, endpoint: UUID, now: datetime) -> bool:
        """Whether *endpoint* took something lately."""
        lane = self._lanes.get(endpoint)
        return lane is not None and lane.live(now)

    def begin(
        self, endpoint: UUID, now: datetime, *, concurrency: int | None = None, rate: float | None = None,
        probe: bool = False,
    ) -> None:  # fmt: skip
        """Note that a delivery is under way, and the limits that its endpoint has now."""
        lane = self._lanes.setdefault(endpoint, _Lane(self._each))
        lane.concurrency = self._each if concurrency is None else concurrency
        if rate != lane.rate:
            lane.rate, lane.filled_at = rate, None
        lane.fill(now)
        lane.tokens -= 1.0
        lane.probing = lane.probing or probe
        lane.under_way.append(now)
        lane.seen_at = now
        self._count += 1

    def end(self, endpoint: UUID) -> None:
        """Note that a delivery is not under way any more."""
        lane = self._lanes.get(endpoint)
        if lane is None or not lane.under_way:
            return
        lane.under_way.popleft()
        lane.probing = lane.probing and bool(lane.under_way)
        self._count -= 1

    def answered(self, endpoint: UUID, response: Response, now: datetime) -> None:
        """Widen or narrow the endpoint's window; let it rest when it asked for that."""
        lane = self._lanes.setdefault(endpoint, _Lane(self._each))
        lane.seen_at = now
        if response.delivered:
            lane.window = min(lane.window * 2, max(lane.concurrency, 1))
            lane.delivered_at, lane.rest_until, lane.throttled = now, None, 0
            return
        lane.window = max(lane.window // 2, 1)
        if response.status in THROTTLING:
            lane.throttled += 1
            lane.rest_until = now + pause(lane.throttled, response.retry_after)

    def _slots(self, lane: _Lane, now: datetime) -> int:
        if lane.probing or (lane.rest_until is not None and now < lane.rest_until):
            return 0
        allowed = min(lane.concurrency, lane.window)
        if not lane.live(now):
            slow = bool(lane.under_way) and now - lane.under_way[0] >= SLOW
            allowed = self._unproven(1 if slow else allowed)
        lane.fill(now)
        tokens = allowed if lane.rate is None else int(lane.tokens)
        return max(min(allowed - len(lane.under_way), tokens), 0)

    def _unproven(self, wanted: int) -> int:
        if self._count >= self._total * 3 // 4:
            return 0
        return min(wanted, 1) if self._count >= self._total // 2 else wanted

    @staticmethod
    def _forgettable(lane: _Lane, now: datetime) -> bool:
        resting = lane.rest_until is not None and now < lane.rest_until
        return not lane.under_way and not resting and (lane.seen_at is None or now - lane.seen_at >= FORGET)
