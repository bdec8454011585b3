"""For servers that receive webhooks: refuse what is forged, stale or replayed (Standard Webhooks 1.0.0).

```python
verifier = WebhookVerifier(secrets=["whsec_…"])
event = verifier.verify(request.headers, request.body)  # raises WebhookRefusedError: answer 400
```
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from heldtrue_verify.canonical import JsonObject
from heldtrue_verify.verdicts import MalformedError, VerifyError
from heldtrue_verify.webhook import TOLERANCE, ReplayedWebhookError, open_message, parse_secret

MOST_REMEMBERED = 100_000


class ReplayCacheFullError(VerifyError):
    """More messages came within the tolerance than can be remembered: answer 503, and give the cache more room."""


class ReplayCache(Protocol):
    """Remembers which messages were accepted, for all processes that accept them."""

    def first(self, key: str, until: float) -> bool:
        """Remember *key* until that unix time and return True; return False, changing nothing, when it is remembered.

        It must be atomic: of two callers at once exactly one is told True. What raises makes the message unaccepted.
        """
        ...


class MemoryReplayCache:
    """A `ReplayCache` in this process's memory: bounded, safe between threads, empty after a restart."""

    def __init__(self, most: int = MOST_REMEMBERED, now: Callable[[], float] = time.time) -> None:
        """Remember at most *most* messages at once; *now* is the clock, in unix seconds."""
        if most < 1:
            raise ValueError("a replay cache has room for one message at least")
        self._most = most
        self._now = now
        self._known: set[str] = set()
        self._ends: list[tuple[float, str]] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def first(self, key: str, until: float) -> bool:
        """Remember *key*; raise `ReplayCacheFullError` rather than forget one that could still be replayed."""
        with self._lock:
            now = self._now()
            while self._ends and self._ends[0][0] < now:
                self._known.discard(heapq.heappop(self._ends)[1])
            if key in self._known:
                return False
            if len(self._known) >= self._most:
                raise ReplayCacheFullError(f"{self._most} messages are remembered, and none can be forgotten yet.")
            self._known.add(key)
            heapq.heappush(self._ends, (until, key))
            return True


class WebhookVerifier:
    """Judges webhooks of one sender; make one and keep it. Safe between threads when its cache is."""

    def __init__(
        self,
        secrets: Sequence[str] = (),
        public_keys: Sequence[str] = (),
        *,
        tolerance: int = TOLERANCE,
        replay_cache: ReplayCache | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take `whsec_…` *secrets* and `whpk_…` *public_keys*, all that may sign now: while they rotate, old and new.

        *tolerance*: seconds by which a message may be old, or ahead. *replay_cache*: None keeps one in memory; give
        one that all your processes share when there are several.
        """
        keys = [parse_secret(text) for text in secrets], [parse_secret(text) for text in public_keys]
        if any(kind != "v1" for kind, _ in keys[0]) or any(kind != "v1a" for kind, _ in keys[1]):
            raise MalformedError("Give whsec_… as a secret and whpk_… as a public key.")
        if not keys[0] and not keys[1]:
            raise MalformedError("Without a secret or a public key nothing can be verified.")
        if tolerance < 1:
            raise ValueError("the tolerance is in seconds, one at least")
        self._keys = keys[0] + keys[1]
        self._tolerance = tolerance
        self._now = now
        self._cache = replay_cache or MemoryReplayCache(now=now)

    def verify(self, headers: Mapping[str, str], body: bytes) -> JsonObject:
        """Return the event of a message that is genuine, fresh and new; raise `WebhookRefusedError` otherwise.

        *body* is what came, before any decoding. What is remembered is id and time together: the sender's next
        attempt has the same id and a later time, and is accepted, because your answer to this one may be lost. Make
        what you do with an event depend on its id happening once (a unique key in your own transaction).
        """
        message, event = open_message(headers, body, self._keys, self._tolerance, self._now())
        # Only what is genuine is remembered, or strangers could fill the cache; and for as long as it is fresh.
        if not self._cache.first(f"{message.id}.{message.timestamp}", message.timestamp + self._tolerance + 1):
            raise ReplayedWebhookError("This message was accepted before: it is a copy.")
        return event
