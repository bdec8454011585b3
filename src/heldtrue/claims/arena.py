"""Open an arena on an instance: its listener, its database as its own roles, two organisations of nobody."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from uuid import UUID

from heldtrue.attack import AttackHinderedError, Place
from heldtrue.attack.arena import Arena, Probe, Sinks, Stage
from heldtrue.attack.caller import Address, Caller
from heldtrue.capabilities.access import actions as access
from heldtrue.capabilities.access.wire import IssueAnyKey, IssuedKey
from heldtrue.capabilities.ledger import actions as ledger
from heldtrue.capabilities.tenants import actions as tenants
from heldtrue.capabilities.tenants.model import OPERATOR_ENVIRONMENT
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.roles import RoleDsns
from heldtrue.db.tx import Database, PoolSizes, SystemTx
from heldtrue.http.route import Route
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import Entropy, LeafId, RequestId, TenantId
from heldtrue.kernel.secret import Secret
from heldtrue.op import Actor, AuditEvent, SystemOperation

NAMES = ("Probe one", "Probe two")
ENVIRONMENT, OTHER = "probe", "probe2"
KEY_LIFETIME = timedelta(minutes=20)
"""Of the keys that a run works with; longer than any attack may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An instance that can be attacked: plain values, so that a process can inherit them by fork."""

    address: Address
    authority: str
    """What `Host` says: the public name with its port."""
    ca_file: Path | None
    """None: the system's authorities."""
    dsns: RoleDsns
    embedded: bool
    platform: PlatformKey
    instance_id: UUID
    origin: str
    pin: str
    clock: Clock
    entropy: Entropy
    routes: Sequence[Route]
    """The table that the server serves from, its own routes included."""
    listeners: Sequence[Address] = ()
    """Every network socket of the instance; without any, `address` alone."""
    sinks: Sinks | None = None
    mail: Address | None = None
    """Where mail comes in, in clear at first."""
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class _Synthetic:
    tenant_id: UUID


class _Hands:
    """What makes organisations and keys for one run, as the operator would."""

    def __init__(self, site: Site, database: Database) -> None:
        self._site, self._database, self._cache = site, database, KeyCache()

    @cached_property
    def probes(self) -> tuple[Probe, Probe]:
        """The two organisations, made when there are none yet."""
        with self._operation() as op:
            op.tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('heldtrue.probes', 0))")
            rows = op.tx.many(
                _Synthetic,
                "SELECT tenant_id FROM heldtrue.organisations WHERE kind = 'synthetic' AND state = 'active'"
                " ORDER BY created_at, tenant_id LIMIT 2",
            )
            known = [TenantId(row.tenant_id) for row in rows]
            for name in NAMES[len(known) :]:
                known.append(tenants.found(op, name, "synthetic", [ENVIRONMENT, OTHER]).id)
        one, two = (self._probe(tenant) for tenant in known)
        return one, two

    @cached_property
    def operator(self) -> Secret[str]:
        """A key of the operator's own organisation."""
        with self._operation() as op:
            tenant = tenants.operator(op)
        if tenant is None:
            raise AttackHinderedError("there is no operator's organisation yet")
        return self.issue(tenant, OPERATOR_ENVIRONMENT, "operator", KEY_LIFETIME)

    def mint(self, probe: Probe, role: str, lifetime: timedelta) -> Secret[str]:
        """Issue a key to a probe."""
        return self.issue(probe.tenant, probe.environment, role, lifetime)

    def issue(self, tenant: TenantId, environment: str, role: str, lifetime: timedelta) -> Secret[str]:
        """Issue a key, as the operator's route does."""
        with self._operation() as op:
            asked = IssueAnyKey(
                organisation_id=str(tenant),
                name="probe",
                role=role,  # pyright: ignore[reportArgumentType] - the operator's own role is no customer's
                environment=environment,
                expires_at=op.now + lifetime,
            )
            body = access.issue_any_key(op, asked).body
        if not isinstance(body, IssuedKey) or body.secret is None:
            raise AttackHinderedError("a key was issued without its secret")
        return body.secret

    def _probe(self, tenant: TenantId) -> Probe:
        admin, other = (self.issue(tenant, name, "admin", KEY_LIFETIME) for name in (ENVIRONMENT, OTHER))
        return Probe(tenant, ENVIRONMENT, OTHER, admin, other)

    @contextmanager
    def _operation(self) -> Generator[SystemOperation]:
        site, now = self._site, self._site.clock.now()
        request = RequestId.new(now, site.entropy)
        with self._database.system() as tx:
            nobody = TenantId(UUID(int=0))
            actor = Actor(kind="system", tenant=nobody, environment=OPERATOR_ENVIRONMENT)

            def record(tenant: TenantId, environment: str, event: AuditEvent) -> LeafId:
                keys = self._keys(tx, tenant, environment)
                return ledger.append_audit(tx, keys, tenant, environment, actor, request, now, site.entropy, event)

            yield SystemOperation(
                actor=actor,
                now=now,
                entropy=site.entropy,
                tx=tx,
                keys_of=lambda tenant, environment: self._keys(tx, tenant, environment),
                record_for=record,
                request=request,
            )

    def _keys(self, tx: SystemTx, tenant: TenantId, environment: str) -> TenantKeyring:
        site = self._site
        return TenantKeyring(
            site.platform, TxKeyRecords(tx), self._cache, tenant, environment, site.entropy, site.clock.now()
        )


@contextmanager
def arena(site: Site, place: Place) -> Generator[Arena]:
    """Open an arena on *site* for one run; every key that it makes ends within minutes."""
    with ExitStack() as stack:
        database = stack.enter_context(Database(site.dsns, PoolSizes(tenant=3, edge=1, system=3)))
        caller = Caller(site.address, site.ca_file, site.authority)
        stack.callback(caller.close)
        hands = _Hands(site, database)
        yield Arena(
            place=place,
            caller=caller,
            listeners=tuple(site.listeners) or (site.address,),
            routes=tuple(site.routes),
            database=database,
            embedded=site.embedded,
            platform=site.platform,
            instance_id=site.instance_id,
            origin=site.origin,
            pin=site.pin,
            clock=site.clock,
            entropy=site.entropy,
            probes=lambda: hands.probes,
            operator=lambda: hands.operator,
            mint=hands.mint,
            sinks=site.sinks,
            mail=site.mail,
            stage=site.stage,
        )
