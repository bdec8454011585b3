"""What can be asked of promises: the ledger of an environment, the ledger of all plans, an endpoint's statistics."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from heldtrue.capabilities.deliveries.endpoint_model import TheEndpoint
from heldtrue.capabilities.deliveries.endpoints import get_endpoint
from heldtrue.capabilities.promises import store
from heldtrue.capabilities.promises.model import (
    LONGEST_LIFE,
    EndpointStatistics,
    Ledger,
    LedgerMonth,
    LedgerQuery,
    PlanLedger,
    PlanMonth,
    StatisticsQuery,
    statistics,
)
from heldtrue.kernel.ids import EndpointId
from heldtrue.op import Operation, SystemOperation


def delivery_ledger(op: Operation, asked: LedgerQuery) -> Ledger:
    """Tell what was promised to the environment and what arrived, by month."""
    rows = store.by_month(op.tx, *asked.span(op.now))
    return Ledger(data=[msgspec.convert({**row.figures(), "month": row.month}, LedgerMonth) for row in rows])


def plan_ledger(op: SystemOperation, asked: LedgerQuery) -> PlanLedger:
    """Tell what was promised to all customers and what arrived, by plan and month."""
    rows = store.by_plan(op.tx, *asked.span(op.now))
    named = [{"plan": row.plan, "month": row.month, "organisations": row.organisations} for row in rows]
    return PlanLedger(
        data=[msgspec.convert({**row.figures(), **more}, PlanMonth) for row, more in zip(rows, named, strict=True)]
    )


def endpoint_statistics(op: Operation, asked: StatisticsQuery) -> EndpointStatistics:
    """Tell how an endpoint answered, by hour: counts, latency, and failures by word."""
    get_endpoint(op, TheEndpoint(endpoint_id=asked.endpoint_id))  # refused here where there is none
    endpoint, since = EndpointId.parse(asked.endpoint_id), op.now - timedelta(days=asked.days)
    made = since - LONGEST_LIFE
    return statistics(
        str(endpoint),
        since,
        op.now,
        store.hours(op.tx, endpoint.value, made, since),
        store.failures(op.tx, endpoint.value, made, since),
        store.made_since(op.tx, endpoint.value, made),
    )
