"""When each key was last used: noted in memory, written now and then in one statement, never a write per request."""

from __future__ import annotations

import threading
from datetime import datetime
from uuid import UUID

import structlog

from heldtrue.db.tx import Database
from heldtrue.kernel.ids import KeyId, TenantId

EVERY = 60.0
"""Seconds between two writes."""

_log = structlog.get_logger("heldtrue.edge.uses")

_Note = tuple[UUID, str, datetime]
"""Organisation, environment, and when."""


class Uses:
    """The uses of keys that are not written yet; safe to use from several threads."""

    def __init__(self, database: Database, every: float = EVERY) -> None:
        self._database = database
        self._every = every
        self._notes: dict[UUID, _Note] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heldtrue-uses", daemon=True)

    def start(self) -> None:
        """Begin to write every now and then, in a thread."""
        self._thread.start()

    def note(self, key: KeyId, tenant: TenantId, environment: str, at: datetime) -> None:
        """Note that *key* was used at *at*."""
        with self._lock:
            self._notes[key.value] = (tenant.value, environment, at)

    def flush(self) -> int:
        """Write what is noted and return how many keys; where that fails, raise, and keep the notes. Blocking."""
        with self._writing:
            with self._lock:
                notes, self._notes = self._notes, {}
            if not notes:
                return 0
            try:
                with self._database.system() as tx:
                    tx.execute(_UPSERT, _columns(notes))
            except BaseException:
                with self._lock:
                    self._notes = {**notes, **self._notes}
                raise
            return len(notes)

    def close(self) -> None:
        """Write what is left; what cannot be written is lost, and is a minute's uses at most. Blocking."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._try_to_flush()

    def _run(self) -> None:
        while not self._closing.wait(self._every):
            self._try_to_flush()

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001 - a use that is not written must not end the writing of all others
            _log.warning("uses of keys are not written yet", error=type(error).__name__)


_UPSERT = """
INSERT INTO heldtrue.key_uses AS u (tenant_id, environment, key_id, last_used_at)
SELECT tenant_id, environment, key_id, used_at
FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::timestamptz[]) AS n (tenant_id, environment, key_id, used_at)
WHERE EXISTS (SELECT FROM heldtrue.api_keys k WHERE k.tenant_id = n.tenant_id AND k.key_id = n.key_id)
ORDER BY tenant_id, key_id
ON CONFLICT (tenant_id, key_id) DO UPDATE SET last_used_at = greatest(u.last_used_at, excluded.last_used_at)
WHERE u.last_used_at < excluded.last_used_at"""


def _columns(notes: dict[UUID, _Note]) -> list[object]:
    return [
        [tenant for tenant, _, _ in notes.values()],
        [environment for _, environment, _ in notes.values()],
        list(notes),
        [at for _, _, at in notes.values()],
    ]
