"""Try what time would bring in a transaction that is always rolled back: operations of the operator at any moment."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.arena import Arena, Probe
from heldtrue.kernel.ids import LeafId, RequestId, TenantId
from heldtrue.op import Actor, AuditEvent, Operation, SystemOperation
from heldtrue.policy.permissions import Role

At = Callable[[datetime], SystemOperation]
"""Return an operation that takes place at a moment."""


class _RolledBackError(Exception):
    """Ends the transaction without keeping anything of it."""


@contextmanager
def rehearsal(arena: Arena) -> Generator[At]:
    """Give operations of the operator that never happened; nothing of the block stays."""
    operator = _operator(arena)
    try:
        with arena.database.system() as tx:

            def at(now: datetime) -> SystemOperation:
                def record(_tenant: TenantId, _environment: str, _event: AuditEvent) -> LeafId:
                    return LeafId.new(now, arena.entropy)

                return SystemOperation(
                    actor=Actor(kind="system", tenant=operator, environment="operator"), now=now,
                    entropy=arena.entropy, tx=tx,
                    keys_of=lambda tenant, environment: arena.keyring(tx, tenant, environment),
                    record_for=record, request=RequestId.new(now, arena.entropy),
                )  # fmt: skip

            yield at
            raise _RolledBackError
    except _RolledBackError:
        return


@contextmanager
def as_probe(arena: Arena, probe: Probe, environment: str | None = None) -> Generator[Operation]:
    """Give an operation of a synthetic organisation that never happened."""
    now, chosen = arena.clock.now(), environment or probe.environment
    try:
        with arena.database.tenant(probe.tenant, chosen) as tx:
            yield Operation(
                actor=Actor(kind="key", tenant=probe.tenant, environment=chosen, role=Role.ADMIN), tenant=probe.tenant,
                environment=chosen, now=now, entropy=arena.entropy, tx=tx,
                keys=arena.keyring(tx, probe.tenant, chosen), record=lambda _: LeafId.new(now, arena.entropy),
                request=RequestId.new(now, arena.entropy),
            )  # fmt: skip
            raise _RolledBackError
    except _RolledBackError:
        return


def _operator(arena: Arena) -> TenantId:
    with arena.database.system() as tx:
        found = tx.value("SELECT tenant_id FROM heldtrue.organisations WHERE kind = 'operator'")
    if found is None:
        raise AttackHinderedError("there is no operator's organisation yet")
    return TenantId(found)
