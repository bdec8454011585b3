"""Everything the pipeline needs from above and beside it, as one value that the wiring fills in."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Protocol
from uuid import UUID

from heldtrue.crypto.keyring import KeyCache, TenantKeyring
from heldtrue.crypto.platform import PlatformKey
from heldtrue.db.keystore import TxKeyRecords
from heldtrue.db.tx import Database, SystemTx, TenantTx
from heldtrue.http.credential import Presented
from heldtrue.http.limits import Limits
from heldtrue.http.refusals import RefusedSummary
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import Entropy, LeafId, RequestId, TenantId
from heldtrue.op import Actor, AuditEvent


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be well before requests are taken, as `/readyz` tells it."""

    name: str
    ok: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Linked:
    """What an unguessable link names."""

    tenant: TenantId
    environment: str
    row: UUID


class RecordAudit(Protocol):
    """Append an audit event to an organisation's ledger, in the transaction that is passed."""

    def __call__(
        self,
        tx: TenantTx | SystemTx,
        keys: TenantKeyring,
        tenant: TenantId,
        environment: str,
        actor: Actor,
        request: RequestId,
        now: datetime,
        entropy: Entropy,
        event: AuditEvent,
    ) -> LeafId:
        """Return the id of the entry, which is in the log once the sequencer has passed."""
        ...


async def _always() -> bool:
    return True


def _no_link(_token: str) -> Linked | None:
    return None


def _drop_summary(_summary: RefusedSummary) -> None:
    return None


def _all_well() -> Sequence[Check]:
    return ()


def _no_metrics() -> bytes:
    return b""


def _unobserved(_route: str, _status: int, _seconds: float) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the pipeline is given: data, time, randomness, keys, and the capabilities it calls without knowing them."""

    database: Database
    clock: Clock
    entropy: Entropy
    platform: PlatformKey
    key_cache: KeyCache
    authenticate: Callable[[Presented], Actor]
    """Judge a bearer token now, in memory; raise `UnauthenticatedError`. Must not block."""
    record_audit: RecordAudit
    agreed: Callable[[], Awaitable[bool]] = _always
    """Wait until `authenticate` knows all that was committed before this call; False when that takes too long."""
    resolve_link: Callable[[str], Linked | None] = _no_link
    """Look up an unguessable link by its path token. Blocking; called in a worker thread."""
    record_refusals: Callable[[RefusedSummary], None] = _drop_summary
    """Keep one minute's count of refused anonymous requests. Blocking; called in a worker thread."""
    ready: Callable[[], Sequence[Check]] = _all_well
    """Database reachable, sequencer, clock. Blocking; called in a worker thread."""
    metrics: Callable[[], bytes] = _no_metrics
    """The Prometheus text exposition."""
    metrics_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may read `/metrics`."""
    observe: Callable[[str, int, float], None] = _unobserved
    """Told route, status and seconds of every request; must not block."""
    limits: Limits = field(default_factory=Limits)
    body_limit: int = 1024 * 1024
    """Bytes of a JSON body; streaming routes name their own limit."""
    workers: int = 16
    """Threads that actions run in."""
    monotonic: Callable[[], float] = time.monotonic

    def may_scrape(self, client: str) -> bool:
        """Return whether the address *client* is in a network that may read `/metrics`."""
        try:
            address = ip_address(client)
        except ValueError:
            return False
        return any(address in ip_network(network) for network in self.metrics_from)

    def keyring(self, tx: TenantTx | SystemTx, tenant: TenantId, environment: str, now: datetime) -> TenantKeyring:
        """Return the keyring of an organisation, reading and adding keys within *tx*."""
        return TenantKeyring(self.platform, TxKeyRecords(tx), self.key_cache, tenant, environment, self.entropy, now)
