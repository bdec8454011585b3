"""The steps of forwarding and sending, each its own transaction; the engine only calls them in turn."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from heldtrue.capabilities.deliveries import claiming, forward, recording, sender
from heldtrue.capabilities.deliveries.book import Book
from heldtrue.capabilities.deliveries.claiming import ClaimRow
from heldtrue.capabilities.deliveries.endpoints import DISABLE_AFTER
from heldtrue.capabilities.deliveries.message import Urls
from heldtrue.capabilities.deliveries.selecting import reader
from heldtrue.capabilities.deliveries.sender import EACH, LEASE, Outcome, Prepared
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.keystore.actions import Signers
from heldtrue.capabilities.ledger.actions import Appender
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.crypto.signing import SigningKey
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.tx import Database
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import Entropy, LeafId, PayloadId, RequestId, TenantId
from heldtrue.op import Actor, AuditEvent, Operation

Place = tuple[UUID, str]
"""An organisation and its environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerServices:
    """What forwarding and sending need; the wiring fills it in."""

    database: Database
    platform: PlatformKey
    cache: KeyCache
    clock: Clock
    entropy: Entropy
    objects: ObjectStore
    signers: Signers
    origin: str
    """Name of the log, which receipts carry."""
    urls: Urls
    lease: timedelta = field(default=LEASE)
    each: int = EACH
    disable_after: timedelta = DISABLE_AFTER
    """An endpoint that nothing was delivered to for so long is disabled."""
    plan: forward.Plan | None = None
    """Which payloads flows take; None: none."""


class Worker:
    """T2, T3 and T4 as blocking calls; safe to use from several threads and several processes at once."""

    def __init__(self, services: WorkerServices) -> None:
        self._services = services
        self._book = Book()
        self._read = reader(services.objects)

    # ------------------------------------------------------------ T2

    def waiting(self, passed_over: Sequence[PayloadId], limit: int) -> dict[Place, list[PayloadId]]:
        """Return payloads that wait to be forwarded, by place."""
        with self._services.database.system() as tx:
            rows = claiming.waiting(tx, [payload.value for payload in passed_over], limit)
        found: dict[Place, list[PayloadId]] = {}
        for row in rows:
            found.setdefault((row.tenant_id, row.environment), []).append(PayloadId(row.payload_id))
        return found

    def forward(self, place: Place, payloads: Sequence[PayloadId]) -> int:
        """Make receipts and deliveries of what still waits; return of how many payloads (T2)."""
        with self.operation(place) as op:
            services = self._services
            return forward.forward(op, payloads, self._sign, services.origin, self._read, services.plan)

    # ------------------------------------------------------------ T3

    def claim(self, limit: int, room: Mapping[UUID, int], each: int | None = None) -> list[ClaimRow]:
        """Claim what is due (T3): of an endpoint as many as its *room*, or *each*."""
        services = self._services
        each = services.each if each is None else each
        with services.database.system() as tx:
            return sender.claim(tx, services.clock.now(), limit, room, lease=services.lease, each=each)

    def prepare(self, place: Place, claims: Sequence[ClaimRow]) -> list[Prepared]:
        """Return what is to be sent of the claims of one place."""
        services = self._services
        with self.operation(place) as op:
            return sender.prepare(op, claims, services.objects, services.urls, self._book)

    # ------------------------------------------------------------ T4

    def record(self, place: Place, outcomes: Sequence[Outcome]) -> int:
        """Write what came of the attempts of one place; return how many counted (T4).

        Outcomes that disable their endpoint have a transaction each, because they lock more than their delivery.
        """
        plain = [outcome for outcome in outcomes if outcome.response.status != recording.GONE_STATUS]
        counted = 0
        if plain:
            with self.operation(place) as op:
                counted += recording.record(op, plain)
        for outcome in outcomes:
            if outcome.response.status == recording.GONE_STATUS:
                with self.operation(place) as op:
                    counted += recording.record_gone(op, outcome)
        return counted

    @contextmanager
    def operation(self, place: Place) -> Generator[Operation]:
        """Open an operation of the system itself on one place; commit when the block ends.

        What it records is written in one round trip at its end.
        """
        services = self._services
        tenant, environment = TenantId(place[0]), place[1]
        now = services.clock.now()
        actor = Actor(kind="system", tenant=tenant, environment=environment)
        request = RequestId.new(now, services.entropy)
        with services.database.tenant(tenant, environment) as tx:
            keys = TenantKeyring(
                services.platform, TxKeyRecords(tx), services.cache, tenant, environment, services.entropy, now
            )

            ledger = Appender(tx, keys, tenant, environment, now, services.entropy)

            def write(event: AuditEvent) -> LeafId:
                return ledger.audit(actor, request, event)

            yield Operation(
                actor=actor,
                tenant=tenant,
                environment=environment,
                now=now,
                entropy=services.entropy,
                tx=tx,
                keys=keys,
                record=write,
                request=request,
            )
            ledger.flush()

    def _sign(self, op: Operation) -> SigningKey:
        return self._services.signers.active(op.tx, "receipt", op.now)


def by_place(claims: Sequence[ClaimRow]) -> dict[Place, list[ClaimRow]]:
    """Return *claims* by organisation and environment."""
    found: dict[Place, list[ClaimRow]] = {}
    for claim in claims:
        found.setdefault((claim.tenant_id, claim.environment), []).append(claim)
    return found
