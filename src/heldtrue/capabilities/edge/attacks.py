"""Attacks on the edge: use a key after its revocation, from many callers at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.caller import Caller

ROUNDS, CALLERS = 5, 3
PACE = 0.05
"""Seconds between two requests of a caller: its organisation's limit is not what is tried here."""
PROMISED = 1.0
"""Seconds after its confirmed revocation at which a key must be refused everywhere."""
GIVEN_UP = 1.5
"""Seconds after which a caller that is still let in has seen enough."""


@dataclass(slots=True)
class _Round:
    """One key's last moments, as its callers see them; times by `time.monotonic`."""

    secret: str
    confirmed: float | None = None
    """When the revocation was answered."""
    worked: list[float] = field(default_factory=list[float])
    """When each request began that was let in."""
    refused: int = 0
    odd: list[int] = field(default_factory=list[int])

    def use(self, caller: Caller) -> None:
        """Use the key until it is refused."""
        while True:
            began = time.monotonic()
            try:
                status = caller.call("GET", "/v1/self", self.secret, patient=False).status
            except AttackHinderedError:
                status = 0
            if status == 200:
                self.worked.append(began)
            elif status == 401:
                self.refused += 1
                return
            elif status != 429:
                self.odd.append(status)
                return
            if self.confirmed is not None and began - self.confirmed > GIVEN_UP:
                return
            time.sleep(PACE)


def revocation_time(arena: Arena) -> Finding:
    """Revoke keys that several callers are using, and see for how long each is still let in."""
    one, _ = arena.probes()
    longest = late = requests = rounds = 0
    while rounds < ROUNDS and not late:
        rounds += 1
        issued = arena.caller.call("POST", "/v1/keys", one.admin, {"name": "probe", "role": "reader"}).expect(201)
        seen = _Round(issued.json()["secret"])
        callers = [arena.caller.twin() for _ in range(CALLERS)]
        threads = [threading.Thread(target=seen.use, args=[caller]) for caller in callers]
        for thread in threads:
            thread.start()
        arena.until("the first answer", lambda seen=seen: len(seen.worked) >= CALLERS or seen.odd or None)
        sent = time.monotonic()
        arena.caller.call("DELETE", f"/v1/keys/{issued.json()['id']}", one.admin).expect(200)
        seen.confirmed = time.monotonic()
        for thread in threads:
            thread.join()
        for caller in callers:
            requests += caller.requests
            caller.close()
        if seen.odd:
            raise AttackHinderedError(f"a caller was answered {seen.odd[0]}")
        longest = max(longest, _milliseconds(seen.worked, sent))
        late += sum(began - seen.confirmed > PROMISED for began in seen.worked)
    faults = [f"{late} requests were let in more than a second after the revocation of their key."] if late else []
    return judged(
        faults,
        f"Each of {ROUNDS} keys was refused to {CALLERS} callers that were using it; the last request that was let in "
        f"began {longest} ms after the revocation was sent.",
        keys=rounds,
        callers=rounds * CALLERS,
        requests=requests,
        longest_milliseconds=longest,
    )


def _milliseconds(worked: Sequence[float], since: float) -> int:
    """Return how long after *since* the last request began that was let in, in milliseconds; 0 when none did."""
    return max(0, round((max(worked) - since) * 1000))


ATTACKS = (
    Attack(
        name="access.revocation_time",
        place=Place.SYNTHETIC,
        tries=(
            "Issue a key to a synthetic organisation, and have several callers use it without a pause.",
            "Revoke it, and measure when the last request began that was still let in.",
            "A second after the revocation was confirmed, every caller must be refused.",
        ),
        run=revocation_time,
        breaks="feed-without-revocations",
        limit=timedelta(seconds=120),
    ),
)
