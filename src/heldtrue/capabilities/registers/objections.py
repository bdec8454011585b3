"""Objections of organisations to a sub-processor: recorded, listed to the operator, answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from heldtrue.capabilities.registers import actions
from heldtrue.capabilities.registers.kinds import SUB_PROCESSORS
from heldtrue.capabilities.registers.vendors import UnknownVendorError
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.http.exchange import Answer
from heldtrue.http.pagination import Listing, PageQuery, listing
from heldtrue.kernel.errors import ConflictError, NotFoundError
from heldtrue.kernel.ids import ObjectionId, TenantId
from heldtrue.op import AuditEvent, Operation, SystemOperation

PURPOSE = "objections"
_TABLE = "objections"
_Words = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]


class UnknownObjectionError(NotFoundError):
    """There is no such objection; `GET /v1/objections/received` lists those there are."""

    code = "unknown-objection"


class AlreadyRespondedError(ConflictError):
    """The objection was answered already; write to the customer for anything more."""

    code = "already-responded"


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """What an organisation says against a sub-processor."""

    sub_processor: Annotated[str, msgspec.Meta(max_length=80)]
    reason: _Words


class Respond(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator says to an objection."""

    objection_id: str
    response: _Words


class ObjectionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An objection, and what was said to it."""

    id: str
    sub_processor: str
    reason: str
    objected_at: datetime
    response: str | None
    responded_at: datetime | None


class ReceivedObjection(msgspec.Struct, frozen=True, kw_only=True):
    """An objection as the operator sees it."""

    id: str
    organisation_id: str
    environment: str
    sub_processor: str
    reason: str
    objected_at: datetime
    response: str | None
    responded_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Row:
    tenant_id: UUID
    environment: str
    objection_id: UUID
    sub_processor: str
    reason_sealed: bytes
    objected_at: datetime
    response_sealed: bytes | None
    responded_at: datetime | None


def make_objection(op: Operation, asked: Object) -> Answer:
    """Object to a sub-processor that is listed; the operator is shown it and answers."""
    standing = {entry.item for entry in actions.current(op.tx, SUB_PROCESSORS)}
    if asked.sub_processor not in standing:
        raise UnknownVendorError(f"There is no sub-processor {asked.sub_processor!r}.")
    objection = ObjectionId.new(op.now, op.entropy)
    name = str(objection.value)
    sealed = op.keys.seal(PURPOSE, _TABLE, "reason_sealed", name, asked.reason.encode())
    op.tx.execute(
        """INSERT INTO heldtrue.objections
             (tenant_id, environment, objection_id, sub_processor, reason_sealed, objected_at)
           VALUES (%s, %s, %s, %s, %s, %s)""",
        (op.tenant.value, op.environment, objection.value, asked.sub_processor, sealed, op.now),
    )
    record = ObjectionRecord(
        id=str(objection), sub_processor=asked.sub_processor, reason=asked.reason, objected_at=op.now, response=None,
        responded_at=None,
    )  # fmt: skip
    return Answer(body=record, detail={"sub_processor": asked.sub_processor})


def list_own(op: Operation, asked: PageQuery) -> Listing[ObjectionRecord]:
    """List the organisation's own objections, the newest first."""
    after = asked.after()
    rows = op.tx.many(
        _Row,
        """SELECT tenant_id, environment, objection_id, sub_processor, reason_sealed, objected_at, response_sealed,
             responded_at FROM heldtrue.objections
           WHERE tenant_id = %s AND environment = %s AND (%s::uuid IS NULL OR objection_id < %s)
           ORDER BY objection_id DESC LIMIT %s""",
        (op.tenant.value, op.environment, after, after, asked.limit + 1),
    )
    return listing(rows, asked, lambda row: _own(op.keys, row), lambda row: row.objection_id)


def list_received(op: SystemOperation, asked: PageQuery) -> Listing[ReceivedObjection]:
    """List the objections of all organisations, the newest first."""
    after = asked.after()
    rows = op.tx.many(
        _Row,
        """SELECT tenant_id, environment, objection_id, sub_processor, reason_sealed, objected_at, response_sealed,
             responded_at FROM heldtrue.objections
           WHERE %s::uuid IS NULL OR objection_id < %s ORDER BY objection_id DESC LIMIT %s""",
        (after, after, asked.limit + 1),
    )
    return listing(rows, asked, lambda row: _received(op, row), lambda row: row.objection_id)


def respond(op: SystemOperation, asked: Respond) -> Answer:
    """Answer an objection; the organisation reads it beside its own words, and its ledger has an entry."""
    objection = ObjectionId.parse(asked.objection_id)
    row = op.tx.one(
        _Row,
        """SELECT tenant_id, environment, objection_id, sub_processor, reason_sealed, objected_at, response_sealed,
             responded_at FROM heldtrue.objections WHERE objection_id = %s FOR UPDATE""",
        (objection.value,),
    )
    if row is None:
        raise UnknownObjectionError
    if row.responded_at is not None:
        raise AlreadyRespondedError
    tenant = TenantId(row.tenant_id)
    keys = op.keys_of(tenant, row.environment)
    sealed = keys.seal(PURPOSE, _TABLE, "response_sealed", str(row.objection_id), asked.response.encode())
    op.tx.execute(
        "UPDATE heldtrue.objections SET response_sealed = %s, responded_at = %s WHERE tenant_id = %s"
        " AND objection_id = %s",
        (sealed, op.now, row.tenant_id, row.objection_id),
    )
    op.record_for(tenant, row.environment, AuditEvent(event="objection.responded", subject=str(objection)))
    shown = _received(op, row)
    return Answer(
        body=msgspec.structs.replace(shown, response=asked.response, responded_at=op.now), subject=str(objection)
    )


def waiting(op: SystemOperation) -> int:
    """Return how many objections have no answer yet."""
    return op.tx.value("SELECT count(*) FROM heldtrue.objections WHERE responded_at IS NULL")


def _own(keys: TenantKeyring, row: _Row) -> ObjectionRecord:
    reason, response = _opened(keys, row)
    return ObjectionRecord(
        id=str(ObjectionId(row.objection_id)), sub_processor=row.sub_processor, reason=reason,
        objected_at=row.objected_at, response=response, responded_at=row.responded_at,
    )  # fmt: skip


def _received(op: SystemOperation, row: _Row) -> ReceivedObjection:
    tenant = TenantId(row.tenant_id)
    reason, response = _opened(op.keys_of(tenant, row.environment), row)
    return ReceivedObjection(
        id=str(ObjectionId(row.objection_id)), organisation_id=str(tenant), environment=row.environment,
        sub_processor=row.sub_processor, reason=reason, objected_at=row.objected_at, response=response,
        responded_at=row.responded_at,
    )  # fmt: skip


def _opened(keys: TenantKeyring, row: _Row) -> tuple[str, str | None]:
    name = str(row.objection_id)
    reason = keys.open(PURPOSE, _TABLE, "reason_sealed", name, row.reason_sealed).decode()
    if row.response_sealed is None:
        return reason, None
    return reason, keys.open(PURPOSE, _TABLE, "response_sealed", name, row.response_sealed).decode()
