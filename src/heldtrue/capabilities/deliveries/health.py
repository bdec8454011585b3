"""What is remembered of endpoints that fail, in the database; no row where nothing is amiss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from heldtrue.capabilities.deliveries.breaker import Health
from heldtrue.db.tx import SystemTx, TenantTx


@dataclass(frozen=True, slots=True)
class FailingRow:
    """An endpoint that nothing was delivered to for long."""

    tenant_id: UUID
    environment: str
    endpoint_id: UUID
    failing_since: datetime
    warned_at: datetime | None


@dataclass(frozen=True, slots=True)
class _HealthRow:
    endpoint_id: UUID
    failures: int
    recent: int
    seen: int
    failing_since: datetime | None
    open_until: datetime | None
    opened: int
    warned_at: datetime | None

    def health(self) -> Health:
        return Health(
            self.failures, self.recent, self.seen, self.failing_since, self.open_until, self.opened, self.warned_at
        )


def of(tx: TenantTx, endpoints: Sequence[UUID]) -> dict[UUID, Health]:
    """Return what is amiss with *endpoints*, for those where something is."""
    found = tx.many(
        _HealthRow,
        """SELECT endpoint_id, failures, recent, seen, failing_since, open_until, opened, warned_at
           FROM heldtrue.endpoint_health WHERE endpoint_id = ANY(%s)""",
        (list(endpoints),),
    )
    return {row.endpoint_id: row.health() for row in found}


def lock(tx: TenantTx, endpoints: Sequence[UUID]) -> dict[UUID, Health]:
    """Return the same, locked in the order of their ids; taken after deliveries."""
    found = tx.many(
        _HealthRow,
        """SELECT endpoint_id, failures, recent, seen, failing_since, open_until, opened, warned_at
           FROM heldtrue.endpoint_health WHERE endpoint_id = ANY(%s) ORDER BY endpoint_id FOR UPDATE""",
        (list(endpoints),),
    )
    return {row.endpoint_id: row.health() for row in found}


def keep(tx: TenantTx, tenant: UUID, environment: str, now_known: Mapping[UUID, Health]) -> None:
    """Remember how endpoints do now; forget those with which nothing is amiss any more."""
    clean = [endpoint for endpoint, health in now_known.items() if health.clean]
    if clean:
        tx.execute("DELETE FROM heldtrue.endpoint_health WHERE endpoint_id = ANY(%s)", (clean,))
    tx.batch(
        """INSERT INTO heldtrue.endpoint_health (tenant_id, environment, endpoint_id, failures, recent, seen,
             failing_since, open_until, opened, warned_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET failures = excluded.failures, recent = excluded.recent,
             seen = excluded.seen, failing_since = excluded.failing_since, open_until = excluded.open_until,
             opened = excluded.opened, warned_at = excluded.warned_at""",
        [
            (
                tenant, environment, endpoint, health.failures, health.recent, health.seen, health.failing_since,
                health.open_until, health.opened, health.warned_at,
            )
            for endpoint, health in sorted(now_known.items())
            if not health.clean
        ],
    )  # fmt: skip


def forget(tx: TenantTx, endpoint: UUID) -> None:
    """Begin anew with an endpoint."""
    tx.execute("DELETE FROM heldtrue.endpoint_health WHERE endpoint_id = %s", (endpoint,))


def failing(tx: SystemTx, before: datetime, limit: int) -> list[FailingRow]:
    """Return endpoints, of all organisations, that are enabled and that nothing was delivered to since *before*."""
    return tx.many(
        FailingRow,
        """SELECT h.tenant_id, h.environment, h.endpoint_id, h.failing_since, h.warned_at
           FROM heldtrue.endpoint_health h JOIN heldtrue.endpoints e USING (tenant_id, endpoint_id)
           WHERE h.failing_since <= %s AND e.state = 'enabled' ORDER BY h.failing_since LIMIT %s""",
        (before, limit),
    )


def circuits(tx: SystemTx, now: datetime) -> tuple[int, int, int]:
    """Return how many endpoints' circuits are open, half open, and how many endpoints fail at all."""
    row = tx.value(
        """SELECT ARRAY[count(*) FILTER (WHERE open_until > %s), count(*) FILTER (WHERE open_until <= %s),
             count(*) FILTER (WHERE failing_since IS NOT NULL)]::int[] FROM heldtrue.endpoint_health""",
        (now, now),
    )
    return row[0], row[1], row[2]
