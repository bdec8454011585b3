"""The operator's credential, for whoever holds the machine: another one when the first was lost or is known."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from heldtrue.app import wiring
from heldtrue.app.boot import Ground
from heldtrue.capabilities.access import actions as access
from heldtrue.capabilities.access.bootstrap import renew_operator
from heldtrue.capabilities.access.wire import ListKeys, NamedKey
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT
from heldtrue.db.tx import Database
from heldtrue.http.ports import Ports
from heldtrue.http.transaction import tenant_operation
from heldtrue.kernel.ids import RequestId, TenantId
from heldtrue.op import Actor, AuditEvent


def renew(ground: Ground, database: Database, *, revoke: bool) -> dict[str, Any]:
    """Issue the operator another credential and return it; with *revoke* every earlier one dies first.

    Call it in a child of a stopped instance. A crash between the two leaves the operator without a credential, and
    doing it again gives one.
    """
    with database.system() as tx:
        tenant = tx.value("SELECT tenant_id FROM heldtrue.organisations WHERE kind = 'operator'")
    with wiring.standing(ground) as (_, ports):
        revoked = _revoke_all(ports, TenantId(UUID(str(tenant)))) if revoke and tenant is not None else []
        secret = renew_operator(ports)
    return {"secret": secret.reveal(), "revoked": revoked}


def _revoke_all(ports: Ports, tenant: TenantId) -> list[str]:
    """Revoke every live credential of the operator's organisation, each on record; return their ids."""
    actor = Actor(kind="system", tenant=tenant, environment=OPERATOR_ENVIRONMENT)
    request = RequestId.new(ports.clock.now(), ports.entropy)
    done: list[str] = []
    with tenant_operation(ports, actor, request) as op:
        for key in access.list_keys(op, ListKeys(limit=200)).data:
            if key.state == "active":
                access.revoke_key(op, NamedKey(key_id=key.id))
                op.record(AuditEvent(event="key.revoked", subject=key.id))
                done.append(key.id)
    return done
