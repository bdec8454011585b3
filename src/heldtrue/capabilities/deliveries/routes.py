"""The API of endpoints and deliveries, as a table."""

from __future__ import annotations

from dataclasses import dataclass, field

from heldtrue.capabilities.deliveries.actions import get_delivery, list_deliveries, replay_delivery
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.endpoint_model import (
    EnableEndpoint,
    EndpointEnabled,
    EndpointStopped,
    EndpointTested,
    EndpointView,
    EndpointWithSecret,
    ListEndpoints,
    RegisterEndpoint,
    RollEndpoint,
    TheEndpoint,
    UpdateEndpoint,
)
from heldtrue.capabilities.deliveries.endpoints import (
    delete_endpoint,
    disable_endpoint,
    enable_endpoint,
    get_endpoint,
    list_endpoints,
    register_endpoint,
    roll_endpoint,
    update_endpoint,
)
from heldtrue.capabilities.deliveries.model import (
    DeliverySummary,
    DeliveryView,
    ListDeliveries,
    TheDelivery,
)
from heldtrue.capabilities.deliveries.outgoing import Outgoing
from heldtrue.capabilities.deliveries.replay_model import ListReplays, ReplayMany, ReplayView, TheReplay
from heldtrue.capabilities.deliveries.replays import get_replay, list_replays, replay_many
from heldtrue.capabilities.deliveries.trial import try_endpoint
from heldtrue.http.exchange import Answer, Exchange
from heldtrue.http.pagination import Listing
from heldtrue.http.route import Route
from heldtrue.op import Operation
from heldtrue.policy.permissions import Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryServices:
    """What endpoints and deliveries need beyond the operation."""

    allow: AllowList = field(default_factory=AllowList)
    outgoing: Outgoing | None = None
    """The way out for test events; by default to *allow*, with the system's authorities."""


def routes(services: DeliveryServices) -> list[Route]:
    """Return the table of routes."""

    def register(op: Operation, asked: RegisterEndpoint) -> EndpointWithSecret:
        """Register an endpoint under the instance's allow list."""
        return register_endpoint(op, asked, services.allow)

    def update(op: Operation, asked: UpdateEndpoint) -> EndpointView:
        """Change an endpoint under the instance's allow list."""
        return update_endpoint(op, asked, services.allow)

    async def test(exchange: Exchange) -> Answer:
        """Send a test event through a way out of its own."""
        outgoing = services.outgoing or Outgoing(allow=services.allow)
        async with outgoing.dialer() as dialer:
            return await try_endpoint(exchange, dialer.post)

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
            at="PATCH /v1/endpoints/{endpoint_id}",
            action=update,
            summary="Change an endpoint's settings",
            takes=UpdateEndpoint,
            gives=EndpointView,
            needs=Permission.ENDPOINT_WRITE,
            audits="endpoint.updated",
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
            at="POST /v1/endpoints/{endpoint_id}/test",
            action=test,
            summary="Send an endpoint a test event",
            gives=EndpointTested,
            needs=Permission.ENDPOINT_WRITE,
            audits="endpoint.tested",
            streams=True,
            bodiless=True,
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
            at="POST /v1/deliveries/replays",
            action=replay_many,
            summary="Send many deliveries again",
            takes=ReplayMany,
            gives=ReplayView,
            needs=Permission.DELIVERY_REPLAY,
            audits="replay.asked",
            status=202,
            creates=True,
            tags=("deliveries",),
        ),
        Route(
            at="GET /v1/deliveries/replays",
            action=list_replays,
            summary="List replays of many deliveries",
            takes=ListReplays,
            gives=Listing[ReplayView],
            needs=Permission.DELIVERY_READ,
            audits="replay.listed",
            tags=("deliveries",),
        ),
        Route(
            at="GET /v1/deliveries/replays/{replay_id}",
            action=get_replay,
            summary="Look at a replay's progress",
            takes=TheReplay,
            gives=ReplayView,
            needs=Permission.DELIVERY_READ,
            audits="replay.read",
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
