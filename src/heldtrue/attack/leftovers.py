"""What a thief of yesterday's rows can do after an erasure: try every key that is left on the copies."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.arena import Arena, Probe
from heldtrue.crypto.keyring import KeyDestroyedError
from heldtrue.crypto.sealing import Context, DataKey, open_sealed
from heldtrue.kernel.errors import HeldtrueError, IntegrityError
from heldtrue.kernel.ids import CryptoKeyId
from heldtrue.kernel.secret import Secret


@dataclass(frozen=True, slots=True)
class Copy:
    """A sealed value as a thief of yesterday's rows has it."""

    what: str
    context: Context
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _Wrapped:
    key_id: UUID
    wrapped: bytes | None


def must_open(arena: Arena, probe: Probe, key_id: CryptoKeyId, copies: Sequence[Copy]) -> None:
    """Open *copies* while their key is there; the attack says nothing otherwise."""
    with arena.database.tenant(probe.tenant, probe.environment) as tx:
        key = arena.keyring(tx, probe.tenant, probe.environment).object_key(key_id)
        for copy in copies:
            try:
                open_sealed(key, copy.context, copy.sealed)
            except HeldtrueError as error:
                raise AttackHinderedError(f"{copy.what} did not open while it should") from error


def openings(arena: Arena, probe: Probe, key_id: CryptoKeyId, copies: Sequence[Copy], faults: list[str]) -> int:
    """Try every key that is left on *copies*, add what opens to *faults*, and return how often was tried."""
    tried = 0
    for candidate in _keys_left(arena, probe, key_id, faults):
        for copy in copies:
            tried += 1
            try:
                open_sealed(candidate, copy.context, copy.sealed)
            except IntegrityError:
                continue
            faults.append(f"{copy.what}, copied before, opened after the erasure.")
    return tried


def _keys_left(arena: Arena, probe: Probe, gone: CryptoKeyId, faults: list[str]) -> list[DataKey]:
    """Return every key that the organisation still has, under the id of the destroyed one."""
    left: list[DataKey] = []
    with arena.database.tenant(probe.tenant, probe.environment) as tx:
        keys = arena.keyring(tx, probe.tenant, probe.environment)
        with suppress(KeyDestroyedError):
            left.append(keys.object_key(gone))
            faults.append("The key of what was erased is still there.")
        rows = tx.many(_Wrapped, "SELECT key_id, wrapped FROM keystore.tenant_keys WHERE wrapped IS NOT NULL")
        others = tx.many(
            _Wrapped,
            "SELECT key_id, wrapped FROM keystore.object_keys WHERE state = 'active' ORDER BY key_id DESC LIMIT 50",
        )
        left += [DataKey(gone, Secret(arena.platform.unwrap(row.wrapped))) for row in rows if row.wrapped is not None]
        left += [DataKey(gone, keys.object_key(CryptoKeyId(row.key_id)).material) for row in others]
    return left
