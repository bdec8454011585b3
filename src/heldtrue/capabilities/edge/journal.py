"""The journal of served requests: committed in groups, and nobody is answered before the commit.

One transaction holds the requests of all organisations that came while the one before was under way; each
organisation's are one sealed document. What a crash leaves is said in `heldtrue.db.groups`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from heldtrue.capabilities.edge.served import EVENT, Served, by_place, documents
from heldtrue.capabilities.ledger.actions import PURPOSE, AuditBatch, append_batches
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.groups import GroupLimits, Groups
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

_log = structlog.get_logger("heldtrue.edge.journal")


class JournalUnavailableError(UnavailableError):
    """The request could not be recorded, so it is refused; try again shortly."""

    code = "journal-unavailable"


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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="heldtrue-journal")
        self._groups = Groups[Served, None](
            self._in_thread,
            limits=GroupLimits(group=GROUP, waiting=MOST_WAITING, within=COMMIT_WITHIN),
            place=lambda _served: None,
            apart=lambda many: by_place(many).values(),
            refused=JournalUnavailableError,
            unsure=JournalUnavailableError,
        )

    async def append(self, served: Served) -> None:
        """Return once *served* is committed to its organisation's ledger; raise `JournalUnavailableError`: then deny.

        When it raised, the request may still be in the ledger: recorded, and refused.
        """
        try:
            await self._groups.append(served)
        except JournalUnavailableError:
            raise
        except Exception as error:
            if not isinstance(error, UnavailableError):
                _log.error("not recorded", organisation=str(served.tenant), error=type(error).__name__)
            raise JournalUnavailableError from error

    async def close(self) -> None:
        """Commit what waits, then end the thread."""
        await self._groups.close()
        self._thread.shutdown(wait=False)

    async def _in_thread(self, many: Sequence[Served]) -> Sequence[None]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, many)

    def _commit(self, many: Sequence[Served]) -> Sequence[None]:
        now = self._clock.now()
        written = {place: list(documents(place, served, now)) for place, served in by_place(many).items()}
        with self._database.system(durable=True) as tx:
            records = ManyKeyRecords(tx, {tenant.value for tenant, _ in written}, PURPOSE)
            batches: list[AuditBatch] = []
            for (tenant, environment), texts in written.items():
                keys = TenantKeyring(self._platform, records, self._cache, tenant, environment, self._entropy, now)
                batches += [AuditBatch(keys, tenant, environment, text) for text in texts]
            append_batches(tx, EVENT, batches, now, self._entropy)
        return [None] * len(many)
