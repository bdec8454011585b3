"""The worker's part that sends: claim under a lease, hand over, record; a crash between two steps sends again.

A mail is handed over at least once. Killed between the server's 250 and the record, the same message goes again, byte
for byte and with the same `Message-ID`, by which receivers know the second one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from heldtrue.capabilities.ledger.actions import append_audit
from heldtrue.capabilities.post import actions, store
from heldtrue.capabilities.post.actions import KeysOf
from heldtrue.capabilities.post.compose import compose
from heldtrue.capabilities.post.model import PURPOSE, TABLE, Draft, State, next_try
from heldtrue.capabilities.post.smtp import Outcome, Smarthost, deliver
from heldtrue.capabilities.post.store import ClaimedRow
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.errors import UnavailableError
from heldtrue.kernel.ids import Entropy, MailId, RequestId, TenantId
from heldtrue.op import Actor, AuditEvent

LEASE = timedelta(minutes=10)
"""Longer than an attempt can take: five steps of SMTP, each with its timeout."""
AT_ONCE = 4
POLL = 1.0
LONGEST_WAIT = 30.0

log = structlog.get_logger("heldtrue.post")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostServices:
    """What sending needs; the wiring fills it in."""

    database: Database
    platform: PlatformKey
    cache: KeyCache
    clock: Clock
    entropy: Entropy
    smarthost: Smarthost
    send: Callable[[Smarthost, str, bytes], Outcome] = field(default=deliver)


@dataclass(frozen=True, slots=True)
class Ready:
    """A claimed mail with the bytes that are sent."""

    claimed: ClaimedRow
    draft: Draft
    message: bytes = field(repr=False)


class Postman:
    """Sends what waits; any number of them at once, each mail under one lease."""

    def __init__(self, services: PostServices) -> None:
        self._services = services

    def claim(self, limit: int = AT_ONCE) -> list[Ready]:
        """Claim mails that are due, and keep the bytes of each before anybody sends them. Blocking."""
        services = self._services
        with services.database.system() as tx:
            now = services.clock.now()
            claimed = store.claim(tx, now, now + LEASE, limit)
            if not claimed:
                return []
            ring = actions.keyring(tx, self._keys(tx))
            return [self._ready(tx, ring, one) for one in claimed]

    def send(self, ready: Ready) -> Outcome:
        """Hand one over. Blocking."""
        return self._services.send(self._services.smarthost, ready.draft.to, ready.message)

    def record(self, ready: Ready, outcome: Outcome) -> State | None:
        """Write what came of it, with an entry in the operator's ledger; None where another worker holds it now."""
        services = self._services
        with services.database.system() as tx:
            now = services.clock.now()
            ring = actions.keyring(tx, self._keys(tx))
            mail, claimed = MailId(ready.claimed.mail_id), ready.claimed
            due_at = None
            if outcome.failure is not None and not outcome.permanent:
                due_at = next_try(claimed.tries, now, services.entropy)
            state: State = "sent" if outcome.failure is None else "failed" if due_at is None else "waiting"
            counted = store.settle(
                tx, claimed, state, due_at=due_at, settled_at=None if state == "waiting" else now,
                failure=outcome.failure, status=outcome.status,
                reply_sealed=ring.seal(PURPOSE, TABLE, "reply_sealed", str(mail.value), outcome.reply.encode()),
                draft_sealed=actions.sent_draft(ring, mail, ready.draft) if state == "sent" else None,
            )  # fmt: skip
            if not counted:
                log.warning("a late outcome was refused by its fence", mail=str(mail))
                return None
            if state != "waiting":
                self._audit(tx, ring, mail, f"post.{state}", outcome)
        self._tell(mail, state, outcome)
        return state

    def step(self, limit: int = AT_ONCE) -> int:
        """Claim, send and record one after the other; return how many. Blocking."""
        ready = self.claim(limit)
        for one in ready:
            self.record(one, self.send(one))
        return len(ready)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until *stop* is set; what is under way is recorded first."""
        pause = POLL
        while not stop.is_set():
            try:
                ready = await asyncio.to_thread(self.claim)
                await asyncio.gather(*(self._carry(one) for one in ready))
            except UnavailableError as error:
                log.warning("mail waits", code=error.code, again_in=pause)
                pause = min(pause * 2, LONGEST_WAIT)
            except Exception:
                log.exception("a round of mail failed", again_in=pause)
                pause = min(pause * 2, LONGEST_WAIT)
            else:
                pause = POLL
                if ready:
                    continue
            await _rest(stop, pause)

    async def _carry(self, ready: Ready) -> None:
        outcome = await asyncio.to_thread(self.send, ready)
        await asyncio.to_thread(self.record, ready, outcome)

    def _ready(self, tx: SystemTx, ring: TenantKeyring, claimed: ClaimedRow) -> Ready:
        mail, host = MailId(claimed.mail_id), self._services.smarthost
        draft = actions.opened(ring, mail, claimed.draft_sealed)
        row = str(mail.value)
        if claimed.wire_sealed is not None:
            return Ready(claimed, draft, ring.open(PURPOSE, TABLE, "wire_sealed", row, claimed.wire_sealed))
        message = compose(mail, draft, host.sender, host.name, host.reply_to, claimed.created_at)
        store.keep_wire(tx, mail.value, claimed.fence, ring.seal(PURPOSE, TABLE, "wire_sealed", row, message))
        return Ready(claimed, draft, message)

    def _audit(self, tx: SystemTx, ring: TenantKeyring, mail: MailId, event: str, outcome: Outcome) -> None:
        services = self._services
        operator = actions.operator_known(tx)
        now = services.clock.now()
        actor = Actor(kind="system", tenant=operator, environment=OPERATOR_ENVIRONMENT)
        detail = {"failure": outcome.failure, "status": outcome.status}
        append_audit(
            tx, ring, operator, OPERATOR_ENVIRONMENT, actor, RequestId.new(now, services.entropy), now,
            services.entropy, AuditEvent(event=event, subject=str(mail), detail=detail),
        )  # fmt: skip

    def _tell(self, mail: MailId, state: State, outcome: Outcome) -> None:
        told = log.info if state == "sent" else log.warning
        told("mail", mail=str(mail), state=state, failure=outcome.failure, status=outcome.status)

    def _keys(self, tx: SystemTx) -> KeysOf:
        services = self._services

        def of(tenant: TenantId, environment: str) -> TenantKeyring:
            return TenantKeyring(
                services.platform, TxKeyRecords(tx), services.cache, tenant, environment, services.entropy,
                services.clock.now(),
            )  # fmt: skip

        return of


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
