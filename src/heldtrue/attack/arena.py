"""The arena: everything an attack may touch, passed in, like an operation's context."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from heldtrue.attack import AttackHinderedError, Place
from heldtrue.attack.caller import Address, Caller
from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.tx import Database, SystemTx, TenantTx
from heldtrue.http.route import Realm, Route
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import Entropy, TenantId
from heldtrue.kernel.secret import Secret

T = TypeVar("T")
POLL = 0.2


@dataclass(frozen=True, slots=True)
class Probe:
    """An organisation that belongs to nobody, with an administrator's key for this run."""

    tenant: TenantId
    environment: str
    other_environment: str
    admin: Secret[str]
    other_admin: Secret[str]
    """The same organisation's administrator in its other environment."""


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where bytes may come to rest; a scratch instance shows all of them, superuser's view included."""

    superuser: Secret[str]
    data_dir: Path
    cluster: Path
    programs: Path
    """Directory of the database's client programs."""
    logs: tuple[Path, ...]
    temporary: tuple[Path, ...]
    processes: Callable[[], Sequence[int]]
    """Process ids of the instance, for deleted files that are still open."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a scratch instance has that may deliver to this machine."""

    cert: Path
    key: Path
    """What a receiver on 127.0.0.1 serves with."""
    kill_worker: Callable[[], None]
    """Kill the worker with SIGKILL, and let another one begin; once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """What every attack may know of its surroundings."""

    place: Place
    caller: Caller
    listeners: tuple[Address, ...]
    routes: tuple[Route, ...]
    database: Database
    embedded: bool
    """Whether the database is ours, on a unix socket."""
    platform: PlatformKey
    instance_id: UUID
    origin: str
    pin: str
    """Verifier key of the log."""
    clock: Clock
    entropy: Entropy
    probes: Callable[[], tuple[Probe, Probe]]
    operator: Callable[[], Secret[str]]
    """A key of the operator's organisation, for this run."""
    mint: Callable[[Probe, str, timedelta], Secret[str]]
    """Issue a key of a role to a probe, for so long; negative: one that has expired already."""
    sinks: Sinks | None = None
    """None but in scratch."""
    mail: Address | None = None
    """Where mail comes in, in clear at first; None where it does not."""
    stage: Stage | None = None
    """None but in scratch, for attacks that have `receivers` among their parts."""

    @property
    def api(self) -> tuple[Route, ...]:
        """The routes for callers with a credential."""
        return tuple(route for route in self.routes if route.realm in {Realm.TENANT, Realm.OPERATOR})

    def keyring(self, tx: TenantTx | SystemTx, tenant: TenantId, environment: str) -> TenantKeyring:
        """Return the keyring of an organisation's environment within *tx*, with a cache of its own."""
        now = self.clock.now()
        return TenantKeyring(self.platform, TxKeyRecords(tx), KeyCache(), tenant, environment, self.entropy, now)

    def until(self, what: str, look: Callable[[], T | None], seconds: float = 20.0) -> T:
        """Return what *look* finds, asking again until it finds something; the attack cannot go on otherwise."""
        deadline = time.monotonic() + seconds
        while True:
            found = look()
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise AttackHinderedError(f"{what} did not come within {seconds:.0f} s")
            time.sleep(POLL)

    def needs_stage(self) -> Stage:
        """Return the stage; raise `AttackHinderedError` where there is none."""
        if self.stage is None or self.place is not Place.SCRATCH:
            raise AttackHinderedError("this attack runs in scratch only, with receivers")
        return self.stage

    def needs_sinks(self) -> Sinks:
        """Return the sinks; raise `AttackHinderedError` outside scratch."""
        if self.sinks is None or self.place is not Place.SCRATCH:
            raise AttackHinderedError("this attack runs in scratch only")
        return self.sinks
