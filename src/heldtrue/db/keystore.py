"""The keystore's rows, as the keyring asks for them, within the caller's own transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from heldtrue.crypto.keyring import ObjectKeyRow, TenantKeyRow
from heldtrue.db.columns import Insert
from heldtrue.db.tx import GroupTx, SystemTx, TenantTx
from heldtrue.kernel.errors import ConflictError

OBJECT_KEYS = Insert(
    """INSERT INTO keystore.object_keys (tenant_id, key_id, tenant_key_id, state, wrapped, created_at)
       SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::text[], %b::bytea[], %b::timestamptz[])""",
    ("uuid", "uuid", "uuid", "text", "bytea", "timestamptz"),
)


class TxKeyRecords:
    """`heldtrue.crypto.keyring.KeyRecords` over `keystore.*`, bound by row-level security like all of *tx*."""

    __slots__ = ("_tx",)

    def __init__(self, tx: TenantTx | SystemTx) -> None:
        self._tx = tx

    def tenant_key(self, tenant: UUID, purpose: str) -> TenantKeyRow | None:
        """Return the active key of *purpose*, if there is one."""
        return self._tx.one(
            TenantKeyRow,
            """SELECT tenant_id, key_id, purpose, state, wrapped, created_at FROM keystore.tenant_keys
               WHERE tenant_id = %s AND purpose = %s AND state = 'active'""",
            [tenant, purpose],
        )

    def tenant_key_by_id(self, tenant: UUID, key_id: UUID) -> TenantKeyRow | None:
        """Return the key of that id in whatever state it is."""
        return self._tx.one(
            TenantKeyRow,
            """SELECT tenant_id, key_id, purpose, state, wrapped, created_at FROM keystore.tenant_keys
               WHERE tenant_id = %s AND key_id = %s""",
            [tenant, key_id],
        )

    def add_tenant_key(self, row: TenantKeyRow) -> TenantKeyRow:
        """Store *row*, and return the active row of its purpose: another one where a twin was first.

        The insert waits for a twin that is still uncommitted, and the look-up sees it once committed.
        """
        self._tx.execute(
            """INSERT INTO keystore.tenant_keys (tenant_id, key_id, purpose, state, wrapped, created_at)
               VALUES (%s, %s, %s, %s, %s, %s)
               ON CONFLICT (tenant_id, purpose) WHERE state = 'active' DO NOTHING""",
            [row.tenant_id, row.key_id, row.purpose, row.state, row.wrapped, row.created_at],
        )
        won = self.tenant_key(row.tenant_id, row.purpose)
        if won is None:
            raise ConflictError(f"no active {row.purpose} key could be established for the organisation")
        return won

    def object_key(self, tenant: UUID, key_id: UUID) -> ObjectKeyRow | None:
        """Return the object key of that id in whatever state it is."""
        return self._tx.one(
            ObjectKeyRow,
            """SELECT tenant_id, key_id, tenant_key_id, state, wrapped, created_at, destroyed_at
               FROM keystore.object_keys WHERE tenant_id = %s AND key_id = %s""",
            [tenant, key_id],
        )

    def find_object_keys(self, tenant: UUID, key_ids: Sequence[UUID]) -> list[ObjectKeyRow]:
        """Return the object keys of those ids that are known, in whatever state they are, in any order."""
        return self._tx.many(
            ObjectKeyRow,
            """SELECT tenant_id, key_id, tenant_key_id, state, wrapped, created_at, destroyed_at
               FROM keystore.object_keys WHERE tenant_id = %s AND key_id = ANY(%s)""",
            [tenant, list(key_ids)],
        )

    def add_object_key(self, row: ObjectKeyRow) -> None:
        """Store *row*."""
        self._tx.insert(
            OBJECT_KEYS,
            [(row.tenant_id, row.key_id, row.tenant_key_id, row.state, row.wrapped, row.created_at)],
        )

    def destroy_object_key(self, tenant: UUID, key_id: UUID, at: datetime) -> None:
        """Forget the wrapped key and note when; leave a destroyed one as it is."""
        self._tx.execute(
            """UPDATE keystore.object_keys SET state = 'destroyed', wrapped = NULL, destroyed_at = %s
               WHERE tenant_id = %s AND key_id = %s AND state = 'active'""",
            [at, tenant, key_id],
        )


class ManyKeyRecords(TxKeyRecords):
    """The same for many organisations at once: their active keys of one purpose are read in one round trip."""

    __slots__ = ("_known", "_purpose")

    def __init__(self, tx: SystemTx, tenants: Iterable[UUID], purpose: str) -> None:
        super().__init__(tx)
        self._purpose = purpose
        rows = tx.many(
            TenantKeyRow,
            """SELECT tenant_id, key_id, purpose, state, wrapped, created_at FROM keystore.tenant_keys
               WHERE tenant_id = ANY(%s) AND purpose = %s AND state = 'active'""",
            [list(tenants), purpose],
        )
        self._known = {row.tenant_id: row for row in rows}

    def tenant_key(self, tenant: UUID, purpose: str) -> TenantKeyRow | None:
        """Return the active key of *purpose* as it was read at the beginning, else as it is."""
        known = self._known.get(tenant) if purpose == self._purpose else None
        return known or super().tenant_key(tenant, purpose)


class GroupKeyRecords(TxKeyRecords):
    """The same for a group of one organisation, whose active keys were read at its beginning."""

    __slots__ = ("_active",)

    ACTIVE: LiteralString = """SELECT tenant_id, key_id, purpose, state, wrapped, created_at FROM keystore.tenant_keys
        WHERE tenant_id = %s AND state = 'active'"""

    def __init__(self, tx: GroupTx, active: Iterable[TenantKeyRow]) -> None:
        super().__init__(tx)
        self._active = {row.purpose: row for row in active}

    def tenant_key(self, tenant: UUID, purpose: str) -> TenantKeyRow | None:
        """Return the active key of *purpose* as it was read at the beginning, else as it is."""
        return self._active.get(purpose) or super().tenant_key(tenant, purpose)
