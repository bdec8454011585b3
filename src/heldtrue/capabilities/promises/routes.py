"""The API of promises, as a table."""

from __future__ import annotations

from heldtrue.capabilities.promises import actions
from heldtrue.capabilities.promises.model import EndpointStatistics, Ledger, LedgerQuery, PlanLedger, StatisticsQuery
from heldtrue.http.route import Realm, Route
from heldtrue.policy.permissions import Permission

ROUTES = [
    Route(
        at="GET /v1/deliveries/ledger",
        action=actions.delivery_ledger,
        summary="What was promised to be delivered and what arrived, by month",
        takes=LedgerQuery,
        gives=Ledger,
        needs=Permission.DELIVERY_READ,
        audits="delivery.ledger_read",
        tags=("deliveries",),
    ),
    Route(
        at="GET /v1/deliveries/ledger/plans",
        action=actions.plan_ledger,
        summary="The same of all customers, by plan and month: the operator's",
        takes=LedgerQuery,
        gives=PlanLedger,
        needs=Permission.ORGANISATION_READ,
        audits="delivery.plan_ledger_read",
        realm=Realm.OPERATOR,
        tags=("deliveries",),
    ),
    Route(
        at="GET /v1/endpoints/{endpoint_id}/statistics",
        action=actions.endpoint_statistics,
        summary="How an endpoint answered, by hour",
        takes=StatisticsQuery,
        gives=EndpointStatistics,
        needs=Permission.ENDPOINT_READ,
        audits="endpoint.statistics_read",
        tags=("endpoints",),
    ),
]
