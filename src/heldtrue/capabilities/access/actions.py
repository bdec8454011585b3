"""What happens to API keys: issued, listed, revoked, rolled. They are judged at the edge."""

from __future__ import annotations

from datetime import timedelta

from heldtrue.capabilities.access import model, restrictions, store, wire
from heldtrue.capabilities.access.model import ApiKey, KeyNotFoundError
from heldtrue.capabilities.access.store import KeyRow
from heldtrue.capabilities.access.wire import (
    IssueAnyKey,
    IssueKey,
    KeyRecord,
    ListKeys,
    NamedKey,
    RollKey,
    Self,
)
from heldtrue.capabilities.tenants import actions as tenants
from heldtrue.capabilities.tenants.model import NAMES
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, listing
from heldtrue.kernel.ids import KeyId
from heldtrue.op import AuditEvent, Operation, SystemOperation
from heldtrue.policy.decide import may_give
from heldtrue.policy.permissions import Role, allowed


def issue_key(op: Operation, asked: IssueKey) -> Answer:
    """Issue a key to the caller's organisation and environment; the secret is shown once.

    It cannot do more than the caller, nor from elsewhere, nor for longer: see `may_give` and `end_of`.
    """
    role = Role(asked.role)
    scopes = model.judge_scopes(role, asked.scopes)
    may_give(op.actor.permissions, allowed(role, scopes))
    narrowed = restrictions.judge(asked.grants, asked.origins, asked.addresses)
    own = caller_key(op)
    restrictions.may_give(own.role, own.restrictions, narrowed)
    secret, key = model.mint(
        op.tenant, op.environment, op.now, op.entropy,
        role=role, scopes=scopes, expires_at=model.end_of(own, asked.expires_at), restrictions=narrowed,
    )  # fmt: skip
    store.insert(op.tx, key, _seal_name(op.keys, key, asked.name))
    return Answer(body=wire.issued(key, asked.name, op.now, secret), detail=_detail(key))


def issue_any_key(op: SystemOperation, asked: IssueAnyKey) -> Answer:
    """Issue a key to an organisation, as the operator: its first one, or one after all were lost."""
    organisation = tenants.known_environment(op, asked.organisation_id, asked.environment)
    role = Role(asked.role)
    scopes = model.judge_scopes(role, asked.scopes)
    secret, key = model.mint(
        organisation.id, asked.environment, op.now, op.entropy,
        role=role, scopes=scopes, expires_at=asked.expires_at,
        restrictions=restrictions.judge(asked.grants, asked.origins, asked.addresses),
    )  # fmt: skip
    store.insert(op.tx, key, _seal_name(op.keys_of(organisation.id, asked.environment), key, asked.name))
    event = AuditEvent(event="key.issued", subject=str(key.id), detail={**_detail(key), "by": "operator"})
    op.record_for(organisation.id, asked.environment, event)
    detail = {**_detail(key), "organisation": str(organisation.id)}
    return Answer(body=wire.issued(key, asked.name, op.now, secret), detail=detail)


def list_keys(op: Operation, asked: ListKeys) -> Listing[KeyRecord]:
    """List the keys of the organisation and environment, the newest first; never their secrets."""
    rows = store.page(op.tx, op.tenant, op.environment, asked.after(), asked.limit + 1)
    return listing(rows, asked, lambda row: _record(op, row, row.key()), lambda row: row.key_id)


def show_key(op: Operation, asked: NamedKey) -> KeyRecord:
    """Show a key of the organisation and environment; never its secret."""
    row = store.get(op.tx, op.tenant, op.environment, KeyId.parse(asked.key_id))
    if row is None:
        raise KeyNotFoundError
    return _record(op, row, row.key())


def revoke_key(op: Operation, asked: NamedKey) -> KeyRecord:
    """Revoke a key, at once and for good; revoking it again changes nothing."""
    row = _named(op, asked.key_id)
    key = row.key().revoked(op.now)
    store.update(op.tx, key)
    return _record(op, row, key)


def roll_key(op: Operation, asked: RollKey) -> Answer:
    """Replace a key: both work during the overlap, the old one never past the end that it had."""
    row = _named(op, asked.key_id)
    before = row.key()
    may_give(op.actor.permissions, before.permissions())
    own = caller_key(op)
    restrictions.may_give(own.role, own.restrictions, before.restrictions)
    predecessors = [one.key() for one in store.predecessors(op.tx, op.tenant, op.environment, before.id)]
    overlap = timedelta(seconds=asked.overlap_seconds)
    ending, secret, successor = before.rolled(op.now, overlap, op.entropy, predecessors)
    name = _name(op.keys, row)
    store.insert(op.tx, successor, _seal_name(op.keys, successor, name))
    store.update(op.tx, ending)
    detail = {**_detail(successor), "from": str(before.id)}
    return Answer(body=wire.issued(successor, name, op.now, secret), detail=detail)


def show_self(op: Operation) -> Self:
    """Say who the caller is and what it may do."""
    return wire.self_of(op.actor)


def caller_key(op: Operation) -> ApiKey:
    """Return the key that the caller came with; raise `KeyNotFoundError` where it came with none."""
    row = None if op.actor.key is None else store.get(op.tx, op.tenant, op.environment, op.actor.key)
    if row is None:
        raise KeyNotFoundError
    return row.key()


def _named(op: Operation, key_id: str) -> KeyRow:
    row = store.get_locked(op.tx, op.tenant, op.environment, KeyId.parse(key_id))
    if row is None:
        raise KeyNotFoundError
    return row


def _record(op: Operation, row: KeyRow, key: ApiKey) -> KeyRecord:
    return wire.record_of(key, _name(op.keys, row), op.now, row.last_used_at)


def _name(keys: TenantKeyring, row: KeyRow) -> str:
    return keys.open(NAMES, "api_keys", "name_sealed", str(row.key_id), row.name_sealed).decode()


def _seal_name(keys: TenantKeyring, key: ApiKey, name: str) -> bytes:
    return keys.seal(NAMES, "api_keys", "name_sealed", str(key.id.value), name.encode())


def _detail(key: ApiKey) -> dict[str, str]:
    return {"role": key.role.value, "type": key.type, "environment": key.environment}
