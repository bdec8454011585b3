"""What can be done with mail addresses: create, list, revoke; and find the one that a recipient names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from heldtrue.capabilities.mail import store
from heldtrue.capabilities.mail.model import (
    AddressConfig,
    AddressRevoked,
    AddressView,
    CreateAddress,
    ListAddresses,
    Mailbox,
    NoSuchAddressError,
    Policy,
    TheAddress,
    local_digest,
    new_local_part,
)
from heldtrue.crypto.keyring import TenantKeyring, TenantKeyRow
from heldtrue.db.keystore import GroupKeyRecords
from heldtrue.db.tx import Database, GroupTx
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.ids import AddressId, TenantId
from heldtrue.op import Operation

PURPOSE = "mail"
"""The purpose of the tenant key that an address is sealed under."""


def create_address(op: Operation, asked: CreateAddress, domain: str | None) -> AddressView:
    """Give the environment a new address below *domain*; where no mail is taken, it waits for that."""
    address = AddressId.new(op.now, op.entropy)
    config = AddressConfig(local=new_local_part(op.entropy), label=asked.label, description=asked.description)
    sealed = op.keys.seal(PURPOSE, "mail_addresses", "config", str(address.value), msgspec.json.encode(config))
    policy = asked.policy
    row = store.AddressRow(
        address.value, sealed, policy.spf, policy.dkim, policy.dmarc, state="active", created_at=op.now, revoked_at=None
    )
    store.insert(op.tx, op.tenant.value, op.environment, local_digest(config.local), row)
    return _view(op, row, domain)


def list_addresses(op: Operation, asked: ListAddresses, domain: str | None) -> Listing[AddressView]:
    """List the environment's addresses, newest first."""
    rows = store.addresses(op.tx, asked.after(), asked.state, asked.limit + 1)
    return listing(rows, asked, lambda row: _view(op, row, domain), lambda row: row.address_id)


def revoke_address(op: Operation, asked: TheAddress) -> AddressRevoked:
    """Take nothing at the address any more, from the next recipient on; what came stays."""
    address = AddressId.parse(asked.address_id)
    row = store.lock(op.tx, address.value)
    if row is None:
        raise NoSuchAddressError
    if row.revoked_at is None:
        store.revoke(op.tx, address.value, op.now)
    return AddressRevoked(id=str(address), state="revoked", revoked_at=row.revoked_at or op.now)


def find_mailboxes(database: Database, locals_: Sequence[str]) -> list[Mailbox | None]:
    """Return whose address each of *locals_* is; None for an unknown or revoked one, after the same work. Blocking."""
    digests = [local_digest(local) for local in locals_]
    with database.edge() as tx:
        found = {row.digest: _mailbox(row) for row in store.find(tx, digests)}
    return [found.get(digest) for digest in digests]


def still_receiving(
    tx: GroupTx, tenant: TenantId, addresses: Iterable[AddressId]
) -> tuple[list[TenantKeyRow], list[store.AddressRow]]:
    """Return the organisation's active keys, and *addresses* without those that were revoked meanwhile. Blocking."""
    wanted = list({address.value for address in addresses})
    keys, rows = tx.ask(
        (TenantKeyRow, GroupKeyRecords.ACTIVE, [tenant.value]), (store.AddressRow, store.ACTIVE, [wanted])
    )
    return keys, rows


def opened_addresses(keys: TenantKeyring, rows: Iterable[store.AddressRow]) -> dict[AddressId, AddressConfig]:
    """Return what is sealed of addresses."""
    return {AddressId(row.address_id): _config(keys, row) for row in rows}


def _mailbox(row: store.FoundRow) -> Mailbox:
    policy = Policy(spf=row.spf, dkim=row.dkim, dmarc=row.dmarc)
    return Mailbox(AddressId(row.address_id), TenantId(row.tenant_id), row.environment, policy)


def _config(keys: TenantKeyring, row: store.AddressRow) -> AddressConfig:
    plain = keys.open(PURPOSE, "mail_addresses", "config", str(row.address_id), row.config_sealed)
    return msgspec.json.decode(plain, type=AddressConfig)


def _view(op: Operation, row: store.AddressRow, domain: str | None) -> AddressView:
    config = _config(op.keys, row)
    return AddressView(
        id=str(AddressId(row.address_id)),
        address=config.local if domain is None else f"{config.local}@{domain}",
        receives=domain is not None and row.state == "active",
        label=config.label,
        description=config.description,
        policy=Policy(spf=row.spf, dkim=row.dkim, dmarc=row.dmarc),
        state=row.state,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
