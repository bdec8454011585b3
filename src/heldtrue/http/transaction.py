"""One transaction an operation: idempotency before the effect, the audit entry after it, all or nothing (T1)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.tx import SystemTx, TenantTx
from heldtrue.http import idempotency, wire
from heldtrue.http.exchange import Answer, Page
from heldtrue.http.idempotency import Repeatable, Stored
from heldtrue.http.ports import Ports
from heldtrue.http.problems import status_of
from heldtrue.http.route import Realm, Route
from heldtrue.kernel.errors import HeldtrueError
from heldtrue.kernel.ids import LeafId, RequestId, TenantId
from heldtrue.op import Actor, AuditEvent, Operation, SystemOperation

REFUSED = "request.refused"
REPLAYED = "request.replayed"


Begin = Callable[[TenantKeyring, Repeatable, datetime], Stored | None]
"""How a group learns what `idempotency.begin` asks for."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Appends audit events within one transaction, and remembers which."""

    ports: Ports
    tx: TenantTx | SystemTx
    actor: Actor
    request: RequestId
    now: datetime
    keys: TenantKeyring
    """Of the actor's own organisation and environment."""
    events: list[str] = field(default_factory=list)

    def __call__(self, event: AuditEvent) -> LeafId:
        """Append *event* to the ledger of the actor's own organisation."""
        self.events.append(event.event)
        return self._append(self.keys, self.actor.tenant, self.actor.environment, event)

    def for_tenant(self, tenant: TenantId, environment: str, event: AuditEvent) -> LeafId:
        """Append *event* to another organisation's ledger, which an act of the operator touched."""
        keys = self.ports.keyring(self.tx, tenant, environment, self.now)
        return self._append(keys, tenant, environment, event)

    def _append(self, keys: TenantKeyring, tenant: TenantId, environment: str, event: AuditEvent) -> LeafId:
        return self.ports.record_audit(
            self.tx, keys, tenant, environment, self.actor, self.request, self.now, self.ports.entropy, event
        )


@contextmanager
def tenant_operation(ports: Ports, actor: Actor, request: RequestId) -> Generator[Operation]:
    """Open an operation on the actor's organisation and environment; commit when the block ends."""
    now = ports.clock.now()
    with ports.database.tenant(actor.tenant, actor.environment) as tx:
        keys = ports.keyring(tx, actor.tenant, actor.environment, now)
        yield Operation(
            actor=actor, tenant=actor.tenant, environment=actor.environment, now=now, entropy=ports.entropy, tx=tx,
            keys=keys, record=Recorder(ports, tx, actor, request, now, keys), request=request,
        )  # fmt: skip


@contextmanager
def system_operation(ports: Ports, actor: Actor, request: RequestId) -> Generator[SystemOperation]:
    """Open an operation of the operator over organisations; commit when the block ends."""
    now = ports.clock.now()
    with ports.database.system() as tx:
        keys = ports.keyring(tx, actor.tenant, actor.environment, now)
        yield SystemOperation(
            actor=actor, now=now, entropy=ports.entropy, tx=tx,
            keys_of=lambda tenant, environment: ports.keyring(tx, tenant, environment, now),
            record_for=Recorder(ports, tx, actor, request, now, keys).for_tenant, request=request,
        )  # fmt: skip


def perform(
    ports: Ports,
    route: Route,
    actor: Actor,
    request: RequestId,
    *,
    act: Callable[[Any], object],
    repeatable: Repeatable | None,
) -> Answer:
    """Run *act* for *route* in the one transaction of its realm and return its answer, encoded."""
    if route.realm is Realm.OPERATOR:
        with system_operation(ports, actor, request) as system:
            keys = system.keys_of(actor.tenant, actor.environment)
            record = Recorder(ports, system.tx, actor, request, system.now, keys)
            system_op = replace(system, record_for=record.for_tenant)
            return carry_out(route, record, lambda: act(system_op), repeatable)
    with tenant_operation(ports, actor, request) as op:
        record = Recorder(ports, op.tx, actor, request, op.now, op.keys)
        tenant_op = replace(op, record=record)
        return carry_out(route, record, lambda: act(tenant_op), repeatable)


def carry_out(
    route: Route,
    record: Recorder,
    act: Callable[[], object],
    repeatable: Repeatable | None,
    begin: Begin | None = None,
) -> Answer:
    """Run *act* within the transaction of *record*, idempotency before it and the audit entry after it."""
    if repeatable is not None:
        if begin is None:
            stored = idempotency.begin(record.tx, record.keys, repeatable, record.now)
        else:
            stored = begin(record.keys, repeatable, record.now)
        if stored is not None:
            record(AuditEvent(event=REPLAYED, subject=stored.subject, detail={"route": route.at}))
            headers = {**stored.headers, "idempotency-replayed": "true"}
            return Answer(content=stored.content, status=stored.status, headers=headers, subject=stored.subject)
    answer = _as_answer(act())
    subject = answer.subject or _id_of(answer.body)
    if route.audits is not None and route.audits not in record.events:
        record(AuditEvent(event=route.audits, subject=subject, detail=answer.detail, object_key=answer.object_key))
    encoded = _encoded(route, answer, subject)
    if repeatable is not None:
        kept = _kept_content(route, answer)
        stored = Stored(
            status=encoded.status or route.status, content=kept, headers=dict(answer.headers), subject=subject
        )
        idempotency.keep(record.tx, record.keys, repeatable, record.now, stored)
    return encoded


def _as_answer(given: object) -> Answer:
    match given:
        case Answer():
            return given
        case Page():
            return Answer(
                content=given.content, content_type=given.content_type, headers=given.headers, status=given.status
            )
        case msgspec.Struct():
            return Answer(body=given)
        case None:
            return Answer()
        case _:
            raise TypeError(f"an action answered with a {type(given).__name__}")


def _id_of(body: msgspec.Struct | None) -> str | None:
    found = getattr(body, "id", None)
    return found if isinstance(found, str) else None


def _encoded(route: Route, answer: Answer, subject: str | None) -> Answer:
    content = answer.content if answer.body is None else wire.encode(answer.body, reveal=route.bears_secret)
    return Answer(
        content=content, chunks=answer.chunks, content_type=answer.content_type, status=answer.status,
        headers=answer.headers, subject=subject, detail=answer.detail, object_key=answer.object_key,
    )  # fmt: skip


def _kept_content(route: Route, answer: Answer) -> bytes:
    """Return what is kept of an answer for its repetition; never a secret."""
    if answer.chunks is not None:
        raise TypeError(f"{route.at} creates, so its answer cannot be a stream")
    if answer.body is None:
        return answer.content or b""
    if not route.bears_secret:
        return wire.encode(answer.body)
    content, secrets = wire.encode_without_secrets(answer.body)
    if secrets == 0:
        raise TypeError(f"{route.at} bears a secret, which must be typed as one so that it is not kept")
    return content


def record_refusal(ports: Ports, route: Route, actor: Actor, request: RequestId, error: HeldtrueError) -> None:
    """Leave an entry of its own for an authenticated request that was refused, in the caller's ledger."""
    detail = {"route": route.at, "code": error.code, "status": status_of(type(error))}
    with tenant_operation(ports, actor, request) as op:
        op.record(AuditEvent(event=REFUSED, detail=detail))
