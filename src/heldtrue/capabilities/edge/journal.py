"""The journal of served requests: committed in groups, and nobody is answered before the commit.

While one group commits, the next one fills; so a group is as large as the load makes it, and a quiet caller waits for
one commit. A crash at any moment leaves whole groups: all requests of a group are in the ledger, or none was answered.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping, Sequence

import structlog

from heldtrue.capabilities.edge.served import EVENT, Place, Served, by_place, documents
from heldtrue.capabilities.ledger.actions import PURPOSE, AuditBatch, append_batches
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.keystore import ManyKeyRecords
from heldtrue.db.tx import Database
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import Entropy

__all__ = ["Journal", "JournalUnavailableError", "Served"]

GROUP = 1000
"""Requests of one commit at most."""
MOST_WAITING = 50_000
"""Requests that wait for their commit; more are refused at once."""
COMMIT_WITHIN = 2.0
"""Seconds after which a request that is not committed is refused."""
_STOPPED = 5.0

_log = structlog.get_logger("heldtrue.edge.journal")


class JournalUnavailableError(UnavailableError):
    """The request could not be recorded, so it is refused; try again shortly."""

    code = "journal-unavailable"


class _Group:
    """Requests that are committed together, and who waits for that; only the event loop touches the answers."""

    __slots__ = ("answers", "expired", "served", "timer")

    def __init__(self) -> None:
        self.served: list[Served] = []
        self.answers: list[asyncio.Future[None]] = []
        self.timer: asyncio.TimerHandle | None = None
        self.expired = False


class Journal:
    """Record requests from one event loop; a thread of its own commits them."""

    def __init__(
        self, database: Database, platform: PlatformKey, cache: KeyCache, clock: Clock, entropy: Entropy
    ) -> None:
        self._database = database
        self._platform = platform
        self._cache = cache
        self._clock = clock
        self._entropy = entropy
        self._groups: deque[_Group] = deque()
        self._waiting = 0
        self._change = threading.Condition(threading.Lock())
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="heldtrue-journal", daemon=True)

    async def append(self, served: Served) -> None:
        """Return once *served* is committed to its organisation's ledger; raise `JournalUnavailableError`: then deny.

        When it raised, the request may still be in the ledger: recorded, and refused.
        """
        loop = self._loop or self._start()
        if self._closing or self._waiting >= MOST_WAITING:
            raise JournalUnavailableError
        answer: asyncio.Future[None] = loop.create_future()
        with self._change:
            group = self._groups[-1] if self._groups else None
            if group is None or group.expired or len(group.served) >= GROUP:
                group = _Group()
                self._groups.append(group)
                self._change.notify()
            group.served.append(served)
            group.answers.append(answer)
        if group.timer is None:
            group.timer = loop.call_later(COMMIT_WITHIN, self._expire, group)
        self._waiting += 1
        await answer

    async def close(self) -> None:
        """Commit what waits, then end the thread."""
        with self._change:
            self._closing = True
            self._change.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _STOPPED)

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self._loop

    # ------------------------------------------------------------ on the event loop

    def _settle(self, group: _Group, failed: Mapping[Place, Exception]) -> None:
        """Answer everybody of *group*."""
        self._waiting -= len(group.answers)
        if group.timer is not None:
            group.timer.cancel()
        for served, answer in zip(group.served, group.answers, strict=True):
            if answer.done():
                continue
            cause = failed.get((served.tenant, served.environment)) if failed else None
            if cause is None:
                answer.set_result(None)
            else:
                answer.set_exception(_refusal(cause))

    def _expire(self, group: _Group) -> None:
        group.expired = True
        for answer in group.answers:
            if not answer.done():
                answer.set_exception(JournalUnavailableError())

    # ------------------------------------------------------------ in the thread

    def _run(self) -> None:
        while (group := self._next()) is not None:
            failed: Mapping[Place, Exception] = {}
            if not group.expired:
                failed = self._commit_each(by_place(group.served))
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._settle, group, failed)

    def _next(self) -> _Group | None:
        with self._change:
            while not self._groups and not self._closing:
                self._change.wait()
            return self._groups.popleft() if self._groups else None

    def _commit_each(self, places: Mapping[Place, Sequence[Served]]) -> dict[Place, Exception]:
        """Commit all of *places* at once; where that fails for another reason than the database's absence, one by one.

        So what is wrong with one organisation's records refuses that organisation alone. Return who failed.
        """
        try:
            self._commit(places)
        except UnavailableError as error:
            return dict.fromkeys(places, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it means that nothing was recorded
            if len(places) == 1:
                _log.error("not recorded", organisation=str(next(iter(places))[0]), error=type(error).__name__)
                return dict.fromkeys(places, error)
            failed: dict[Place, Exception] = {}
            for place, served in places.items():
                failed |= self._commit_each({place: served})
            return failed
        return {}

    def _commit(self, places: Mapping[Place, Sequence[Served]]) -> None:
        now = self._clock.now()
        written = {place: list(documents(place, served, now)) for place, served in places.items()}
        with self._database.system() as tx:
            tx.execute("SET LOCAL synchronous_commit = on")
            records = ManyKeyRecords(tx, {tenant.value for tenant, _ in places}, PURPOSE)
            batches: list[AuditBatch] = []
            for (tenant, environment), texts in written.items():
                keys = TenantKeyring(self._platform, records, self._cache, tenant, environment, self._entropy, now)
                batches += [AuditBatch(keys, tenant, environment, text) for text in texts]
            append_batches(tx, EVENT, batches, now, self._entropy)


def _refusal(cause: Exception) -> JournalUnavailableError:
    refusal = JournalUnavailableError()
    refusal.__cause__ = cause
    return refusal
