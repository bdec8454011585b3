"""The keyring of one organisation: platform key → tenant key per purpose → data key per erasable object.

Every key is random and stored wrapped: a derived key could be derived again, and so never be destroyed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from heldtrue.crypto.guarded import Guarded
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.sealing import Context, DataKey, SealBrokenError, key_id_of, open_sealed, seal
from heldtrue.crypto.states import ALLOWED, KeyState, KeyTransitionError, advance
from heldtrue.crypto.wrapping import unwrap, wrap
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import CryptoKeyId, Entropy, TenantId
from heldtrue.kernel.secret import Secret

__all__ = [
    "ALLOWED",
    "KeyCache",
    "KeyDestroyedError",
    "KeyRecords",
    "KeyState",
    "KeyTransitionError",
    "ObjectKeyRow",
    "TenantKeyRow",
    "TenantKeyring",
    "advance",
]

OBJECT = "object"
"""The purpose of the tenant key that wraps object keys, and of what is sealed under these."""
_SECRET_LABEL = b"heldtrue/secret/v1\0"


class KeyDestroyedError(NotFoundError):
    """The key was destroyed, and with it what it sealed: the content was erased and cannot come back."""

    code = "key-destroyed"


@dataclass(frozen=True, slots=True)
class TenantKeyRow:
    """A tenant key as stored; fields are the columns of `keystore.tenant_keys`."""

    tenant_id: UUID
    key_id: UUID
    purpose: str
    state: str
    wrapped: bytes | None = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ObjectKeyRow:
    """An object key as stored; fields are the columns of `keystore.object_keys`."""

    tenant_id: UUID
    key_id: UUID
    tenant_key_id: UUID
    state: str
    wrapped: bytes | None = field(repr=False)
    created_at: datetime
    destroyed_at: datetime | None = None


class KeyRecords(Protocol):
    """Where wrapped keys are kept; within the caller's own transaction."""

    def tenant_key(self, tenant: UUID, purpose: str) -> TenantKeyRow | None:
        """Return the active key of *purpose*, if there is one."""
        ...

    def tenant_key_by_id(self, tenant: UUID, key_id: UUID) -> TenantKeyRow | None:
        """Return the key of that id in whatever state it is."""
        ...

    def add_tenant_key(self, row: TenantKeyRow) -> TenantKeyRow:
        """Store *row*, and return the active row of its purpose: another one where a twin was first."""
        ...

    def object_key(self, tenant: UUID, key_id: UUID) -> ObjectKeyRow | None:
        """Return the object key of that id in whatever state it is."""
        ...

    def find_object_keys(self, tenant: UUID, key_ids: Sequence[UUID]) -> list[ObjectKeyRow]:
        """Return the object keys of those ids that are known, in whatever state they are, in any order."""
        ...

    def add_object_key(self, row: ObjectKeyRow) -> None:
        """Store *row*."""
        ...

    def destroy_object_key(self, tenant: UUID, key_id: UUID, at: datetime) -> None:
        """Forget the wrapped key and note when; leave a destroyed one as it is."""
        ...


class KeyCache(Guarded):
    """Unwrapped tenant keys by tenant and id, for all threads of a process.

    Bounded in number, and in age, so that a tenant key destroyed elsewhere is forgotten within a minute. Object keys
    are never in it: erasing an object takes effect at once.
    """

    __slots__ = ("_keys", "_lock", "_max_age", "_size")

    def __init__(self, size: int = 4096, max_age: timedelta = timedelta(minutes=1)) -> None:
        self._size = size
        self._max_age = max_age
        self._lock = threading.Lock()
        self._keys: OrderedDict[tuple[UUID, UUID], tuple[datetime, str, DataKey]] = OrderedDict()

    def get(self, tenant: UUID, key_id: UUID, purpose: str, now: datetime) -> DataKey | None:
        """Return the key, if it is here, young enough, and of *purpose*."""
        with self._lock:
            found = self._keys.get((tenant, key_id))
            if found is None:
                return None
            since, known_purpose, key = found
            if not timedelta() <= now - since < self._max_age:
                del self._keys[tenant, key_id]
                return None
            self._keys.move_to_end((tenant, key_id))
            return key if known_purpose == purpose else None

    def put(self, tenant: UUID, purpose: str, key: DataKey, now: datetime) -> None:
        """Keep *key*, in place of the one unused for the longest time where there is no room."""
        with self._lock:
            self._keys[tenant, key.id.value] = (now, purpose, key)
            self._keys.move_to_end((tenant, key.id.value))
            while len(self._keys) > self._size:
                self._keys.popitem(last=False)

    def forget(self, tenant: UUID) -> None:
        """Drop every key of *tenant*."""
        with self._lock:
            for name in [name for name in self._keys if name[0] == tenant]:
                del self._keys[name]


class TenantKeyring(Guarded):
    """What one operation seals and opens with: one organisation's keys, for one environment, in one transaction."""

    __slots__ = (
        "_active",
        "_cache",
        "_entropy",
        "_environment",
        "_now",
        "_objects",
        "_platform",
        "_records",
        "_tenant",
    )

    def __init__(
        self,
        platform: PlatformKey,
        records: KeyRecords,
        cache: KeyCache,
        tenant: TenantId,
        environment: str,
        entropy: Entropy,
        now: datetime,
    ) -> None:
        self._platform = platform
        self._records = records
        self._cache = cache
        self._tenant = tenant.value
        self._environment = environment
        self._entropy = entropy
        self._now = now
        self._active: dict[str, DataKey] = {}
        self._objects: dict[CryptoKeyId, DataKey] = {}
        """What `object_keys` found, for this operation alone."""

    # ------------------------------------------------------------ under a tenant key

    def context_for(self, table: str, column: str, row: str, purpose: str, version: int = 1) -> Context:
        """Return the place of a value of this organisation and environment."""
        return Context(self._environment, self._tenant, table, column, row, purpose, version)

    def seal(self, purpose: str, table: str, column: str, row: str, plaintext: bytes, version: int = 1) -> bytes:
        """Return *plaintext* sealed under the organisation's key of *purpose*, which is made when there is none."""
        return seal(self._active_key(purpose), self.context_for(table, column, row, purpose, version), plaintext)

    def open(self, purpose: str, table: str, column: str, row: str, sealed: bytes, version: int = 1) -> bytes:
        """Return what `seal` sealed for the same purpose and place; raise `SealBrokenError` for any other."""
        key = self._tenant_key(key_id_of(sealed).value, purpose)
        return open_sealed(key, self.context_for(table, column, row, purpose, version), sealed)

    def have(self, *purposes: str) -> None:
        """Have the organisation's keys of *purposes* at hand, making those there are none of."""
        for purpose in purposes:
            self._active_key(purpose)

    def secret_for(self, purpose: str) -> Secret[bytes]:
        """Return 32 bytes for a use other than sealing, by HKDF-SHA512 from the organisation's key of *purpose*.

        They differ by purpose and environment, and stay the same until that key is replaced.
        """
        info = self.context_for("", "", "", purpose).encode(_SECRET_LABEL)
        material = self._active_key(purpose).material.reveal()
        return Secret(HKDF(SHA512(), 32, None, info).derive(material))

    # ------------------------------------------------------------ under an object's own key

    def new_object_key(self) -> DataKey:
        """Return a fresh key for one erasable object, stored wrapped."""
        key = DataKey.generate(self._entropy, self._now)
        self.adopt(key)
        return key

    def adopt(self, key: DataKey) -> None:
        """Store *key*, made before this transaction began, wrapped under the organisation's object-wrapping key."""
        wrapping = self._active_key(OBJECT)
        wrapped = wrap(wrapping.material.reveal(), key.material.reveal())
        self._records.add_object_key(
            ObjectKeyRow(self._tenant, key.id.value, wrapping.id.value, KeyState.ACTIVE, wrapped, self._now)
        )

    def object_key(self, key_id: CryptoKeyId) -> DataKey:
        """Return the object's key; raise `KeyDestroyedError` once it was destroyed, `NotFoundError` if never known."""
        row = self._records.object_key(self._tenant, key_id.value)
        if row is None:
            raise NotFoundError("no object of this organisation has that key")
        if row.wrapped is None:
            raise KeyDestroyedError
        wrapping = self._tenant_key(row.tenant_key_id, OBJECT)
        return DataKey(key_id, Secret(unwrap(wrapping.material.reveal(), row.wrapped)))

    def object_keys(self, key_ids: Iterable[CryptoKeyId]) -> dict[CryptoKeyId, DataKey]:
        """Return the keys of many objects in one round trip at most; destroyed and unknown ones are left out."""
        wanted = set(key_ids)
        missing = [key_id.value for key_id in wanted if key_id not in self._objects]
        for row in self._records.find_object_keys(self._tenant, missing) if missing else ():
            if row.wrapped is not None:
                wrapping, key_id = self._tenant_key(row.tenant_key_id, OBJECT), CryptoKeyId(row.key_id)
                self._objects[key_id] = DataKey(key_id, Secret(unwrap(wrapping.material.reveal(), row.wrapped)))
        return {key_id: self._objects[key_id] for key_id in wanted if key_id in self._objects}

    def destroy(self, key_id: CryptoKeyId) -> None:
        """Destroy the object's key; what was sealed under it is gone when this transaction commits."""
        row = self._records.object_key(self._tenant, key_id.value)
        if row is None:
            raise NotFoundError("no object of this organisation has that key")
        if row.wrapped is not None:
            advance(KeyState(row.state), KeyState.DESTROYED)
            self._records.destroy_object_key(self._tenant, key_id.value, self._now)
        self._objects.pop(key_id, None)

    def seal_object(self, key: DataKey, table: str, column: str, row: str, plaintext: bytes, version: int = 1) -> bytes:
        """Return *plaintext* sealed under the object's own *key*."""
        return seal(key, self.context_for(table, column, row, OBJECT, version), plaintext)

    def open_object(self, key: DataKey, table: str, column: str, row: str, sealed: bytes, version: int = 1) -> bytes:
        """Return what `seal_object` sealed for the same object and place."""
        return open_sealed(key, self.context_for(table, column, row, OBJECT, version), sealed)

    # ------------------------------------------------------------ tenant keys

    def _active_key(self, purpose: str) -> DataKey:
        key = self._active.get(purpose)
        if key is None:
            row = self._records.tenant_key(self._tenant, purpose) or self._make(purpose)
            key = self._active[purpose] = self._unwrapped(row, purpose)
        return key

    def _make(self, purpose: str) -> TenantKeyRow:
        key = DataKey.generate(self._entropy, self._now)
        wrapped = self._platform.wrap(key.material.reveal())
        return self._records.add_tenant_key(
            TenantKeyRow(self._tenant, key.id.value, purpose, KeyState.ACTIVE, wrapped, self._now)
        )

    def _tenant_key(self, key_id: UUID, purpose: str) -> DataKey:
        cached = self._cache.get(self._tenant, key_id, purpose, self._now)
        if cached is not None:
            return cached
        row = self._records.tenant_key_by_id(self._tenant, key_id)
        if row is None:
            raise SealBrokenError("the value names a key that this organisation does not have")
        return self._unwrapped(row, purpose)

    def _unwrapped(self, row: TenantKeyRow, purpose: str) -> DataKey:
        if row.purpose != purpose:
            raise SealBrokenError("the value names a key of another purpose")
        if row.wrapped is None or not KeyState(row.state).processes:
            raise KeyDestroyedError
        cached = self._cache.get(self._tenant, row.key_id, purpose, self._now)
        if cached is not None:
            return cached
        key = DataKey(CryptoKeyId(row.key_id), Secret(self._platform.unwrap(row.wrapped)))
        self._cache.put(self._tenant, purpose, key, self._now)
        return key
