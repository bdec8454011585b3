"""Counting deliveries and attempts in the database; the facts are kept by `heldtrue.deliveries` itself (0006)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from heldtrue.capabilities.promises.model import NEWEST, Counted, FailureRow, HourRow, earliest_id
from heldtrue.db.tx import SystemTx, TenantTx


@dataclass(frozen=True, slots=True)
class MonthRow(Counted):
    """One month of an environment."""

    month: str


@dataclass(frozen=True, slots=True)
class PlanRow(Counted):
    """One month of a plan."""

    plan: str
    month: str
    organisations: int


_BECAME: LiteralString = """
  CASE WHEN arrived_at IS NOT NULL AND (given_up_at IS NULL OR arrived_at <= given_up_at) THEN 'delivered'
       WHEN given_up_at IS NOT NULL THEN 'failed'
       WHEN withdrawn_at IS NOT NULL THEN 'withdrawn'
       WHEN d.state = 'held' AND coalesce(held_for, '') NOT IN ('customer', 'gone') THEN 'failed'
       WHEN d.state = 'held' THEN 'held' ELSE 'pending' END AS became,
  to_char(d.created_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month, d.created_at, arrived_at, arrived_by """
"""What a delivery `d` counts as: the definition of the guide, in one place."""
_COUNTS: LiteralString = """
  count(*) FILTER (WHERE became <> 'withdrawn') AS promised,
  count(*) FILTER (WHERE became = 'delivered') AS delivered,
  count(*) FILTER (WHERE became = 'delivered' AND arrived_by = 1) AS delivered_first_try,
  count(*) FILTER (WHERE became = 'delivered' AND arrived_at <= created_at + interval '24 hours')
    AS delivered_within_24h,
  count(*) FILTER (WHERE became = 'failed') AS failed,
  count(*) FILTER (WHERE became = 'failed' AND arrived_at IS NOT NULL) AS recovered,
  count(*) FILTER (WHERE became = 'held') AS held,
  count(*) FILTER (WHERE became = 'pending') AS pending,
  count(*) FILTER (WHERE became = 'withdrawn') AS withdrawn """


def by_month(tx: TenantTx, start: datetime, end: datetime) -> list[MonthRow]:
    """Count the environment's deliveries made from *start* and before *end*, by month."""
    return tx.many(
        MonthRow,
        "WITH judged AS (SELECT"
        + _BECAME
        + """FROM heldtrue.deliveries d WHERE d.delivery_id >= %s AND d.delivery_id < %s AND d.receipt_id IS NOT NULL)
             SELECT month,"""
        + _COUNTS
        + "FROM judged GROUP BY month ORDER BY month",
        (earliest_id(start), earliest_id(end)),
    )


def by_plan(tx: SystemTx, start: datetime, end: datetime) -> list[PlanRow]:
    """Count all customers' deliveries made from *start* and before *end*, by plan and month."""
    return tx.many(
        PlanRow,
        "WITH judged AS (SELECT o.plan, o.tenant_id,"
        + _BECAME
        + """FROM heldtrue.organisations o JOIN heldtrue.deliveries d ON d.tenant_id = o.tenant_id
             WHERE o.kind = 'customer' AND d.delivery_id >= %s AND d.delivery_id < %s AND d.receipt_id IS NOT NULL)
             SELECT plan, month, count(DISTINCT tenant_id) AS organisations,"""
        + _COUNTS
        + "FROM judged GROUP BY plan, month ORDER BY plan, month",
        (earliest_id(start), earliest_id(end)),
    )


def made_since(tx: TenantTx, endpoint_id: UUID, since: datetime) -> int:
    """Count an endpoint's deliveries made since then, but no further than one over `NEWEST`."""
    return tx.value(
        """SELECT count(*) FROM (SELECT FROM heldtrue.deliveries WHERE endpoint_id = %s AND delivery_id >= %s
           LIMIT %s) AS found""",
        (endpoint_id, earliest_id(since), NEWEST + 1),
    )


def hours(tx: TenantTx, endpoint_id: UUID, made: datetime, since: datetime) -> list[HourRow]:
    """Return attempts since then by hour, oldest first, and of all, of the newest deliveries *made* since then."""
    return tx.many(
        HourRow,
        """WITH tried AS (
             SELECT date_trunc('hour', a.started_at, 'UTC') AS hour, a.latency_ms, a.status, a.failure
             FROM (SELECT tenant_id, delivery_id FROM heldtrue.deliveries
                   WHERE endpoint_id = %s AND delivery_id >= %s ORDER BY delivery_id DESC LIMIT %s) d
             JOIN heldtrue.attempts a USING (tenant_id, delivery_id) WHERE a.started_at >= %s)
           SELECT hour, count(*) AS attempts, count(*) FILTER (WHERE status BETWEEN 200 AND 299) AS delivered,
             percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms)
               FILTER (WHERE status IS NOT NULL) AS p50_ms,
             percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms)
               FILTER (WHERE status IS NOT NULL) AS p95_ms
           FROM tried GROUP BY GROUPING SETS ((hour), ()) HAVING count(*) > 0 ORDER BY hour NULLS FIRST""",
        (endpoint_id, earliest_id(made), NEWEST, since),
    )


def failures(tx: TenantTx, endpoint_id: UUID, made: datetime, since: datetime) -> list[FailureRow]:
    """Return the failed attempts since then by hour and word, of the newest deliveries *made* since then."""
    return tx.many(
        FailureRow,
        """SELECT date_trunc('hour', a.started_at, 'UTC') AS hour,
             coalesce(a.failure, 'http-' || a.status / 100 || 'xx', 'no-answer') AS word, count(*) AS count
           FROM (SELECT tenant_id, delivery_id FROM heldtrue.deliveries
                 WHERE endpoint_id = %s AND delivery_id >= %s ORDER BY delivery_id DESC LIMIT %s) d
           JOIN heldtrue.attempts a USING (tenant_id, delivery_id)
           WHERE a.started_at >= %s AND (a.status IS NULL OR a.status NOT BETWEEN 200 AND 299)
           GROUP BY 1, 2 ORDER BY 1, 2""",
        (endpoint_id, earliest_id(made), NEWEST, since),
    )
