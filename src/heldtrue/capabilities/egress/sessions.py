"""What a step may call and what it called: an intent before it begins, a completion after it, and otherwise "unknown".

A crash before the intent leaves nothing, and nothing was called. A crash after it leaves an open session: the broker
ends the grant when the worker hangs up, and whoever takes the run over writes that the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from heldtrue.capabilities.egress import actions, store
from heldtrue.capabilities.egress.grants import Call, Calls, Grant, GrantCredential, GrantRule
from heldtrue.capabilities.egress.model import CallView, EgressSessionView, Rule
from heldtrue.capabilities.registers import vendors
from heldtrue.crypto.keyring import KeyDestroyedError
from heldtrue.crypto.sealing import DataKey, key_id_of
from heldtrue.kernel.ids import CredentialId, EgressSessionId, PayloadId, RunId, TransformId
from heldtrue.kernel.secret import Secret
from heldtrue.op import AuditEvent, Operation

OPENED, CLOSED, UNKNOWN = "egress.opened", "egress.closed", "egress.unknown"
MOST_KEPT = 500
"""Calls of one session that are kept one by one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that is open, with all that the broker must know."""

    session: EgressSessionId
    rules: tuple[GrantRule, ...]
    credentials: Mapping[str, tuple[Secret[str], tuple[str, ...]]] = field(repr=False)

    def grant(self) -> Grant:
        """Return what the broker is told; here credentials leave for it."""
        return Grant(
            self.rules,
            {name: GrantCredential(value.reveal(), hosts) for name, (value, hosts) in self.credentials.items()},
        )


@dataclass(frozen=True, slots=True)
class Step:
    """Which try of which step."""

    run: RunId
    payload: PayloadId
    position: int
    fence: int
    transform: TransformId


def reaches(op: Operation, transform: TransformId) -> bool:
    """Return whether a transform may call anybody."""
    row = store.rules(op.tx, transform.value)
    return row is not None and bool(actions.rules_of(op, row).rules)


def open_session(op: Operation, step: Step) -> Opened | None:
    """Write that a step is about to begin that may call out; None when its rules are gone."""
    give_up(op, step.run)
    row = store.rules(op.tx, step.transform.value)
    rules = None if row is None else actions.rules_of(op, row)
    if rules is None or not rules.rules:
        return None
    session = EgressSessionId.new(op.now, op.entropy)
    store.open_session(
        op.tx,
        op.tenant.value,
        op.environment,
        store.SessionRow(
            session.value, step.run.value, step.payload.value, step.position, step.fence, "open", op.now, None, None
        ),
    )
    detail = {"run": str(step.run), "step": step.position, "transform": str(step.transform), "hosts": len(rules.rules)}
    op.record(AuditEvent(event=OPENED, subject=str(session), detail=detail))
    return Opened(
        session,
        tuple(judged(op, rule) for rule in rules.rules),
        _opened(op, rules.credentials),
    )


def judged(op: Operation, rule: Rule) -> GrantRule:
    """Return what the broker is told of *rule*: nothing leaves for an optional vendor before there was an opt-in."""
    withheld = vendors.withheld(op, rule.host.partition(":")[0])
    return GrantRule(rule.host, {} if withheld else rule.headers, withheld or "")


def _opened(op: Operation, named: Mapping[str, str]) -> dict[str, tuple[Secret[str], tuple[str, ...]]]:
    names = {CredentialId.parse(text).value: name for name, text in named.items()}
    found: dict[str, tuple[Secret[str], tuple[str, ...]]] = {}
    for row in store.named(op.tx, list(names)):
        value = actions.value_of(op, row)
        if value is not None:
            found[names[row.credential_id]] = (value, actions.config_of(op, row).hosts)
    return found


def close_session(op: Operation, key: DataKey, step: Step, session: EgressSessionId, called: Sequence[Calls]) -> bool:
    """Write what was called, sealed under the payload's *key*; False when somebody wrote "unknown" before."""
    calls = [call for one in called for call in one.calls]
    beyond = sum(one.beyond for one in called) + max(0, len(calls) - MOST_KEPT)
    plain = msgspec.json.encode(Calls(tuple(calls[:MOST_KEPT]), beyond))
    sealed = op.keys.seal_object(key, "egress_sessions", "calls", str(session.value), plain)
    if not store.close_session(op.tx, session.value, sealed, op.now):
        return False
    detail = {
        "run": str(step.run),
        "step": step.position,
        "answered": sum(call.status is not None for call in calls),
        "refused": sum(call.status is None for call in calls) + beyond,
        "sent": sum(call.sent for call in calls),
        "received": sum(call.received for call in calls),
    }
    op.record(AuditEvent(event=CLOSED, subject=str(session), detail=detail))
    return True


def give_up(op: Operation, run: RunId) -> None:
    """Write of sessions that were interrupted that nobody knows what they called."""
    for session in store.give_up_sessions(op.tx, run.value, op.now):
        op.record(AuditEvent(event=UNKNOWN, subject=str(EgressSessionId(session)), detail={"run": str(run)}))


def sessions_of(op: Operation, run: UUID) -> list[EgressSessionView]:
    """Tell what a run called."""
    return [_view(op, row) for row in store.sessions(op.tx, run)]


def forget(op: Operation, payload: PayloadId) -> None:
    """Forget what was called for a payload that is erased."""
    store.forget(op.tx, payload.value)


def _view(op: Operation, row: store.SessionRow) -> EgressSessionView:
    told = Calls()
    if row.calls_sealed is not None:
        try:
            key = op.keys.object_key(key_id_of(row.calls_sealed))
            plain = op.keys.open_object(key, "egress_sessions", "calls", str(row.session_id), row.calls_sealed)
            told = msgspec.json.decode(plain, type=Calls)
        except KeyDestroyedError:
            told = Calls()
    return EgressSessionView(
        position=row.position,
        outcome=row.outcome,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        calls=[_call(call) for call in told.calls],
        beyond=told.beyond,
    )


def _call(call: Call) -> CallView:
    return CallView(
        host=call.host,
        method=call.method,
        status=call.status,
        refused=call.refused,
        sent=call.sent,
        received=call.received,
        milliseconds=call.milliseconds,
        credentials=list(call.credentials),
    )
