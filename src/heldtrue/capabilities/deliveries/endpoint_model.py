"""What is asked and told of endpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from heldtrue.capabilities.deliveries.breaker import Circuit
from heldtrue.capabilities.deliveries.fanout import PAYLOAD_FORWARDED, Condition, EventType, Rules
from heldtrue.capabilities.deliveries.model import MAX_URL, EndpointState
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.secret import Secret

BY_VALUE = 20_000
CONCURRENCY = 8
"""Deliveries of one endpoint that may be on their way at once, where nothing else is asked for."""

Url = Annotated[str, msgspec.Meta(min_length=9, max_length=MAX_URL, description="https URL that receives.")]
Description = Annotated[str, msgspec.Meta(max_length=1000)]
EventTypes = Annotated[list[EventType], msgspec.Meta(max_length=10, description="Which events it gets.")]
Filter = Annotated[
    list[Condition], msgspec.Meta(max_length=20, description="Which payloads it gets: all conditions must hold.")
]
OrderedBy = (
    Annotated[
        str,
        msgspec.Meta(max_length=512, description="A JSON Pointer, or `endpoint`: one after the other within a value."),
    ]
    | None
)
ByValue = Annotated[int, msgspec.Meta(ge=0, le=262_144, description="Bytes that travel in the body; 0: by reference.")]
Concurrency = Annotated[int, msgspec.Meta(ge=1, le=64, description="Deliveries on their way at once.")]
Rate = Annotated[float, msgspec.Meta(ge=0.01, le=1000, description="Deliveries a second.")] | None


class Config(msgspec.Struct, frozen=True):
    """What an endpoint's owner wrote; sealed."""

    url: str
    description: str = ""
    event_types: list[str] = msgspec.field(default_factory=lambda: [PAYLOAD_FORWARDED])
    filter: list[Condition] = []
    ordered_by: str | None = None
    by_value_up_to: int = BY_VALUE

    def rules(self) -> Rules:
        """Return what decides about events."""
        return Rules(self.event_types, self.filter, self.ordered_by)


class RegisterEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for an endpoint."""

    url: Url
    description: Description = ""
    event_types: EventTypes = msgspec.field(default_factory=lambda: [PAYLOAD_FORWARDED])
    filter: Filter = []
    ordered_by: OrderedBy = None
    by_value_up_to: ByValue = BY_VALUE
    concurrency: Concurrency = CONCURRENCY
    rate_per_second: Rate = None


class UpdateEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks to change an endpoint; what is left out stays as it is. Deliveries that exist keep their body."""

    endpoint_id: str
    url: Url | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET
    event_types: EventTypes | msgspec.UnsetType = msgspec.UNSET
    filter: Filter | msgspec.UnsetType = msgspec.UNSET
    ordered_by: OrderedBy | msgspec.UnsetType = msgspec.UNSET
    by_value_up_to: ByValue | msgspec.UnsetType = msgspec.UNSET
    concurrency: Concurrency | msgspec.UnsetType = msgspec.UNSET
    rate_per_second: Rate | msgspec.UnsetType = msgspec.UNSET


class TheEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names an endpoint."""

    endpoint_id: str


class EnableEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks to enable an endpoint, and whether what was held for it is sent now."""

    endpoint_id: str
    replay_held: bool = False


class RollEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a new secret; the old one signs beside it for the overlap."""

    endpoint_id: str
    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=7 * 86400)] = 86400


class ListEndpoints(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for endpoints, newest first; deleted ones are left out."""


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint."""

    id: str
    url: str
    description: str
    state: EndpointState
    disabled_for: str | None
    """Why it is disabled: `customer`, `gone` (it answered 410), `failing` (nothing but failures for days)."""
    public_key: str
    """`whpk_…`, which checks the `v1a` signatures."""
    created_at: datetime
    event_types: list[str]
    filter: list[Condition]
    ordered_by: str | None
    by_value_up_to: int
    concurrency: int
    rate_per_second: float | None
    circuit: Circuit
    """`open`: it fails so often that nothing is sent before `circuit_until`; `half-open`: one attempt at a time."""
    circuit_until: datetime | None
    failures_in_a_row: int
    failing_since: datetime | None
    """Since when nothing was delivered."""
    disabling_at: datetime | None
    """When it is disabled if it goes on failing."""


class EndpointWithSecret(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with its shared secret, which is shown this once."""

    id: str
    url: str
    description: str
    state: EndpointState
    public_key: str
    secret: Secret[str]
    """`whsec_…`, which checks the `v1` signatures."""
    created_at: datetime
    former_until: datetime | None = None
    """Until when the former secret signs as well."""


class EndpointEnabled(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that is enabled, and how many held deliveries are on their way again."""

    id: str
    state: EndpointState
    replayed: int


class EndpointStopped(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that receives nothing more, and how many of its deliveries wait (disabled) or end here (deleted)."""

    id: str
    state: EndpointState
    deliveries: int


class EndpointTested(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a test event."""

    id: str
    """Of the delivery, which is also the `webhook-id`."""
    endpoint_id: str
    delivered: bool
    status: int | None
    failure: str | None
    latency_ms: int
    excerpt: str | None
    """The first 2 KiB of the answer's body, as text."""
