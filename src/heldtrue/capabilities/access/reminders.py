"""Reminding of keys that are a year old: one entry a key and year, in the ledger of its organisation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from heldtrue.capabilities.access import store
from heldtrue.capabilities.access.model import ROTATION
from heldtrue.capabilities.access.store import Old, Place
from heldtrue.capabilities.ledger.actions import append_audit
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.tx import Database, TenantTx
from heldtrue.kernel.ids import Entropy, KeyId, RequestId, TenantId
from heldtrue.op import Actor, AuditEvent

BATCH = 500
"""Keys of one transaction."""


@dataclass(frozen=True, slots=True)
class Reminder:
    """Leaves the entries; safe to run anywhere and again, because what was reminded of is remembered with the entry."""

    database: Database
    platform: PlatformKey
    cache: KeyCache
    entropy: Entropy

    def remind(self, now: datetime) -> int:
        """Leave an entry for every key that is due at *now*; return how many."""
        before = now - ROTATION
        with self.database.system() as tx:
            places = store.places_with_old_keys(tx, before, now, before)
        return sum(self._remind_place(place, now) for place in places)

    def _remind_place(self, place: Place, now: datetime) -> int:
        done = 0
        while True:
            with self.database.tenant(TenantId(place.tenant_id), place.environment) as tx:
                before = now - ROTATION
                found = store.old_keys(tx, place, before, now, before, BATCH)
                if found:
                    store.mark_reminded(tx, place, [each.key_id for each in found], now)
                    self._record(tx, place, found, now)
            done += len(found)
            if len(found) < BATCH:
                return done

    def _record(self, tx: TenantTx, place: Place, found: list[Old], now: datetime) -> None:
        tenant = TenantId(place.tenant_id)
        actor = Actor(kind="system", tenant=tenant, environment=place.environment)
        keys = TenantKeyring(self.platform, TxKeyRecords(tx), self.cache, tenant, place.environment, self.entropy, now)
        request = RequestId.new(now, self.entropy)
        for each in found:
            detail = {"age_days": (now - each.created_at) // timedelta(days=1)}
            event = AuditEvent(event="key.rotation-due", subject=str(KeyId(each.key_id)), detail=detail)
            append_audit(tx, keys, tenant, place.environment, actor, request, now, self.entropy, event)
