"""The gate to vendors: nothing of an organisation leaves for an optional one before that organisation has opted in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from heldtrue.capabilities.registers import actions
from heldtrue.capabilities.registers.calls import covers
from heldtrue.capabilities.registers.kinds import SUB_PROCESSORS
from heldtrue.capabilities.registers.model import UnknownItemError
from heldtrue.capabilities.registers.subprocessors import State, SubProcessor
from heldtrue.db.tx import TenantTx
from heldtrue.http.exchange import Answer
from heldtrue.kernel.errors import ConflictError, DeniedError
from heldtrue.op import AuditEvent, Operation

_VendorName = Annotated[str, msgspec.Meta(max_length=80, description="Its item in the register of sub-processors.")]


class VendorNotPermittedError(DeniedError):
    """This vendor may have nothing of this organisation's environment; an administrator can opt in."""

    code = "vendor-not-permitted"


class UnknownVendorError(ConflictError):
    """There is no such sub-processor at present; `GET /v1/vendors` lists those there are."""

    code = "unknown-vendor"


class NotOptionalError(ConflictError):
    """The vendor is part of the service for everybody, so there is nothing to choose; an objection can be made."""

    code = "not-optional"


class ChooseVendor(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an optional vendor may have this environment's data."""

    vendor: _VendorName
    permitted: bool


class VendorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A sub-processor, and what was chosen for this environment."""

    vendor: str
    name: str
    purpose: str
    location: list[str]
    state: str
    optional: bool
    permitted: bool
    """Whether it may have this environment's data now."""
    decided_at: datetime | None
    """When this environment last chose; null: never, so an optional one gets nothing."""


class VendorList(msgspec.Struct, frozen=True, kw_only=True):
    """Every sub-processor, by name of its item."""

    data: list[VendorRecord]


@dataclass(frozen=True, slots=True)
class _Choice:
    vendor: str
    permitted: bool
    decided_at: datetime


def permit(op: Operation, vendor: str, host: str) -> None:
    """Return when data of the caller's environment may go to *vendor* at *host*, and record that it goes.

    Every egress to a vendor passes here first. Denied by default: a vendor that is not listed, not active, not reached
    at one of its hosts, or optional and not opted in. Raise `VendorNotPermittedError`, which leaves nothing behind; the
    caller's refusal is recorded by whoever handles the error.
    """
    found = _standing(op.tx, vendor)
    if found is None or found.state is not State.ACTIVE or not any(covers(known, host) for known in found.hosts):
        raise VendorNotPermittedError(f"{vendor[:80]} at {host[:80]} is no active sub-processor.")
    if found.terms.optional and not _permitted(op, vendor):
        raise VendorNotPermittedError(
            f"{found.name} gets nothing of this environment, which has not opted in.",
            advice="An administrator opts in with PUT /v1/vendors.",
        )
    op.record(AuditEvent(event="vendor.called", subject=vendor, detail={"optional": found.terms.optional}))


def withheld(op: Operation, host: str) -> str | None:
    """Return the optional vendor at *host* that may have nothing of the caller's environment; None where data may go.

    For hosts that customers name themselves, where no listed vendor's are none of ours to refuse. Where data may go to
    an optional vendor, that is recorded, as `permit` does.
    """
    for entry in actions.current(op.tx, SUB_PROCESSORS):
        if entry.document.terms.optional and any(covers(known, host) for known in entry.document.hosts):
            try:
                permit(op, entry.item, host)
            except VendorNotPermittedError:
                return entry.item
    return None


def choose(op: Operation, asked: ChooseVendor) -> Answer:
    """Opt in to an optional vendor, or out again; from then on the gate keeps to it."""
    found = _standing(op.tx, asked.vendor)
    if found is None:
        raise UnknownVendorError(f"There is no sub-processor {asked.vendor!r}.")
    if not found.terms.optional:
        raise NotOptionalError
    op.tx.execute(
        """INSERT INTO heldtrue.vendor_choices (tenant_id, environment, vendor, permitted, decided_at)
           VALUES (%s, %s, %s, %s, %s) ON CONFLICT (tenant_id, environment, vendor)
           DO UPDATE SET permitted = excluded.permitted, decided_at = excluded.decided_at""",
        (op.tenant.value, op.environment, asked.vendor, asked.permitted, op.now),
    )
    record = _record(asked.vendor, found, _Choice(asked.vendor, asked.permitted, op.now))
    return Answer(body=record, subject=asked.vendor, detail={"permitted": asked.permitted})


def list_vendors(op: Operation) -> VendorList:
    """List the sub-processors with what was chosen for this environment."""
    choices = {choice.vendor: choice for choice in _choices(op)}
    standing = actions.current(op.tx, SUB_PROCESSORS)
    return VendorList(data=[_record(one.item, one.document, choices.get(one.item)) for one in standing])


def _permitted(op: Operation, vendor: str) -> bool:
    """Return what this environment chose; without a choice, no."""
    return any(choice.permitted for choice in _choices(op) if choice.vendor == vendor)


def _choices(op: Operation) -> list[_Choice]:
    return op.tx.many(
        _Choice,
        "SELECT vendor, permitted, decided_at FROM heldtrue.vendor_choices WHERE tenant_id = %s AND environment = %s",
        (op.tenant.value, op.environment),
    )


def _standing(tx: TenantTx, vendor: str) -> SubProcessor | None:
    try:
        return actions.one(tx, SUB_PROCESSORS, vendor).document
    except UnknownItemError:
        return None


def _record(item: str, found: SubProcessor, choice: _Choice | None) -> VendorRecord:
    chosen = choice is not None and choice.permitted
    return VendorRecord(
        vendor=item, name=found.name, purpose=found.terms.purpose, location=list(found.terms.location),
        state=found.state.value, optional=found.terms.optional,
        permitted=found.state is State.ACTIVE and (chosen or not found.terms.optional),
        decided_at=None if choice is None else choice.decided_at,
    )  # fmt: skip
