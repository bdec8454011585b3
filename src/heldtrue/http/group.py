"""One transaction for many requests of one organisation and environment, each as `http.transaction` would do it alone.

The event loop does what costs processor time; threads only wait for the database. So the two never fight for the
interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from heldtrue.crypto.keyring import OBJECT, TenantKeyring, TenantKeyRow
from heldtrue.db.groups import GroupLimits, Groups
from heldtrue.db.keystore import GroupKeyRecords
from heldtrue.db.threads import Threads
from heldtrue.db.tx import GroupTx, OutcomeUnknownError
from heldtrue.http.exchange import Answer
from heldtrue.http.idempotency import PURPOSE, Asked, Repeatable
from heldtrue.http.ports import Ports
from heldtrue.http.route import Route
from heldtrue.http.transaction import Recorder, carry_out
from heldtrue.kernel.errors import HeldtrueError, UnavailableError
from heldtrue.kernel.ids import RequestId, TenantId
from heldtrue.op import Actor, Operation

LIMITS = GroupLimits(group=256, waiting=10_000, within=5.0, commits=2, beside=16)
"""Two commits at a time: while one waits for the disk, the other seals; for one organisation only where many wait."""


class BusyError(UnavailableError):
    """More requests wait to be stored than can be soon, so this one was not; send it again in a moment."""

    code = "busy"


@dataclass(frozen=True, slots=True)
class Member:
    """One request of a group; its action inserts rows and reads none."""

    route: Route
    actor: Actor
    request: RequestId
    act: Callable[[Operation], Answer]
    repeatable: Repeatable | None

    @property
    def place(self) -> tuple[TenantId, str]:
        """What one transaction sees: an organisation's environment."""
        return self.actor.tenant, self.actor.environment


class GroupCommits:
    """The groups of one process."""

    def __init__(self, ports: Ports, limits: GroupLimits = LIMITS) -> None:
        self._ports = ports
        self._threads = Threads(limits.commits, "commit")
        self._groups = Groups[Member, Answer](
            self._commit,
            limits=limits,
            place=lambda member: member.place,
            apart=lambda members: [[member] for member in members],
            refused=BusyError,
            unsure=OutcomeUnknownError,
        )

    async def perform(self, member: Member) -> Answer:
        """Return the member's answer once its group is committed; raise what refused it."""
        return await self._groups.append(member)

    def close(self) -> None:
        """End the threads; whoever waits was answered before, or is gone. Blocking."""
        self._threads.close()

    async def _commit(self, members: Sequence[Member]) -> Sequence[Answer | Exception]:
        now = self._ports.clock.now()
        async with self._threads.within(self._opened(members, now)) as (tx, asked, keys):
            ends: list[Answer | Exception] = []
            for one in members:
                record = Recorder(self._ports, tx, one.actor, one.request, now, keys)
                try:
                    with tx.member():
                        ends.append(_one(one, tx, record, asked))
                except UnavailableError:
                    raise
                except HeldtrueError as error:
                    ends.append(error)
        return ends

    @contextmanager
    def _opened(self, members: Sequence[Member], now: datetime) -> Generator[tuple[GroupTx, Asked, TenantKeyring]]:
        """Open the transaction, and ask the database for all that the members have to know."""
        ports, (tenant, environment) = self._ports, members[0].place
        with ports.database.group(tenant, environment) as tx:
            asked = Asked(tx, [one.repeatable for one in members if one.repeatable is not None])
            active, *told = tx.ask((TenantKeyRow, GroupKeyRecords.ACTIVE, [tenant.value]), *asked.questions())
            if told:
                asked.told(*told)
            keys = group_keys(ports, tx, tenant, environment, active, now)
            keys.have(OBJECT, PURPOSE, "ledger")
            yield tx, asked, keys


def group_keys(
    ports: Ports, tx: GroupTx, tenant: TenantId, environment: str, active: Iterable[TenantKeyRow], now: datetime
) -> TenantKeyring:
    """Return an organisation's keys, of which those that are *active* were asked for already."""
    records = GroupKeyRecords(tx, active)
    return TenantKeyring(ports.platform, records, ports.key_cache, tenant, environment, ports.entropy, now)


def _one(one: Member, tx: GroupTx, record: Recorder, asked: Asked) -> Answer:
    op = Operation(
        actor=one.actor, tenant=one.actor.tenant, environment=one.actor.environment, now=record.now,
        entropy=record.ports.entropy, tx=tx, keys=record.keys, record=record, request=one.request,
    )  # fmt: skip
    return carry_out(one.route, record, lambda: one.act(op), one.repeatable, asked.begin)
