"""The operator's first credential, and another one when it was lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID

from psycopg.errors import UniqueViolation

from heldtrue.capabilities.access import model, store
from heldtrue.capabilities.tenants import actions as tenants
from heldtrue.capabilities.tenants.model import NAMES, OPERATOR_ENVIRONMENT
from heldtrue.http.ports import Ports
from heldtrue.http.transaction import system_operation
from heldtrue.kernel.errors import NotFoundError
from heldtrue.kernel.ids import KeyId, RequestId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor, AuditEvent, SystemOperation
from heldtrue.policy.permissions import Permission, Role

NOBODY = TenantId(UUID(int=0))
"""The organisation of the system itself: none."""
Keep = Callable[[Secret[str]], None]


def _nowhere(_secret: Secret[str]) -> None:
    return None


def bootstrap_operator(ports: Ports, keep: Keep = _nowhere) -> Secret[str] | None:
    """Create the operator's organisation with its first credential and return it; None when it exists already.

    *keep* is given the credential before the transaction commits, so that a crash between leaves a file with a dead
    credential, which the next start replaces, and never a live one that nobody has.
    """
    try:
        with _operation(ports) as op:
            if tenants.operator(op) is not None:
                return None
            operator = tenants.found(op, "Operator", "operator", [OPERATOR_ENVIRONMENT])
            secret = _issue(op, operator.id)
            keep(secret)
            return secret
    except UniqueViolation:
        return None  # another start of the same instance was first: there is one operator


def renew_operator(ports: Ports, keep: Keep = _nowhere) -> Secret[str]:
    """Issue the operator one more credential, for whoever holds the machine and lost the first; recorded like any."""
    with _operation(ports) as op:
        operator = tenants.operator(op)
        if operator is None:
            raise NotFoundError("There is no operator yet; start the instance first.")
        secret = _issue(op, operator)
        keep(secret)
        return secret


def issue_narrowed(op: SystemOperation, name: str, scopes: frozenset[Permission]) -> tuple[KeyId, Secret[str]]:
    """Issue a credential of the operator's that may do *scopes* and nothing else, for a machine."""
    operator = tenants.operator(op)
    if operator is None:
        raise NotFoundError("There is no operator yet; start the instance first.")
    role = Role.OPERATOR
    secret, key = model.mint(
        operator, OPERATOR_ENVIRONMENT, op.now, op.entropy, role=role, scopes=model.judge_scopes(role, sorted(scopes))
    )  # fmt: skip
    keys = op.keys_of(operator, OPERATOR_ENVIRONMENT)
    store.insert(op.tx, key, keys.seal(NAMES, "api_keys", "name_sealed", str(key.id.value), name.encode()))
    return key.id, secret


def _operation(ports: Ports) -> AbstractContextManager[SystemOperation]:
    actor = Actor(kind="system", tenant=NOBODY, environment=OPERATOR_ENVIRONMENT)
    return system_operation(ports, actor, RequestId.new(ports.clock.now(), ports.entropy))


def _issue(op: SystemOperation, operator: TenantId) -> Secret[str]:
    secret, key = model.mint(operator, OPERATOR_ENVIRONMENT, op.now, op.entropy, role=Role.OPERATOR)
    keys = op.keys_of(operator, OPERATOR_ENVIRONMENT)
    store.insert(op.tx, key, keys.seal(NAMES, "api_keys", "name_sealed", str(key.id.value), b"operator"))
    event = AuditEvent(event="key.issued", subject=str(key.id), detail={"role": "operator"})
    op.record_for(operator, OPERATOR_ENVIRONMENT, event)
    return secret
