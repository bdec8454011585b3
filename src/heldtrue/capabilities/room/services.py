"""What the room stands on; the wiring fills it in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.tenants.actions import operator_in
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.tx import SystemTx
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import TenantId
from heldtrue.op import AuditEvent, SystemOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomServices:
    """Objects, company and address; and the way in for strangers, who have no operation of their own."""

    objects: ObjectStore
    company: Company
    url: str
    """Where readers find the pages, without a trailing slash."""
    strangers: Callable[[], AbstractContextManager[SystemOperation]]
    """Open an operation for what the public pages are asked."""


def operator(tx: SystemTx) -> TenantId:
    """Return the operator's organisation; raise `UnavailableError` before the first start is over."""
    found = operator_in(tx)
    if found is None:
        raise UnavailableError("The instance has not finished its first start.")
    return found


def keyring(op: SystemOperation) -> TenantKeyring:
    """Return the operator's own keys, under which the room is sealed."""
    return op.keys_of(operator(op.tx), OPERATOR_ENVIRONMENT)


def record(op: SystemOperation, event: AuditEvent) -> None:
    """Leave an entry in the operator's ledger, for what a stranger did."""
    op.record_for(operator(op.tx), OPERATOR_ENVIRONMENT, event)
