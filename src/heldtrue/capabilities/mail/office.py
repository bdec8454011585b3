"""What every conversation shares: who receives, how a message becomes durable, and what is counted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, TypeVar

import msgspec
import structlog

from heldtrue.capabilities.intake.actions import accept
from heldtrue.capabilities.intake.model import Limits, MailMeta, Origin, Taken
from heldtrue.capabilities.intake.objects import ObjectStore
from heldtrue.capabilities.intake.scanning import Scanner
from heldtrue.capabilities.intake.stream import Intake
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.mail.actions import find_mailboxes, opened_addresses, still_receiving
from heldtrue.capabilities.mail.checks.resolver import Lookups, Resolver
from heldtrue.capabilities.mail.checks.verdict import Evidence, Sender, examine, rule
from heldtrue.capabilities.mail.guard import Guard, Memory
from heldtrue.capabilities.mail.model import AddressConfig, Mailbox, Policy
from heldtrue.capabilities.mail.terms import MailBusyError, Terms, refused
from heldtrue.crypto.keyring import OBJECT
from heldtrue.crypto.sealing import DataKey
from heldtrue.db.groups import GroupLimits, Groups
from heldtrue.db.threads import Threads
from heldtrue.db.tx import OutcomeUnknownError
from heldtrue.http.group import group_keys
from heldtrue.http.ports import Ports
from heldtrue.http.refusals import MINUTE, Refusals, RefusedSummary
from heldtrue.http.transaction import Recorder
from heldtrue.kernel.ids import AddressId, PayloadId, RequestId, TenantId
from heldtrue.op import Actor, AuditEvent, Operation

if TYPE_CHECKING:
    from heldtrue.capabilities.mail.connection import Connection
    from heldtrue.capabilities.mail.protocol import Letter

CONTENT_TYPE = "message/rfc822"
ACCEPTED = "payload.accepted"
DATABASE_THREADS = 8
CHECK_THREADS = 32
"""Most of them wait for name servers."""
LETTERS = GroupLimits(group=32, waiting=10_000, within=60.0, commits=DATABASE_THREADS, beside=32)
"""Messages of one transaction."""
LOOKUPS = GroupLimits(group=64, waiting=10_000, within=10.0, commits=2, beside=16)
"""Recipients of one question."""
Place = tuple[TenantId, str]
"""An organisation's environment."""
T = TypeVar("T")
log = structlog.get_logger("heldtrue.mail")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServices:
    """What the listener stands on."""

    ports: Ports
    objects: ObjectStore
    resolver: Resolver
    limits: Limits = field(default_factory=Limits)
    scanner: Scanner | None = None
    """Asked about each message while it streams in; what it finds is refused."""
    record_refusals: Callable[[RefusedSummary], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message that is sealed, judged, and not durable as a whole yet."""

    letter: Letter
    evidence: Evidence
    flags: tuple[str, ...]
    payload: PayloadId
    key: DataKey
    taken: Taken

    @property
    def place(self) -> Place:
        """What one transaction sees: all recipients of a message belong to it."""
        return next(iter(self.letter.boxes.values())).place


class Office:
    """One mail process."""

    def __init__(self, services: MailServices, terms: Terms, context: ssl.SSLContext) -> None:
        self._services = services
        self.terms = terms
        self.context = context
        self.guard = Guard(terms)
        self.memory = Memory(terms.memory_bytes)
        self.talks: set[Connection] = set()
        """Conversations."""
        self.open: set[Connection] = set()
        """Connections, those that only end included."""
        self.closing = False
        self._refusals = Refusals()
        self._database = Threads(DATABASE_THREADS, "mail")
        self._checks = Threads(CHECK_THREADS, "mail-checks")
        self._groups = Groups[Sealed, None](
            self._commit, limits=LETTERS, place=lambda one: one.place, apart=_each, refused=MailBusyError,
            unsure=OutcomeUnknownError,
        )  # fmt: skip
        self._finding = Groups[str, Mailbox | None](
            self._find, limits=LOOKUPS, place=lambda _: None, apart=_each, refused=MailBusyError, unsure=MailBusyError
        )

    # ------------------------------------------------------------ recipients

    async def find(self, local: str) -> Mailbox | None:
        """Return whose address *local* is, None for everybody else's; who asks at the same time shares the question."""
        return await self._finding.append(local)

    async def _find(self, many: Sequence[str]) -> Sequence[Mailbox | None]:
        return await self._database.run(partial(find_mailboxes, self._services.ports.database, many))

    # ------------------------------------------------------------ messages

    async def take(self, letter: Letter, text: AsyncIterator[bytes]) -> PayloadId:
        """Seal *text* while it arrives, judge its sender, make it durable (T1), and return its id.

        Whatever goes wrong before the commit leaves nothing; a refusal is a `RefusedReplyError`.
        """
        services, ports = self._services, self._services.ports
        now = ports.clock.now()
        box = next(iter(letter.boxes.values()))
        key, payload = DataKey.generate(ports.entropy, now), PayloadId.new(now, ports.entropy)
        origin = Origin(box.tenant, box.environment, payload)
        intake = Intake(
            services.objects,
            key,
            origin,
            services.limits,
            entropy=ports.entropy,
            run=self._database.run,
            scanner=services.scanner,
        )
        taken = await _sealed(intake, letter, text, services.limits.small)
        try:
            evidence = await self._checks.run(partial(self._examine, letter))
            flags = rule(_policy(letter), evidence)
        except BaseException:
            await asyncio.shield(intake.discard())
            raise
        try:
            # Who hangs up now does not stop the commit: what it writes names the objects.
            await self._groups.append(Sealed(letter, evidence, flags, payload, key, taken))
        except OutcomeUnknownError:
            raise  # a row may name the objects: the sweep looks again in 24 hours
        except Exception:
            await intake.discard()
            raise
        return payload

    def _examine(self, letter: Letter) -> Evidence:
        sender = Sender(letter.client, letter.helo, str(letter.sender.sender))
        return examine(Lookups(self._services.resolver), sender, bytes(letter.text))

    async def _commit(self, group: Sequence[Sealed]) -> Sequence[Exception | None]:
        """Write payloads and their entries in one transaction; with its commit they are accepted (T1)."""
        async with self._database.within(self._opened(group)) as (op, receiving):
            return [self._accept(op, one, receiving) for one in group]

    @contextmanager
    def _opened(self, group: Sequence[Sealed]) -> Generator[tuple[Operation, Mapping[AddressId, AddressConfig]]]:
        """Open the transaction, and ask the database for all that the messages have to know."""
        ports, (tenant, environment) = self._services.ports, group[0].place
        now, request = ports.clock.now(), RequestId.new(ports.clock.now(), ports.entropy)
        actor = Actor(kind="mail", tenant=tenant, environment=environment)
        with ports.database.group(tenant, environment) as tx:
            active, rows = still_receiving(tx, tenant, [box.id for one in group for box in one.letter.boxes.values()])
            keys = group_keys(ports, tx, tenant, environment, active, now)
            keys.have(OBJECT, ledger.PURPOSE)
            op = Operation(
                actor=actor, tenant=tenant, environment=environment, now=now, entropy=ports.entropy, tx=tx, keys=keys,
                record=Recorder(ports, tx, actor, request, now, keys), request=request,
            )  # fmt: skip
            yield op, opened_addresses(keys, rows)

    def _accept(self, op: Operation, one: Sealed, receiving: Mapping[AddressId, AddressConfig]) -> Exception | None:
        """Write one payload within the group's transaction; return why not where its addresses are gone."""
        named = dict.fromkeys(box.id for box in one.letter.boxes.values())
        configs = [(address, receiving[address]) for address in named if address in receiving]
        if not configs:
            return refused("550 5.1.1 no such address any more", "smtp-unknown-recipient")
        request = RequestId.new(op.now, op.entropy)
        record = Recorder(self._services.ports, op.tx, op.actor, request, op.now, op.keys)
        own = replace(op, request=request, record=record)
        mail = _meta(one.letter, one.evidence, one.flags, configs)
        body = replace(one.taken.body, meta=msgspec.structs.replace(one.taken.body.meta, mail=mail))
        accept(own, one.payload, one.key, replace(one.taken, body=body), tls=one.letter.tls, source="smtp")
        detail = {
            "size": body.size, "source": "smtp", "addresses": list(mail.addresses), "spf": mail.spf,
            "dkim": one.evidence.dkim_result, "dmarc": mail.dmarc, "arc": mail.arc, "outcome": mail.outcome,
            "flags": list(mail.flags),
        }  # fmt: skip
        own.record(AuditEvent(event=ACCEPTED, subject=str(one.payload), detail=detail))
        return None

    # ------------------------------------------------------------ what is counted

    def count(self, source: str, reason: str) -> None:
        """Count a refusal; strangers' are summed up by the minute."""
        self._refusals.count(self._services.ports.clock.now(), source, reason)

    async def keep_counts(self) -> None:
        """Record the counts of each minute that is over, until cancelled."""
        while True:
            await asyncio.sleep(MINUTE.total_seconds() / 4)
            for summary in self._refusals.collect(self._services.ports.clock.now()):
                await self._database.run(partial(self._keep, summary))

    def _keep(self, summary: RefusedSummary) -> None:
        try:
            self._services.record_refusals(summary)
        except Exception:
            log.exception("refusals not recorded, kept for later", count=summary.count)
            self._refusals.put_back(summary)

    async def finish(self) -> None:
        """Take nothing more, and return when what waits for its commit was answered."""
        await self._groups.close()

    def close(self) -> None:
        """Finish what runs in threads, and record what was counted. Blocking."""
        self._checks.close()
        self._database.close()
        for summary in self._refusals.collect(None):
            self._keep(summary)


async def _sealed(intake: Intake, letter: Letter, text: AsyncIterator[bytes], small: int) -> Taken:
    """Return what came, hashed and sealed: a small message at once, any other as it streams."""
    if not intake.scans:
        async for _ in text:
            if len(letter.text) > small:
                break
        else:
            return intake.take_small(CONTENT_TYPE, bytes(letter.text))
    return await intake.take(CONTENT_TYPE, _from_its_beginning(letter, text))


async def _from_its_beginning(letter: Letter, text: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what the letter holds already, then what comes."""
    yield bytes(letter.text)
    async for piece in text:
        yield piece


def _each(many: Sequence[T]) -> list[Sequence[T]]:
    return [[one] for one in many]


def _policy(letter: Letter) -> Policy:
    return reduce(Policy.strictest, (box.policy for box in letter.boxes.values()))


def _meta(
    letter: Letter, evidence: Evidence, flags: tuple[str, ...], configs: Sequence[tuple[AddressId, AddressConfig]]
) -> MailMeta:
    return MailMeta(
        sender=str(letter.sender.sender),
        recipients=tuple(letter.boxes),
        addresses=tuple(str(address) for address, _ in configs),
        labels=tuple(dict.fromkeys(config.label for _, config in configs if config.label is not None)),
        helo=letter.helo,
        client=letter.client,
        smtputf8=letter.sender.smtputf8,
        spf=evidence.spf,
        dkim=evidence.dkim,
        dmarc=evidence.dmarc.result,
        dmarc_policy=evidence.dmarc.policy,
        arc=evidence.arc,
        from_domain=evidence.author,
        outcome="flagged" if flags else "accepted",
        flags=flags,
    )
