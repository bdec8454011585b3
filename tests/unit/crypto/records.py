"""Key records in memory, which keep the same promises as the tables: one active key a purpose, nothing overwritten."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from heldtrue.crypto.keyring import KeyState, ObjectKeyRow, TenantKeyRow


class MemoryRecords:
    """What the keystore's tables do, for tests of what stands above them."""

    def __init__(self) -> None:
        self.tenant_keys: dict[tuple[UUID, UUID], TenantKeyRow] = {}
        self.object_keys: dict[tuple[UUID, UUID], ObjectKeyRow] = {}
        self.twin: TenantKeyRow | None = None
        """A row that another transaction commits between our look and our insert."""

    def tenant_key(self, tenant: UUID, purpose: str) -> TenantKeyRow | None:
        rows = (row for row in self.tenant_keys.values() if (row.tenant_id, row.purpose) == (tenant, purpose))
        return next((row for row in rows if row.state == KeyState.ACTIVE), None)

    def tenant_key_by_id(self, tenant: UUID, key_id: UUID) -> TenantKeyRow | None:
        return self.tenant_keys.get((tenant, key_id))

    def add_tenant_key(self, row: TenantKeyRow) -> TenantKeyRow:
        if self.twin is not None:
            self.tenant_keys[self.twin.tenant_id, self.twin.key_id] = self.twin
        winner = self.tenant_key(row.tenant_id, row.purpose)
        if winner is None:
            winner = self.tenant_keys[row.tenant_id, row.key_id] = row
        return winner

    def object_key(self, tenant: UUID, key_id: UUID) -> ObjectKeyRow | None:
        return self.object_keys.get((tenant, key_id))

    def find_object_keys(self, tenant: UUID, key_ids: Sequence[UUID]) -> list[ObjectKeyRow]:
        return [self.object_keys[tenant, key_id] for key_id in key_ids if (tenant, key_id) in self.object_keys]

    def add_object_key(self, row: ObjectKeyRow) -> None:
        assert (row.tenant_id, row.key_id) not in self.object_keys
        assert (row.tenant_id, row.tenant_key_id) in self.tenant_keys
        self.object_keys[row.tenant_id, row.key_id] = row

    def destroy_object_key(self, tenant: UUID, key_id: UUID, at: datetime) -> None:
        row = self.object_keys[tenant, key_id]
        self.object_keys[tenant, key_id] = dataclasses.replace(
            row, state=KeyState.DESTROYED, wrapped=None, destroyed_at=at
        )
