"""Endpoints and deliveries as they are remembered and told; no SQL, no HTTP."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from heldtrue.capabilities.deliveries.addresses import AllowList, RefusedAddressError, judge, parse_address
from heldtrue.http.pagination import PageQuery
from heldtrue.kernel.errors import BadInputError, ConflictError, NotFoundError
from heldtrue.kernel.ids import EndpointId, PayloadId
from heldtrue.kernel.secret import Secret

EndpointState = Literal["enabled", "disabled", "deleted"]
DeliveryState = Literal["pending", "delivered", "failed", "held"]
Failure = Literal["timeout", "tls", "refused-address", "connect", "protocol", "unknown-outcome"]

MAX_URL = 2048

_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
"""A last label by which a resolver reads the whole host as an IPv4 address (WHATWG URL, section 3.5)."""


class NoSuchEndpointError(NotFoundError):
    """There is no such endpoint in this organisation and environment; check the id."""

    code = "no-such-endpoint"


class NoSuchDeliveryError(NotFoundError):
    """There is no such delivery in this organisation and environment; check the id."""

    code = "no-such-delivery"


class EndpointUrlError(BadInputError):
    """An endpoint is an https URL without credentials and fragment; correct it."""

    code = "endpoint-url"


class EndpointDisabledError(ConflictError):
    """The endpoint is disabled or deleted; enable it before anything is sent to it again."""

    code = "endpoint-disabled"


class DeliveryBusyError(ConflictError):
    """The delivery is being attempted at this moment; look at its outcome and decide anew."""

    code = "delivery-busy"


class Config(msgspec.Struct, frozen=True):
    """What an endpoint's owner wrote; sealed."""

    url: str
    description: str = ""


def check_url(url: str, allow: AllowList) -> str:
    """Return *url* when it may be an endpoint: https, no credentials, no literal address that is refused.

    What a name leads to is judged when it is connected to, each time.
    """
    if len(url) > MAX_URL or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise EndpointUrlError(f"the URL is over {MAX_URL} characters or holds what belongs in no URL")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise EndpointUrlError("the URL cannot be read", advice="Write it as https://host/path.") from error
    if parts.scheme != "https":
        raise EndpointUrlError("an endpoint's URL begins with https://", advice="Serve the endpoint over TLS.")
    if not host or parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        raise EndpointUrlError("an endpoint's URL has a host, and neither credentials nor a fragment")
    address = parse_address(host)
    if address is None and (host == "localhost" or host.endswith((".localhost", ".localhost."))):
        address = parse_address("127.0.0.1")
    if address is None and _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise EndpointUrlError("the host is an address in another notation", advice="Write it in dotted decimal.")
    if address is not None:
        verdict = judge(address, allow)
        if not verdict.permitted:
            raise RefusedAddressError(f"the address {address} is refused: {verdict.reason}")
    return url


# ---------------------------------------------------------------- wire: endpoints


class RegisterEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for an endpoint."""

    url: Annotated[str, msgspec.Meta(min_length=9, max_length=MAX_URL, description="https URL that receives.")]
    description: Annotated[str, msgspec.Meta(max_length=1000)] = ""


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
    """Why it is disabled: `customer`, `gone` (it answered 410)."""
    public_key: str
    """`whpk_…`, which checks the `v1a` signatures."""
    created_at: datetime


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


# ---------------------------------------------------------------- wire: deliveries


class TheDelivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names a delivery."""

    delivery_id: str


class ListDeliveries(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for deliveries, newest first."""

    payload_id: str | None = None
    endpoint_id: str | None = None
    state: DeliveryState | None = None

    def of_payload(self) -> UUID | None:
        """Return the payload that is asked for."""
        return None if self.payload_id is None else PayloadId.parse(self.payload_id).value

    def of_endpoint(self) -> UUID | None:
        """Return the endpoint that is asked for."""
        return None if self.endpoint_id is None else EndpointId.parse(self.endpoint_id).value


class DeliverySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery; its id is also the `webhook-id`."""

    id: str
    payload_id: str
    endpoint_id: str
    receipt_id: str
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    """When it is tried next."""
    created_at: datetime
    settled_at: datetime | None


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a delivery, and what came of it."""

    id: str
    number: int
    started_at: datetime
    latency_ms: int
    status: int | None
    failure: Failure | None
    excerpt: str | None
    """The first 2 KiB of the answer's body, as text."""


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with all its attempts."""

    id: str
    payload_id: str
    endpoint_id: str
    receipt_id: str
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    created_at: datetime
    settled_at: datetime | None
    tries: list[AttemptView]
