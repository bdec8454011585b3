"""The API of endpoints and deliveries, as a table."""

from __future__ import annotations

from dataclasses import dataclass, field

from heldtrue.capabilities.deliveries.actions import get_delivery, list_deliveries, replay_delivery
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.endpoints import (
    delete_endpoint,
    disable_endpoint,
    enable_endpoint,
    get_endpoint,
    list_endpoints,
    register_endpoint,
    roll_endpoint,
)
from heldtrue.capabilities.deliveries.model import (
    DeliverySummary,
    DeliveryView,
    EnableEndpoint,
    EndpointEnabled,
    EndpointStopped,
    EndpointView,
    EndpointWithSecret,
    ListDeliveries,
    ListEndpoints,
    RegisterEndpoint,
    RollEndpoint,
    TheDelivery,
    TheEndpoint,
)
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Route
from heldtrue.op import Operation
from heldtrue.policy.permissions import Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryServices:
    """What endpoints and deliveries need beyond the operation."""

    allow: AllowList = field(default_factory=AllowList)


def routes(services: DeliveryServices) -> list[Route]:
    """Return the table of routes."""

    def register(op: Operation, asked: RegisterEndpoint) -> EndpointWithSecret:
        """Register an endpoint under the instance's allow list."""
        return register_endpoint(op, asked, services.allow)

    return [
        Route(
            at="POST /v1/endpoints",
            action=register,
            summary="Register an endpoint",
            takes=RegisterEndpoint,
            gives=EndpointWithSecret,
            needs=Permission.ENDPOINT_WRITE,
            audits="endpoint.registered",
            status=201,
            creates=True,
            bears_secret=True,
            tags=("endpoints",),
        ),
        Route(
            at="GET /v1/endpoints",
            action=list_endpoints,
            summary="List endpoints",
            takes=ListEndpoints,
            gives=Listing[EndpointView],
            needs=Permission.ENDPOINT_READ,
            audits="endpoint.listed",
            tags=("endpoints",),
        ),
        Route(
            at="GET /v1/endpoints/{endpoint_id}",
            action=get_endpoint,
            summary="Look at an endpoint",
            takes=TheEndpoint,
            gives=EndpointView,
            needs=Permission.ENDPOINT_READ,
            audits="endpoint.read",
            tags=("endpoints",),
        ),
        Route(
            at="POST /v1/endpoints/{endpoint_id}/roll",
            action=roll_endpoint,
            summary="Give an endpoint a new secret",
            takes=RollEndpoint,
            gives=EndpointWithSecret,
            needs=Permission.ENDPOINT_WRITE,
            audits="endpoint.rolled",
            creates=True,
            bears_secret=True,
            tags=("endpoints",),
        ),
        Route(
            at="POST /v1/endpoints/{endpoint_id}/disable",
            action=disable_endpoint,
            summary="Hold what comes for an endpoint",
            takes=TheEndpoint,
            gives=EndpointStopped,
            needs=Permission.ENDPOINT_WRITE,
            audits="endpoint.disabled",
            tags=("endpoints",),
        ),
        Route(
            at="POST /v1/endpoints/{endpoint_id}/enable",
            action=enable_endpoint,
            summary="Send to an endpoint again",
            takes=EnableEndpoint,
            gives=EndpointEnabled,
            needs=Permission.ENDPOINT_WRITE,
            audits="endpoint.enabled",
            tags=("endpoints",),
        ),
        Route(
            at="DELETE /v1/endpoints/{endpoint_id}",
            action=delete_endpoint,
            summary="Forget an endpoint",
            takes=TheEndpoint,
            gives=EndpointStopped,
            needs=Permission.ENDPOINT_WRITE,
            audits="endpoint.deleted",
            tags=("endpoints",),
        ),
        Route(
            at="GET /v1/deliveries",
            action=list_deliveries,
            summary="List deliveries",
            takes=ListDeliveries,
            gives=Listing[DeliverySummary],
            needs=Permission.DELIVERY_READ,
            audits="delivery.listed",
            tags=("deliveries",),
        ),
        Route(
            at="GET /v1/deliveries/{delivery_id}",
            action=get_delivery,
            summary="Look at a delivery and its attempts",
            takes=TheDelivery,
            gives=DeliveryView,
            needs=Permission.DELIVERY_READ,
            audits="delivery.read",
            tags=("deliveries",),
        ),
        Route(
            at="POST /v1/deliveries/{delivery_id}/replay",
            action=replay_delivery,
            summary="Send a delivery again",
            takes=TheDelivery,
            gives=DeliverySummary,
            needs=Permission.DELIVERY_REPLAY,
            audits="delivery.replayed",
            tags=("deliveries",),
        ),
    ]
