"""The steps of a run as blocking calls, each its own transaction; the flow engine only calls them in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from heldtrue.capabilities.deliveries.worker import Place, Worker, WorkerServices
from heldtrue.capabilities.egress import sessions as egress
from heldtrue.capabilities.egress.grants import Calls
from heldtrue.capabilities.intake.model import NoSuchAttachmentError, NoSuchPayloadError, PayloadErasedError
from heldtrue.capabilities.outputs.actions import Drafts
from heldtrue.capabilities.transforms import failing, flow_store, planning, run_store, steps
from heldtrue.capabilities.transforms.schedule import UNAVAILABLE_WAIT
from heldtrue.capabilities.transforms.steps import Tried, Work
from heldtrue.crypto.keyring import KeyDestroyedError
from heldtrue.crypto.signing import SigningKey
from heldtrue.kernel.ids import TenantId
from heldtrue.op import Operation

LEASE = timedelta(seconds=90)
"""Longer than one execution may take, and the wait for a free place in the runner."""
EACH = 4
"""Runs of one organisation that may be under way at once."""
_ERASED = (PayloadErasedError, NoSuchPayloadError, NoSuchAttachmentError, KeyDestroyedError)


@dataclass(frozen=True, slots=True)
class FlowWorker:
    """Safe to use from several threads and several processes at once."""

    services: WorkerServices
    lease: timedelta = LEASE
    each: int = EACH
    _opener: Worker = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_opener", Worker(self.services))

    def claim(self, limit: int) -> list[run_store.ClaimRow]:
        """Claim runs that are due."""
        now = self.services.clock.now()
        with self.services.database.system() as tx:
            return run_store.claim(tx, now, lease_until=now + self.lease, limit=limit, each=self.each)

    def look(self, claim: run_store.ClaimRow) -> Work | None:
        """Return what comes next of a claimed run; None when there is nothing to do."""
        try:
            with self._opener.operation(_place(claim)) as op:
                return steps.look(op, claim, self.services.objects)
        except _ERASED:
            return None  # the erasure cancelled the run in its own transaction, or is about to

    def renew(self, claim: run_store.ClaimRow) -> bool:
        """Hold a run for longer; False when it is ours no more."""
        with self._opener.operation(_place(claim)) as op:
            return run_store.renew(op.tx, claim.run_id, claim.fence, op.now + self.lease)

    def open_egress(self, work: Work) -> egress.Opened | None:
        """Write that a step is about to begin that may call out; None when the run is ours no more, or may not."""
        try:
            with self._opener.operation(_place(work.claim)) as op:
                if run_store.fenced(op.tx, work.claim.run_id, work.claim.fence) is None:
                    return None
                return egress.open_session(op, work.egress)
        except _ERASED:
            return None

    def close_egress(self, work: Work, opened: egress.Opened, called: Sequence[Calls]) -> bool:
        """Write what the step called; False when it is known already that nobody knows."""
        try:
            with self._opener.operation(_place(work.claim)) as op:
                return egress.close_session(op, work.payload.key, work.egress, opened.session, called)
        except _ERASED:
            return False

    def lose_egress(self, work: Work) -> None:
        """Write that nobody will tell what the step called."""
        with self._opener.operation(_place(work.claim)) as op:
            egress.give_up(op, work.run)

    def keep(self, work: Work, tried: Tried) -> bool:
        """Write what came of a step; after the last one, or where nothing came out, finish. False: ours no more."""
        if work.last or not tried.outputs:
            return self._finish(work, tried)
        try:
            with self._opener.operation(_place(work.claim)) as op:
                return steps.keep(op, work, tried, op.now + self.lease)
        except _ERASED:
            return False

    def fail(self, work: Work, tried: Tried) -> bool:
        """Write a try that failed; False when the run is ours no more."""
        services = self.services
        try:
            with self._opener.operation(_place(work.claim)) as op:
                return failing.fail(op, work, tried, self._sign, services.origin, services.objects, services.clock)
        except _ERASED:
            return False

    def wait(self, claim: run_store.ClaimRow) -> bool:
        """Give a run back that found no runner."""
        with self._opener.operation(_place(claim)) as op:
            return failing.wait(op, claim, op.now + UNAVAILABLE_WAIT, "unavailable")

    def give_back(self, claim: run_store.ClaimRow) -> bool:
        """Give a run back for the next process to go on with at once."""
        with self._opener.operation(_place(claim)) as op:
            return failing.wait(op, claim, op.now)

    def fire_due(self, limit: int = 100) -> int:
        """Begin runs of the schedules that are due, each in a transaction of its own; return how many."""
        with self.services.database.system() as tx:
            due = flow_store.due(tx, self.services.clock.now(), limit)
        fired = 0
        for row in due:
            with self._opener.operation((row.tenant_id, row.environment)) as op:
                fired += planning.fire(op, row.flow_id, self.services.objects) is not None
        return fired

    def _finish(self, work: Work, tried: Tried) -> bool:
        services = self.services
        tenant, environment = TenantId(work.claim.tenant_id), work.claim.environment
        drafts = Drafts(
            tenant, environment, work.flow, work.run, work.payload.key, services.objects, services.clock,
            services.entropy, work.payload.attachments,
        )  # fmt: skip
        kept = False
        try:
            makers = (*work.before, steps.maker_of(work, tried.sandbox))
            for number, (body, files) in enumerate(zip(tried.outputs, tried.files, strict=True)):
                drafts.add(body, work.config.event_type, makers, number, files)
            with self._opener.operation(_place(work.claim)) as op:
                kept = steps.finish(op, work, tried, drafts.made, self._sign, services.origin, services.objects)
        except _ERASED:
            return False
        finally:
            if not kept:
                drafts.discard()
        return kept

    def _sign(self, op: Operation) -> SigningKey:
        return self.services.signers.active(op.tx, "receipt", op.now)


def _place(claim: run_store.ClaimRow) -> Place:
    return claim.tenant_id, claim.environment
